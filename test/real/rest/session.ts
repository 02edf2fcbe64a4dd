import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startEmulator } from '../../../src/polaris/emulator/emulator.ts';
import { Child, until } from '../child.ts';
import { type ComparedField, differences, FIELDS } from '../comparison.ts';
import { Polaris } from '../polaris.ts';
import { Witness } from '../witness.ts';
import { Announcements } from './announcements.ts';
import type { Operation } from './operations.ts';
import type { Tools } from './servers.ts';
import { authOf, ROOT, type Source, type SourceKind } from './sources.ts';

const CATALOG = 'mirror';
/** How long Polaris may take to become equal after an operation; it takes a few seconds. */
const PATIENCE_MS = 60_000;
/** Attempts of the agent to reach a catalog that is down, before it comes back. */
const ATTEMPTS = 5;

/** One operation, after which Polaris was equal to the catalog: how many tables were compared, and how soon. */
export type Compared = { readonly tables: number; readonly tookMs: number };

type Parts = {
  readonly source: Source;
  readonly polaris: Polaris;
  readonly witness: Witness;
  readonly folder: string;
  readonly fields: readonly ComparedField[];
  readonly announcements: Announcements | undefined;
  readonly runAgent: (...args: readonly string[]) => Child;
};

/** A REST catalog, PyIceberg as its writer, an emulated Polaris, and the agent between them. */
export class Session implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #cleanUp: AsyncDisposableStack;
  #agent: Child | undefined;
  #succeeded = false;

  private constructor(parts: Parts, cleanUp: AsyncDisposableStack) {
    this.#parts = parts;
    this.#cleanUp = cleanUp;
  }

  static async start(kind: SourceKind, tools: Tools, main: string): Promise<Session> {
    await using stack = new AsyncDisposableStack();
    const folder = realpathSync(mkdtempSync(join(tmpdir(), `polaris-push-rest-${kind.name}-`)));
    const source = stack.use(await kind.start(tools, folder, main));
    const emulator = stack.use(await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: source.location }] }));
    mkdirSync(join(folder, 'agent'));
    const file = join(folder, 'agent', 'polaris-push.yaml');
    const announcements = kind.announced === true ? await Announcements.open() : undefined;
    const { http, ...following } = announcements?.sections ?? { poll: { list: '500ms', requests_per_second: 200 } };
    const config = {
      source: { ...source.config, ...following },
      targets: [{ name: 'main', uri: `${emulator.uri}/api/catalog`, catalog: CATALOG, auth: authOf(ROOT) }],
      ledger: { path: join(folder, 'agent', 'ledger.db') },
      // The workload drops most of what it creates, which is what the budget is there to hold.
      drops: { budget: 'off' },
      ...(http === undefined ? {} : { http }),
    };
    writeFileSync(file, stringify(config));
    const runAgent = (...args: readonly string[]) =>
      new Child({
        program: process.execPath,
        args: [main, ...args, '--config', file],
        logFile: join(folder, 'agent', 'agent.log'),
      });
    const polaris = await Polaris.login(emulator.uri, ROOT);
    // The emulated Polaris can't read an object store, so it knows only where a table's metadata lies.
    const fields = source.location.startsWith('file:') ? FIELDS : (['metadataLocation'] as const);
    const parts = { source, polaris, witness: new Witness(emulator), folder, fields, announcements, runAgent };
    return new Session(parts, stack.move());
  }

  get notifications(): number {
    return this.#parts.witness.notifications;
  }

  /** Where the logs are. */
  get folder(): string {
    return this.#parts.folder;
  }

  /** Starts the agent for good. */
  run(): void {
    this.#agent = this.#parts.runAgent('run');
  }

  /** Runs one command of the agent to its end; throws with its output unless it ends with 0. */
  async command(...args: readonly string[]): Promise<void> {
    await using child = this.#parts.runAgent(...args);
    const ended = await child.ended();
    if (ended !== 0) throw new Error(`${args.join(' ')} ended with ${String(ended)}.\n${child.tail()}`);
  }

  /** Carries an operation out and waits until Polaris is equal. Throws with the differences if it doesn't become so. */
  async perform(operation: Operation): Promise<Compared> {
    const { writer } = this.#parts.source;
    if (operation.agentStopped === true) await this.#stopAgent();
    for (const request of operation.requests) {
      try {
        await writer.do(request);
      } catch (error) {
        const text = `The catalog refused ${JSON.stringify(request)}: ${String(error)}`;
        throw new Error([text, this.#parts.source.tail()].join('\n'), { cause: error });
      }
      if (operation.agentStopped !== true) await this.#parts.announcements?.tell(request);
    }
    if (operation.agentStopped === true) this.run();
    if (operation.catalogKilled === true) await this.#killCatalog();
    return this.compare(operation);
  }

  async compare({ requests }: Pick<Operation, 'requests'>): Promise<Compared> {
    const { source, polaris, witness, fields } = this.#parts;
    const before = performance.now();
    const tables = await source.writer.tables();
    let found: readonly string[] = [];
    try {
      await until(
        'Polaris is equal to the catalog',
        async () => {
          if (this.#agent?.alive !== true) throw new Error('The agent ended by itself.');
          found = differences(tables, await polaris.tables(CATALOG), [], fields);
          return found.length === 0;
        },
        { timeoutMs: PATIENCE_MS },
      );
    } catch (error) {
      const tails = [this.#agent?.tail() ?? '', source.tail()];
      throw new Error([String(error), ...found, ...tails].join('\n'), { cause: error });
    }
    const violations = witness.violations(requests, tables);
    if (violations.length > 0) throw new Error(violations.join('\n'));
    return { tables: tables.length, tookMs: performance.now() - before };
  }

  /** Ends it in order. Throws when a timestamp did not increase, or the agent doesn't leave with 0. */
  async finish(): Promise<void> {
    const wrong = this.#parts.witness.timestampViolations();
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    await this.compare({ requests: [] });
    await this.#stopAgent();
    this.#succeeded = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
    await this.#cleanUp.disposeAsync();
    if (this.#succeeded) rmSync(this.folder, { recursive: true, force: true });
  }

  async #stopAgent(): Promise<void> {
    const ended = await this.#agent?.stop();
    if (ended !== 0) throw new Error(`The agent left with ${String(ended)} on SIGTERM.\n${this.#agent?.tail() ?? ''}`);
  }

  async #killCatalog(): Promise<void> {
    const { source } = this.#parts;
    if (source.restart === undefined) throw new Error('This catalog would come back empty.');
    const port = Number(new URL(String(source.config['uri'])).port);
    await source.restart(() => refusals(port, ATTEMPTS));
  }
}

/** Cuts every connection to a port of a server that is down, and resolves after so many. */
async function refusals(port: number, count: number): Promise<void> {
  let seen = 0;
  const server = createServer((socket) => {
    seen++;
    socket.on('error', () => {});
    socket.resetAndDestroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  try {
    await until(`the agent has asked ${count} times in vain`, () => seen >= count);
  } finally {
    await new Promise((resolve) => {
      server.close(resolve);
    });
  }
}
