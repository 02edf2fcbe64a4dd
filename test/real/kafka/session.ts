import { createWriteStream, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { agentEnvironment, writeAgentConfig } from '../../../examples/quickstart/agent-config.ts';
import { createWarehouse, embeddedSetup, startMetastore, startPolaris } from '../../../examples/quickstart/embedded.ts';
import type { PolarisAccess } from '../../../examples/quickstart/polaris-reader.ts';
import { truth } from '../../../examples/quickstart/truth.ts';
import { HiveWriter } from '../../../examples/quickstart/writer.ts';
import { until } from '../child.ts';
import { type ConsumedRecord, KafkaBroker, type KafkaTools } from '../kafka-broker.ts';
import { CompressedAgent } from './agent.ts';
import { CompressedClock } from './compressed-clock.ts';

/** The sinks of the agent, each with a topic of its name. */
export const SINKS = {
  /** Every event. */
  every: { coalesce: false },
  /** The latest of each table that hasn't left yet. */
  latest: {},
  /** Every event until so many wait. */
  bounded: { coalesce: false, limit: 40 },
  /** A topic that takes no longer records than `NARROW_BYTES`. */
  narrow: {},
} as const;

export type SinkName = keyof typeof SINKS;

export const PARTITIONS = 3;
/** A record of a table with a short name has some 800 bytes. */
export const NARROW_BYTES = 1_100;

const NAMES = Object.keys(SINKS) as SinkName[];

/** Metastore, agent, emulated Polaris, and Kafka's own broker, with Kafka's own consumer on every topic. */
export class Session implements AsyncDisposable {
  readonly folder: string;
  readonly kafka: KafkaBroker;
  readonly clock = new CompressedClock();
  readonly agent: CompressedAgent;
  readonly writer: HiveWriter;
  readonly access: PolarisAccess;
  readonly records: Readonly<Record<SinkName, ConsumedRecord[]>>;
  readonly #client: pg.Client;
  readonly #parts: AsyncDisposableStack;
  #succeeded = false;

  private constructor(
    parts: AsyncDisposableStack,
    made: Pick<Session, 'folder' | 'kafka' | 'writer' | 'access' | 'records'> & {
      readonly client: pg.Client;
      readonly configFile: string;
      readonly env: NodeJS.ProcessEnv;
    },
  ) {
    this.#parts = parts;
    this.folder = made.folder;
    this.kafka = made.kafka;
    this.writer = made.writer;
    this.access = made.access;
    this.records = made.records;
    this.#client = made.client;
    const log = createWriteStream(join(made.folder, 'agent.log'));
    const { configFile, env } = made;
    this.agent = new CompressedAgent({ configFile, env, clock: this.clock, onLog: (text) => log.write(text) });
  }

  static async start(tools: KafkaTools): Promise<Session> {
    await using parts = new AsyncDisposableStack();
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'polaris-push-kafka-')));
    const kafka = parts.use(await KafkaBroker.start(tools, join(folder, 'kafka')));
    const records: Record<SinkName, ConsumedRecord[]> = { every: [], latest: [], bounded: [], narrow: [] };
    for (const name of NAMES) {
      await kafka.createTopic(name, PARTITIONS, name === 'narrow' ? { 'max.message.bytes': NARROW_BYTES } : {});
      kafka.consume(name, (record) => records[name].push(record));
    }
    const metastore = parts.use(await startMetastore({ detached: true }));
    const warehouse = createWarehouse(folder);
    const { command: polaris, access } = await startPolaris(warehouse);
    parts.use(polaris);
    const home = join(folder, 'agent');
    mkdirSync(home);
    const forward = NAMES.map((name) => ({
      kind: 'kafka',
      name,
      brokers: [kafka.address],
      topic: name,
      ...SINKS[name],
    }));
    const setup = { ...embeddedSetup(home, metastore, access), forward };
    const configFile = writeAgentConfig(setup);
    const client = await metastore.client();
    parts.defer(() => client.end());
    const writer = parts.use(new HiveWriter({ connectionString: metastore.url, warehouse, locks: false }));
    const env = { ...process.env, ...agentEnvironment(setup) };
    const session = new Session(parts.move(), { folder, kafka, writer, access, records, client, configFile, env });
    try {
      await session.agent.start();
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Table (with dots) → metadata location, as the metastore has it. */
  truth(): Promise<ReadonlyMap<string, string>> {
    return truth(this.#client);
  }

  /** Waits until Polaris has been told of everything that the metastore holds, and of every DROP in `dropped`. */
  async mirrored(dropped: readonly string[] = []): Promise<void> {
    const source = await this.truth();
    await until('everything is admitted', () => {
      this.agent.check();
      const last = new Map(this.agent.admitted.map((one) => [one.table, one]));
      return (
        [...source].every(([table, location]) => last.get(table)?.location === location) &&
        dropped.every((table) => last.get(table)?.type === 'DROP')
      );
    });
  }

  /** How many events wait at each sink, and how many were refused, as `polaris-push status` has it. */
  async standing(): Promise<Readonly<Record<SinkName, { readonly waiting: number; readonly refused: number }>>> {
    const told = await this.agent.command('status');
    const of = (name: SinkName) => {
      const found = told.find(({ event, sink }) => event === 'sink' && sink === name);
      if (found === undefined) throw new Error(`status says nothing of sink ${name}.`);
      return { waiting: Number(found['waiting']), refused: Number(found['refused']) };
    };
    return { every: of('every'), latest: of('latest'), bounded: of('bounded'), narrow: of('narrow') };
  }

  /** Keeps no logs. */
  succeeded(): void {
    this.#succeeded = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.clock.setSpeed(1);
    await this.agent.stop().catch(() => {}); // what failed before is what counts
    await this.#parts.disposeAsync();
    if (this.#succeeded) rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
