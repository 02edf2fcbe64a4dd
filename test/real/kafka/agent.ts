import { EventEmitter } from 'node:events';
import { runCli } from '../../../src/cli/program.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import { systemRandom } from '../../../src/runtime/random.ts';
import { until } from '../child.ts';

/** One event of `--json`. */
export type AgentEvent = { readonly event: string; readonly [field: string]: unknown };

export type Admitted = {
  readonly table: string;
  readonly type: 'CREATE' | 'UPDATE' | 'DROP';
  readonly timestamp: number;
  readonly location: string | null;
  /** Of this process. */
  readonly seenMs: number;
};

export type AgentOptions = {
  readonly configFile: string;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onLog: (text: string) => void;
};

/** `polaris-push run` by its command line, in this process, as its clock is not that of the machine. */
export class CompressedAgent {
  readonly admitted: Admitted[] = [];
  readonly events: AgentEvent[] = [];
  readonly #options: AgentOptions;
  #signals = new EventEmitter();
  #ended: Promise<number> | undefined;
  #exitCode: number | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  /** Resolves when it has caught up. */
  async start(): Promise<void> {
    const from = this.events.length;
    this.#exitCode = undefined;
    this.#signals = new EventEmitter();
    this.#ended = this.#run(['run'], this.#signals, (event) => this.#take(event)).then(
      (code) => (this.#exitCode = code),
    );
    await until('the agent has caught up', () => {
      this.check();
      return this.events.slice(from).some(({ event }) => event === 'caught-up');
    });
  }

  /** SIGTERM; throws unless it leaves with 0. */
  async stop(): Promise<void> {
    if (this.#ended === undefined || this.#exitCode !== undefined) return;
    this.#signals.emit('SIGTERM', 'SIGTERM');
    const code = await this.#ended;
    if (code !== 0) throw new Error(`After SIGTERM the agent ended with ${code}.`);
  }

  check(): void {
    if (this.#exitCode !== undefined) throw new Error(`The agent ended by itself with ${this.#exitCode}.`);
  }

  /** Another command with the same configuration; resolves with what it tells. */
  async command(...args: readonly string[]): Promise<readonly AgentEvent[]> {
    const told: AgentEvent[] = [];
    await this.#run(args, new EventEmitter(), (event) => void told.push(event));
    return told;
  }

  #run(args: readonly string[], signals: EventEmitter, onEvent: (event: AgentEvent) => void): Promise<number> {
    const { configFile, clock, env, onLog } = this.#options;
    let rest = '';
    const stdout = {
      write: (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) onEvent(JSON.parse(line) as AgentEvent);
      },
    };
    const exit = (code: number) => onLog(`exit ${code}\n`);
    const argv = [...args, '--config', configFile, '--json', '--log-level', 'info'];
    return runCli(argv, { stdout, stderr: { write: onLog }, env, signals, clock, random: systemRandom, exit });
  }

  #take(event: AgentEvent): void {
    this.events.push(event);
    if (event.event !== 'notification' || event['outcome'] !== 'admitted') return;
    const { table, type, timestamp, metadata_location: location } = event;
    this.admitted.push({ table, type, timestamp, location, seenMs: performance.now() } as Admitted);
  }
}
