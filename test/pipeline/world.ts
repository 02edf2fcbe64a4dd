import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { connectors } from '../../connectors/index.ts';
import { startPostgres, type Postgres } from '../../examples/quickstart/postgres.ts';
import { truth } from '../../examples/quickstart/truth.ts';
import { createMetastore, HiveWriter } from '../../examples/quickstart/writer.ts';
import { App } from '../../src/app.ts';
import { configSchema, type Config } from '../../src/config/schema.ts';
import type { Policy } from '../../src/core/policy.ts';
import { showTable, tableOf } from '../../src/core/table.ts';
import { runPipeline } from '../../src/pipeline/pipeline.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { startEmulator, type Emulator } from '../../src/polaris/emulator/emulator.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import type { Log, LogFields } from '../../src/runtime/log.ts';
import { seededRandom } from '../../src/runtime/random.ts';

/** A metastore on a real PostgreSQL, an emulated Polaris, and whatever agents a test starts between them. */
export type World = AsyncDisposable & {
  readonly postgres: Postgres;
  readonly client: pg.Client;
  /** The folder of the metastore's files; Polaris allows locations below it. */
  readonly warehouse: string;
  readonly writer: HiveWriter;
  readonly polaris: Emulator;
  readonly config: (overrides?: Record<string, unknown>) => Promise<Config>;
  /** A request to the catalog API as another user of Polaris makes it. Rejects when it is refused. */
  readonly asAdministrator: (method: string, path: string, body?: object) => Promise<void>;
  readonly startAgent: (options?: AgentOptions) => Promise<Agent>;
  /** Rejects when source and Polaris do not become equal within ten seconds, telling the difference. */
  readonly equal: () => Promise<void>;
};

export type AgentOptions = {
  readonly overrides?: Record<string, unknown>;
  readonly policy?: Partial<Policy>;
  readonly clock?: Clock;
};

export type Agent = AsyncDisposable & {
  readonly app: App;
  readonly events: PipelineEvent[];
  /** Resolves with the first event for which `wanted` is true, also one that has been. */
  readonly until: <E extends PipelineEvent>(wanted: (event: PipelineEvent) => event is E) => Promise<E>;
  readonly caughtUp: () => Promise<unknown>;
  /** The fields of the lines that it logged under this name. */
  readonly logged: (event: string) => readonly LogFields[];
  /** Ends it in an orderly way; rejects with what broke it. */
  readonly stop: () => Promise<void>;
};

export const CATALOG = 'hive_mirror';

export async function openWorld(): Promise<World> {
  const stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-world-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const postgres = stack.use(await startPostgres());
  const client = await postgres.client();
  stack.defer(() => client.end());
  await createMetastore(client);
  const warehouse = join(folder, 'warehouse');
  const writer = stack.use(new HiveWriter({ connectionString: postgres.url(), warehouse, locks: false }));
  const polaris = stack.use(
    await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: `file://${warehouse}` }] }),
  );
  const config = async (overrides: Record<string, unknown> = {}): Promise<Config> => {
    const definition = await connectors['hive']!();
    return configSchema(definition.config).parse({
      source: { kind: 'hive', connection: postgres.url() },
      targets: [
        {
          name: 'main',
          uri: `${polaris.uri}/api/catalog`,
          catalog: CATALOG,
          auth: { client_id: 'root', client_secret: 's3cr3t' },
        },
      ],
      ledger: { path: join(folder, 'ledger', 'ledger.db') },
      ...overrides,
    });
  };
  const asAdministrator = async (method: string, path: string, body?: object): Promise<void> => {
    const credentials = 'grant_type=client_credentials&client_id=root&client_secret=s3cr3t&scope=PRINCIPAL_ROLE:ALL';
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const api = `${polaris.uri}/api/catalog/v1`;
    const token = await fetch(`${api}/oauth/tokens`, { method: 'POST', headers, body: credentials });
    const { access_token } = (await token.json()) as { access_token: string };
    const answer = await fetch(`${api}/${CATALOG}/${path}`, {
      method,
      headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
  const startAgent = async (options: AgentOptions = {}) => agentOf(await config(options.overrides), options);
  const equal = () =>
    eventually(async () => {
      const source = await truth(client);
      const served = new Map(
        [...polaris.tables(CATALOG)].map(([key, table]) => [showTable(tableOf(key)), table.metadataLocation]),
      );
      const names = [...new Set([...source.keys(), ...served.keys()])];
      const different = names.filter((name) => source.get(name) !== served.get(name));
      if (different.length === 0) return undefined;
      const differences = different.map(
        (name) => `${name}: the source has ${source.get(name) ?? 'nothing'}, Polaris ${served.get(name) ?? 'nothing'}`,
      );
      return differences.join('\n');
    });
  return {
    postgres,
    client,
    warehouse,
    writer,
    polaris,
    config,
    asAdministrator,
    startAgent,
    equal,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function agentOf(config: Config, { policy, clock = systemClock }: AgentOptions): Promise<Agent> {
  const definition = await connectors['hive']!();
  const random = seededRandom(1);
  const lines: (readonly [event: string, fields: LogFields])[] = [];
  const log = logInto(lines);
  const app = await App.open({ config, definition, clock, random, log });
  const events: PipelineEvent[] = [];
  const waiting = new Set<() => void>();
  const emit = (event: PipelineEvent) => {
    events.push(event);
    for (const look of waiting) look();
  };
  const { connector, ledger } = app;
  const stop = new AbortController();
  const drivers = app.drivers(emit, policy);
  const forwarders = await app.forwarders(emit);
  const parts = {
    connector,
    ledger,
    drivers,
    forwarders,
    clock,
    random,
    log,
    emit,
    reconcileEveryMs: config.reconcile.everyMs,
    auditEveryMs: config.reconcile.auditMs,
    targets: app.targets,
  };
  const running = runPipeline(parts, stop.signal, new AbortController().signal);
  running.catch(() => {}); // stop() tells
  const until = <E extends PipelineEvent>(wanted: (event: PipelineEvent) => event is E): Promise<E> =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = events.find(wanted);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      running.catch(reject);
      look();
    });
  const end = async () => {
    stop.abort();
    await running;
    await app[Symbol.asyncDispose]();
  };
  let ended: Promise<void> | undefined;
  return {
    app,
    events,
    until,
    logged: (wanted) => lines.flatMap(([event, fields]) => (event === wanted ? [fields] : [])),
    caughtUp: () => until((event): event is PipelineEvent & { kind: 'caught-up' } => event.kind === 'caught-up'),
    stop: () => (ended ??= end()),
    [Symbol.asyncDispose]: () => (ended ??= end()),
  };
}

function logInto(lines: (readonly [event: string, fields: LogFields])[]): Log {
  const line = (event: string, fields: LogFields = {}) => void lines.push([event, fields]);
  const log: Log = { debug() {}, info: line, warn: line, error: line, child: () => log };
  return log;
}

/** Waits until `problem` tells of none. */
export async function eventually(problem: () => Promise<string | undefined>, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await problem();
    if (found === undefined) return;
    if (performance.now() > deadline) throw new Error(found);
    await systemClock.sleep(20);
  }
}
