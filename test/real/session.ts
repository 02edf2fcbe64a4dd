import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPostgres, type Postgres } from '../../examples/quickstart/postgres.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { Agent, SLOT } from './agent.ts';
import { assemble } from './assembly.ts';
import { until } from './child.ts';
import { differences } from './comparison.ts';
import { Driver, type Request, type SourceTable } from './driver.ts';
import { connectionFor } from './login.ts';
import { createSchema, DATABASE, startMetastore, type Metastore } from './metastore.ts';
import type { Operation } from './operations.ts';
import { AGENT_PRIVILEGES, type Credentials, Polaris, READER_PRIVILEGES } from './polaris.ts';
import type { Jdk } from './toolchain.ts';
import { DRIVER, type Version } from './versions.ts';
import { Witness } from './witness.ts';

const CATALOG = 'mirror';
const ROOT = { clientId: 'root', clientSecret: 's3cr3t' };
const DRIVER_SOURCES = fileURLToPath(new URL('driver', import.meta.url));
/** How long Polaris may take to become equal after an operation; it takes well under a second. */
const PATIENCE_MS = 30_000;
const FAST_STOP_MS = 5000;

/** `main` is the agent's entry. */
export type Tools = { readonly jdk: Jdk; readonly maven: string; readonly main: string };

/** One operation, after which Polaris was equal to the metastore. */
export type Compared = {
  /** Tables that were compared. */
  readonly tables: number;
  /** From the end of the operation until Polaris was seen to be equal. */
  readonly tookMs: number;
};

/** `polaris` is the URI of the catalog API, `credential` an `id:secret` that may read all tables. */
export type Addresses = Readonly<Record<'metastore' | 'polaris' | 'catalog' | 'credential', string>>;

type Parts = {
  readonly folder: string;
  readonly postgres: Postgres;
  readonly metastore: Metastore;
  readonly driver: Driver;
  readonly polaris: Polaris;
  readonly polarisUri: string;
  readonly reader: Credentials;
  readonly agent: Agent;
  readonly witness: Witness;
};

/**
 * A metastore of one version on a PostgreSQL of its own, Iceberg's HiveCatalog as its writer, an emulated Polaris, and
 * the agent between them, all in one folder. The folder is kept if `succeeded` was never called.
 */
