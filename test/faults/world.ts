import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import type { Comparison } from '../../examples/quickstart/comparison.ts';
import { embeddedSetup, startMetastore, type EmbeddedMetastore } from '../../examples/quickstart/embedded.ts';
import { Session } from '../../examples/quickstart/session.ts';
import { truth } from '../../examples/quickstart/truth.ts';
import { createTables, Operations, randomWorkload, seeded, type Writers } from '../../examples/quickstart/workload.ts';
import { HiveWriter, type HiveWriterOptions } from '../../examples/quickstart/writer.ts';
import { tableOf } from '../../src/core/table.ts';
import { startEmulator, type Emulator } from '../../src/polaris/emulator/emulator.ts';
import type { EmulatorOptions } from '../../src/polaris/emulator/options.ts';
import { Witness } from './witness.ts';

const CATALOG = 'hive_mirror';
const CREDENTIALS = { clientId: 'root', clientSecret: 's3cr3t' };

export type WorldOptions = {
  readonly seed: number;
  readonly writer?: Partial<HiveWriterOptions> | undefined;
  readonly emulator?: EmulatorOptions | undefined;
};

/**
 * A metastore on a real PostgreSQL, engines that work on it, an emulated Polaris, and the agent as a process of its own that
 * can be killed and started again: it finds its ledger and its slot as it left them.
 */
export class World implements AsyncDisposable {
  readonly metastore: EmbeddedMetastore;
  readonly client: pg.Client;
  readonly emulator: Emulator;
  readonly witness: Witness;
  readonly writers: Writers;
  readonly operations = new Operations();
  readonly random: () => number;
  readonly folder: string;
  readonly #parts: AsyncDisposableStack;

  private constructor(parts: WorldParts, opened: AsyncDisposableStack) {
    this.metastore = parts.metastore;
    this.client = parts.client;
    this.emulator = parts.emulator;
    this.witness = parts.witness;
    this.writers = parts.writers;
    this.random = parts.random;
    this.folder = parts.folder;
    this.#parts = opened;
  }

  static async open(options: WorldOptions): Promise<World> {
    await using opened = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'polaris-push-faults-'));
    opened.defer(() => rmSync(folder, { recursive: true, force: true }));
    const warehouse = join(folder, 'warehouse');
    mkdirSync(warehouse);
    // The witness asks since when a table exists.
    const metastore = opened.use(await startMetastore({ settings: { track_commit_timestamp: 'on' } }));
    const baseLocation = pathToFileURL(warehouse).href;
    const emulator = opened.use(
      await startEmulator({ catalogs: [{ name: CATALOG, baseLocation }], ...options.emulator }),
    );
    const client = await metastore.client();
    opened.defer(() => client.end());
    const asking = new pg.Pool({ connectionString: metastore.url, max: 4 });
    opened.defer(() => asking.end());
    const witness = opened.use(new Witness(emulator, asking));
    const connection = { connectionString: metastore.url, warehouse, ...options.writer };
    const locking = opened.use(new HiveWriter(connection));
    const lockFree = opened.use(new HiveWriter({ ...connection, locks: false }));
    const random = seeded(options.seed);
    const writers = { locking, lockFree };
    return new World({ metastore, client, emulator, witness, writers, random, folder }, opened.move());
  }

  /** Starts the agent on what its predecessor left. */
  session(options: { readonly once?: boolean } = {}): Session {
    const access = { uri: `${this.emulator.uri}/api/catalog`, catalog: CATALOG, ...CREDENTIALS };
    return new Session({
      setup: embeddedSetup(this.folder, this.metastore, access),
      source: () => truth(this.client),
      mirror: async () => this.#served(),
      ...options,
    });
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

  /** Waits until both sides are equal; throws with what differs after `withinMs`. */
  async equal(session: Session, withinMs = 30_000): Promise<Comparison> {
    const comparison = await session.equal(withinMs);
    const { missing, different, extra } = comparison;
    if (missing.length + different.length + extra.length > 0) {
      throw new Error(`Still not equal after ${withinMs} ms: ${JSON.stringify(comparison)}\n${session.agent.tail()}`);
    }
    return comparison;
  }

  #served(): Map<string, string> {
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

type WorldParts = Pick<World, 'metastore' | 'client' | 'emulator' | 'witness' | 'writers' | 'random' | 'folder'>;

export type Work = { readonly stop: () => Promise<void> };
