import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { compare, isEqual, type Comparison } from '../../examples/quickstart/comparison.ts';
import { startMetastore, type EmbeddedMetastore } from '../../examples/quickstart/embedded.ts';
import { truth } from '../../examples/quickstart/truth.ts';
import { createTables, Operations, randomWorkload, seeded, type Writers } from '../../examples/quickstart/workload.ts';
import { HiveWriter, type HiveWriterOptions } from '../../examples/quickstart/writer.ts';
import { tableOf } from '../../src/core/table.ts';
import { startEmulator, type Emulator } from '../../src/polaris/emulator/emulator.ts';
import type { EmulatorOptions } from '../../src/polaris/emulator/options.ts';
import { startStandby, type Standby } from '../connectors/hive/standby.ts';
import { Agent, type AgentCommand } from './agent.ts';
import { FaultProxy } from './fault-proxy.ts';
import { Witness } from './witness.ts';

export const CATALOG = 'hive_mirror';
const LOOK_MS = 50;
const PATIENCE_MS = 40_000;

export type WorldOptions = {
  readonly seed: number;
  readonly writer?: Partial<HiveWriterOptions> | undefined;
  readonly emulator?: EmulatorOptions | undefined;
  /** Lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** With a physical standby (of PostgreSQL 15), which can be promoted. */
  readonly standby?: boolean | undefined;
  /** More than one sender: timestamps of different ones needn't grow together. */
  readonly senders?: 'one' | 'several' | undefined;
};

