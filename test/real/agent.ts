import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Child, until } from './child.ts';

/** The agent's entry, run from source. */
export const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export type AgentOptions = {
  /** The agent's entry: `MAIN`, or that of a built package. */
  readonly main: string;
  /** URL of the metastore's database, as the agent's role. */
  readonly connection: string;
  /** Of Polaris's catalog API. */
  readonly polaris: string;
  readonly catalog: string;
  readonly credentials: { readonly clientId: string; readonly clientSecret: string };
  readonly folder: string;
};

export const SLOT = 'polaris_push';

/** `polaris-push run` as a process of its own, as a user runs it; it can be stopped or killed, and started again. */
export class Agent implements AsyncDisposable {
  readonly #main: string;
  readonly #folder: string;
  readonly #configFile: string;
  #child: Child | undefined;

  constructor({ main, connection, polaris, catalog, credentials, folder }: AgentOptions) {
    this.#main = main;
    this.#folder = folder;
    this.#configFile = join(folder, 'polaris-push.yaml');
    const secretFile = join(folder, 'client-secret');
    writeFileSync(secretFile, credentials.clientSecret, { mode: 0o600 });
    const config = {
      source: { kind: 'hive', connection, slot: SLOT, publication: SLOT, catalog: 'hive' },
      targets: [
        {
          name: 'main',
          uri: polaris,
          catalog,
          auth: { client_id: credentials.clientId, client_secret_file: secretFile },
        },
      ],
      ledger: { path: join(folder, 'ledger.db') },
      // The workload drops most of what it creates, which is what the budget is there to hold.
      drops: { mode: 'fenced', budget: 'off' },
    };
    writeFileSync(this.#configFile, JSON.stringify(config, undefined, 2)); // JSON is YAML
  }

  /** Starts the agent and resolves when it has caught up with the source. */
  async start(): Promise<void> {
    let caughtUp = false;
    const child = this.#spawn('run', (line) => {
      if (line.startsWith('{') && (JSON.parse(line) as { event?: string }).event === 'caught-up') caughtUp = true;
    });
    this.#child = child;
    await until('the agent has caught up', () => {
      if (!child.alive) throw new Error(`The agent ended by itself.\n${this.tail()}`);
      return caughtUp;
    });
  }

  /** Runs `polaris-push check`; throws with its findings if it has anything to object to. */
  async check(): Promise<void> {
    const findings: string[] = [];
    await using child = this.#spawn('check', (line) => findings.push(line));
    const ended = await child.ended();
    if (ended !== 0) throw new Error(`check ended with ${String(ended)}:\n${findings.join('\n')}\n${child.tail()}`);
  }

  #spawn(command: 'run' | 'check', onLine: (line: string) => void): Child {
    return new Child({
      program: process.execPath,
      args: [this.#main, command, '--config', this.#configFile, '--json'],
      logFile: join(this.#folder, 'agent.log'),
      onLine,
    });
  }

  get alive(): boolean {
    return this.#child?.alive === true;
  }

  /** Throws if the agent doesn't leave cleanly: code 0 after SIGTERM. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const ended = await this.#child?.stop(signal);
    if (signal === 'SIGTERM' && ended !== 0) {
      throw new Error(`After SIGTERM the agent ended with ${String(ended)}.\n${this.tail()}`);
    }
  }

  tail(): string {
    return this.#child?.tail() ?? 'The agent was never started.';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.stop('SIGKILL');
  }
}