export class Session implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #cleanUp: AsyncDisposableStack;
  #succeeded = false;

  private constructor(parts: Parts, cleanUp: AsyncDisposableStack) {
    this.#parts = parts;
    this.#cleanUp = cleanUp;
  }

  /** Starts everything; the agent has caught up with the empty metastore. */
  static async start(version: Version, tools: Tools): Promise<Session> {
    const folder = mkdtempSync(join(tmpdir(), `polaris-push-real-${version.version}-`));
    await using stack = new AsyncDisposableStack();
    const postgres = stack.use(
      await startPostgres({ major: version.postgres, settings: { wal_sender_timeout: '6s' } }),
    );
    const { metastore, driver, warehouse } = await startWriter({ version, tools, postgres, folder, stack });
    const emulator = stack.use(await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: warehouse }] }));
    const polaris = await Polaris.login(emulator.uri, ROOT);
    const agent = stack.use(
      new Agent({
        main: tools.main,
        connection: await connectionFor(version.role, postgres),
        polaris: `${emulator.uri}/api/catalog`,
        catalog: CATALOG,
        credentials: await polaris.createPrincipal(CATALOG, 'sync_agent', AGENT_PRIVILEGES),
        folder,
      }),
    );
    await agent.check();
    await agent.start();
    const witness = new Witness(emulator);
    const reader = await polaris.createPrincipal(CATALOG, 'analyst', READER_PRIVILEGES);
    const parts = { folder, postgres, metastore, driver, polaris, polarisUri: emulator.uri, reader, agent, witness };
    return new Session(parts, stack.move());
  }

  /** For clients of Polaris and of the metastore besides the driver. */
  get addresses(): Addresses {
    const { metastore, polarisUri, reader } = this.#parts;
    return {
      metastore: metastore.uri,
      polaris: `${polarisUri}/api/catalog`,
      catalog: CATALOG,
      credential: `${reader.clientId}:${reader.clientSecret}`,
    };
  }

  get notifications(): number {
    return this.#parts.witness.notifications;
  }

  /** Where the logs are. */
  get folder(): string {
    return this.#parts.folder;
  }

  /** What Iceberg finds in the metastore now. */
  async tables(): Promise<readonly SourceTable[]> {
    return this.#parts.driver.tables();
  }

  /** Carries out an operation and waits until Polaris is equal to the metastore; throws with the differences if it isn't. */
  async perform(operation: Operation): Promise<Compared> {
    const { agent, postgres } = this.#parts;
    if (operation.restartPostgres === true) await restart(postgres);
    if (operation.whileStopped !== undefined) await agent.stop(operation.whileStopped);
    if (operation.refused === undefined) await this.#run(operation.requests);
    else await this.#runRefused(operation.requests, operation.refused);
    if (operation.whileStopped !== undefined) await agent.start();
    return this.compare(operation);
  }

  async compare({ requests, kept = [] }: Pick<Operation, 'requests' | 'kept'>): Promise<Compared> {
    const { polaris, agent, witness } = this.#parts;
    const before = performance.now();
    const source = await this.tables();
    let found: readonly string[] = [];
    try {
      await until(
        'Polaris is equal to the metastore',
        async () => {
          if (!agent.alive) throw new Error('The agent ended by itself.');
          found = differences(source, await polaris.tables(CATALOG), kept);
          return found.length === 0;
        },
        { timeoutMs: PATIENCE_MS, everyMs: 25 },
      );
    } catch (error) {
      throw new Error([String(error), ...found, agent.tail()].join('\n'), { cause: error });
    }
    const violations = witness.violations(requests, source);
    if (violations.length > 0) throw new Error(violations.join('\n'));
    return { tables: source.length + kept.length, tookMs: performance.now() - before };
  }

  /** The rules that hold over the whole run; throws with what broke them. Ends the agent. */
  async finish(): Promise<void> {
    const { postgres, agent, witness, folder } = this.#parts;
    const violations = witness.timestampViolations();
    if (violations.length > 0) throw new Error(violations.join('\n'));
    await confirmed(postgres);
    await this.compare({ requests: [] });
    await agent.stop('SIGTERM');
    // What a publication that doesn't fit the tables does to the metastore: PostgreSQL refuses its writes.
    const hurt = /^.*(replica identity|publication).*$/im.exec(readFileSync(join(folder, 'metastore.log'), 'utf8'));
    if (hurt !== null) throw new Error(`The publication disturbed the metastore: ${hurt[0]}`);
  }

  succeeded(): void {
    this.#succeeded = true;
  }

  async #run(requests: readonly Request[]): Promise<void> {
    const { driver, metastore } = this.#parts;
    for (const request of requests) {
      try {
        await driver.run(request);
      } catch (error) {
        const text = `The metastore refused ${JSON.stringify(request)}: ${String(error)}`;
        throw new Error([text, driver.tail(), metastore.process.tail()].join('\n'), { cause: error });
      }
    }
  }

  async #runRefused(requests: readonly Request[], refused: RegExp): Promise<void> {
    for (const request of requests) {
      const answer = await this.#parts.driver.run(request).catch(String);
      if (!refused.test(String(answer))) {
        throw new Error(
          `The metastore answered ${String(answer)} to ${JSON.stringify(request)}, not ${String(refused)}`,
        );
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanUp.disposeAsync();
    if (this.#succeeded) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Restarts the server as an operator does. An attached agent must not hold it up: it would wait for its last word. */
async function restart(postgres: Postgres): Promise<void> {
  const tookMs = await postgres.stop('fast');
  if (tookMs > FAST_STOP_MS) throw new Error(`A fast stop of PostgreSQL took ${Math.round(tookMs)} ms.`);
  await postgres.start();
}

/** Waits until the slot holds back none of the WAL that was written up to now. */
async function confirmed(postgres: Postgres): Promise<void> {
  const database = await postgres.client(DATABASE);
  try {
    const { rows } = await database.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn');
    await until('the slot has confirmed all that the metastore wrote', async () => {
      const slot = await database.query(
        'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn',
        [SLOT, rows[0]?.lsn],
      );
      return slot.rowCount === 1;
    });
  } finally {
    await database.end();
  }
}

/** The metastore's database with the schema of its version, the server, and the driver; the stack stops them. */
async function startWriter(options: {
  readonly version: Version;
  readonly tools: Tools;
  readonly postgres: Postgres;
  readonly folder: string;
  readonly stack: AsyncDisposableStack;
}): Promise<{ readonly metastore: Metastore; readonly driver: Driver; readonly warehouse: string }> {
  const { version, postgres, folder, stack } = options;
  const { jdk, maven } = options.tools;
  const { home = '' } = await assemble(version.schemaFrom, maven, jdk);
  const sources = readdirSync(DRIVER_SOURCES).map((name) => join(DRIVER_SOURCES, name));
  const assembly = await assemble({ ...DRIVER, sources }, maven, jdk);
  const server = await assemble(version.parts, maven, jdk);
  await createSchema(postgres, join(home, version.schemaScript));
  const metastore = await startMetastore({ version, server, jdk, postgres, folder });
  stack.use(metastore.process);
  const warehouse = `file://${join(folder, 'warehouse')}`;
  const driver = stack.use(await Driver.start({ assembly, jdk, uri: metastore.uri, warehouse, folder }));
  return { metastore, driver, warehouse };
}