/** What one agent has for itself. Another one on the same world needs another name. */
export type LifeOptions = Omit<AgentCommand, 'file'> & {
  /** Of its folder, its slot and its publication. */
  readonly name?: string | undefined;
  /** Where its ledger lies; in its folder unless told. */
  readonly ledger?: string | undefined;
  /** Its own way to Polaris, if it isn't that of all agents. */
  readonly polarisPort?: number | undefined;
  /** Further keys of the source's configuration. */
  readonly source?: Readonly<Record<string, unknown>> | undefined;
  /** Further keys of its configuration, or other values of them. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
};

/**
 * A metastore on a real PostgreSQL, engines that work on it, an emulated Polaris, and agents as processes of their own that
 * can be killed and started again: they find ledger and slot as they left them. What an agent says to PostgreSQL and to
 * Polaris goes through a proxy each; the engines and those who judge have ways of their own.
 */
export class World implements AsyncDisposable {
  readonly metastore: EmbeddedMetastore;
  readonly standby: Standby | undefined;
  /** For administrators. Survives a restart of the server. */
  readonly admin: pg.Pool;
  readonly emulator: Emulator;
  readonly witness: Witness;
  readonly writers: Writers;
  /** Between the agents and PostgreSQL. */
  readonly toSource: FaultProxy;
  /** Between the agents and Polaris. */
  readonly toPolaris: FaultProxy;
  /** Between everybody else and PostgreSQL: leads to another server after a failover. */
  readonly door: FaultProxy;
  readonly operations = new Operations();
  readonly random: () => number;
  readonly folder: string;
  readonly warehouse: string;
  readonly #parts: AsyncDisposableStack;

  private constructor(parts: WorldParts, opened: AsyncDisposableStack) {
    this.metastore = parts.metastore;
    this.standby = parts.standby;
    this.admin = parts.admin;
    this.emulator = parts.emulator;
    this.witness = parts.witness;
    this.writers = parts.writers;
    this.toSource = parts.toSource;
    this.toPolaris = parts.toPolaris;
    this.door = parts.door;
    this.random = parts.random;
    this.folder = parts.folder;
    this.warehouse = parts.warehouse;
    this.#parts = opened;
  }

  static async open(options: WorldOptions): Promise<World> {
    await using opened = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'polaris-push-faults-'));
    opened.defer(() => rmSync(folder, { recursive: true, force: true }));
    const warehouse = join(folder, 'warehouse');
    mkdirSync(warehouse);
    const metastore = opened.use(await startMetastore(postgresOptions(options)));
    const { postgres } = metastore;
    const standby = options.standby === true ? opened.use(await startStandby(postgres, 15)) : undefined;
    const emulator = opened.use(
      await startEmulator({
        catalogs: [{ name: CATALOG, baseLocation: pathToFileURL(warehouse).href }],
        ...options.emulator,
      }),
    );
    const [toSource, door, toPolaris] = [
      opened.use(await FaultProxy.start(postgres.port)),
      opened.use(await FaultProxy.start(postgres.port)),
      opened.use(await FaultProxy.start(Number(new URL(emulator.uri).port))),
    ];
    const url = through(metastore.url, door);
    const admin = new pg.Pool({ connectionString: url, max: 4 });
    admin.on('error', () => {}); // a connection that the server closed while it was idle
    admin.on('connect', (client) => void client.on('error', () => {})); // or in use: then its query fails
    opened.defer(() => admin.end());
    const witness = opened.use(new Witness(emulator, { source: admin, senders: options.senders }));
    const connection = { connectionString: url, warehouse, ...options.writer };
    const locking = opened.use(new HiveWriter(connection));
    const lockFree = opened.use(new HiveWriter({ ...connection, locks: false }));
    const parts = { metastore, standby, admin, emulator, witness, toSource, toPolaris, door, folder, warehouse };
    const writers = { locking, lockFree };
    return new World({ ...parts, writers, random: seeded(options.seed) }, opened.move());
  }

  /** Writes an agent's configuration; returns the path. Its timeouts are short, so that a test needn't wait for the usual ones. */
  configure({ name = 'polaris_push', ledger, polarisPort, source, config: more }: LifeOptions = {}): string {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    const config = {
      source: {
        kind: 'hive',
        connection: through(this.metastore.agentUrl, this.toSource),
        slot: name,
        connect_timeout: '2s',
        query_timeout: '2s',
        inspect: '200ms',
        ...source,
      },
      targets: [
        {
          name: 'main',
          uri: `http://127.0.0.1:${polarisPort ?? this.toPolaris.port}/api/catalog`,
          catalog: CATALOG,
          auth: { client_id: 'root', client_secret: 's3cr3t' },
          timeouts: { connect: '1s', headers: '2s', body: '1s', total: '4s' },
        },
      ],
      ledger: { path: ledger ?? join(folder, 'ledger.db') },
      // The workload drops tables all the time, which is what the budget is there to hold.
      drops: { budget: 'off' },
      ...more,
    };
    const file = join(folder, 'polaris-push.yaml');
    writeFileSync(file, JSON.stringify(config)); // JSON is YAML
    return file;
  }

  /** Starts an agent on what its predecessor of the same name left. */
  agent(life: LifeOptions = {}): Agent {
    const { nodeArgs, shell, options } = life;
    return new Agent({ file: this.configure(life), nodeArgs, shell, options });
  }

  /** Sets engines to work, for as long as it isn't stopped. */
  async work(options: { readonly engines: number; readonly pauseMs: number }): Promise<Work> {
    if (this.operations.total === 0) await createTables(this.writers.locking, this.operations);
    const stopping = new AbortController();
    const { signal } = stopping;
    const engine = () =>
      randomWorkload({
        writers: this.writers,
        operations: this.operations,
        signal,
        random: this.random,
        pause: () => sleep(this.random() * 2 * options.pauseMs),
      });
    const engines = Promise.all(Array.from({ length: options.engines }, engine));
    engines.catch(() => {}); // thrown by stop()
    return {
      stop: async () => {
        stopping.abort();
        await engines;
      },
    };
  }

  /** Waits until both sides are equal; throws with what differs after `withinMs`, or when an agent has ended. */
  async equal(agents: Agent | readonly Agent[], withinMs = 30_000): Promise<Comparison> {
    const all = [agents].flat();
    const deadline = performance.now() + withinMs;
    for (;;) {
      for (const agent of all) agent.check();
      const comparison = await this.compare();
      if (isEqual(comparison)) return comparison;
      if (performance.now() > deadline) {
        const said = all.map((agent) => agent.tail()).join('\n');
        throw new Error(`Still not equal after ${withinMs} ms: ${JSON.stringify(comparison)}\n${said}`);
      }
      await sleep(LOOK_MS);
    }
  }

  /** The source first: what is in Polaris later can only be newer. */
  async compare(): Promise<Comparison> {
    const client = await this.admin.connect();
    const source = await truth(client).finally(() => client.release());
    return compare(source, this.served());
  }

  /** What Polaris serves: table → metadata location. */
  served(): Map<string, string> {
    const tables = new Map<string, string>();
    for (const [key, { metadataLocation }] of this.emulator.tables(CATALOG)) {
      const { namespace, name } = tableOf(key);
      tables.set([...namespace, name].join('.'), metadataLocation);
    }
    return tables;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]();
  }
}

type WorldParts = Pick<
  World,
  | 'metastore'
  | 'standby'
  | 'admin'
  | 'emulator'
  | 'witness'
  | 'writers'
  | 'toSource'
  | 'toPolaris'
  | 'door'
  | 'random'
  | 'folder'
  | 'warehouse'
>;

export type Work = { readonly stop: () => Promise<void> };

const postgresOptions = ({ standby, settings }: WorldOptions) => ({
  // The witness asks since when a table exists.
  settings: { track_commit_timestamp: 'on', ...settings },
  ...(standby === true ? { major: 15 as const } : {}),
});

function through(url: string, proxy: FaultProxy): string {
  const changed = new URL(url);
  changed.port = String(proxy.port);
  return changed.href;
}

/** Waits until something holds; rejects with `what` after longer than it takes on a busy machine. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Never so: ${what}.`);
    await sleep(20);
  }
}
