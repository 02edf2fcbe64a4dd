import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GlueConfig } from '../../../connectors/glue/config.ts';
import { openGlue, type GlueConnector } from '../../../connectors/glue/connector.ts';
import glue from '../../../connectors/glue/index.ts';
import { App } from '../../../src/app.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { showTable, tableOf } from '../../../src/core/table.ts';
import type { ConnectorDefinition } from '../../../src/connector/connector.ts';
import type { PipelineEvent } from '../../../src/pipeline/events.ts';
import { runPipeline } from '../../../src/pipeline/pipeline.ts';
import { startEmulator, type Emulator } from '../../../src/polaris/emulator/emulator.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { seededRandom } from '../../../src/runtime/random.ts';
import { openGlueWorld, type GlueWorld, type WorldOptions } from './world.ts';

export const CATALOG = 'glue_mirror';

/** A Glue Data Catalog with its queue, an emulated Polaris, and agents between them. */
export type MirrorWorld = GlueWorld & {
  readonly polaris: Emulator;
  /** One after the other, on the same ledger. */
  readonly startAgent: (options?: AgentOptions) => Promise<Agent>;
  /** How source and Polaris differ; empty: they are equal. */
  readonly differences: () => string[];
};

export type AgentOptions = {
  /** Keys of `source`. */
  readonly source?: Record<string, unknown>;
  /** Other sections. */
  readonly sections?: Record<string, unknown>;
  readonly onEvent?: (event: PipelineEvent) => void;
};

export type Agent = AsyncDisposable & {
  readonly connector: GlueConnector;
  readonly app: App;
  readonly events: readonly PipelineEvent[];
  readonly caughtUp: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

export async function openMirrorWorld(options: WorldOptions = {}): Promise<MirrorWorld> {
  await using opening = new AsyncDisposableStack();
  const world = opening.use(await openGlueWorld(options));
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-glue-'));
  opening.defer(() => rmSync(folder, { recursive: true, force: true }));
  // On an object store the emulator looks at locations alone, so no files need be written.
  const catalogs = [{ name: CATALOG, baseLocation: 's3://lake/warehouse' }];
  const polaris = opening.use(await startEmulator({ catalogs }));
  const stack = opening.move();
  const ledger = { path: join(folder, 'ledger', 'ledger.db') };
  return {
    ...world,
    polaris,
    startAgent: (agent = {}) => start(world, polaris, { ...agent, sections: { ledger, ...agent.sections } }),
    differences: () => {
      const served = new Map(
        [...polaris.tables(CATALOG)].map(([key, table]) => [showTable(tableOf(key)), table.metadataLocation]),
      );
      const truth = world.stub.truth();
      return [...new Set([...truth.keys(), ...served.keys()])]
        .filter((name) => truth.get(name) !== served.get(name))
        .map((name) => `${name}: Glue has ${truth.get(name) ?? 'nothing'}, Polaris ${served.get(name) ?? 'nothing'}`);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function start(world: GlueWorld, polaris: Emulator, options: AgentOptions): Promise<Agent> {
  const opened: GlueConnector[] = [];
  const definition: ConnectorDefinition<GlueConfig> = {
    ...glue,
    open: async (settings, deps) => {
      const connector = await openGlue(settings, deps);
      opened.push(connector);
      return connector;
    },
  };
  const config = configSchema(definition.config).parse({
    source: { ...source(world), ...options.source },
    targets: [
      {
        name: 'main',
        uri: `${polaris.uri}/api/catalog`,
        catalog: CATALOG,
        auth: { client_id: 'root', client_secret: 's3cr3t' },
      },
    ],
    ...options.sections,
  });
  const deps = { clock: systemClock, random: seededRandom(1), log: silentLog };
  const app = await App.open({ config, definition, ...deps });
  const events: PipelineEvent[] = [];
  const caughtUp = Promise.withResolvers<void>();
  const emit = (event: PipelineEvent) => {
    events.push(event);
    options.onEvent?.(event);
    if (event.kind === 'caught-up') caughtUp.resolve();
  };
  const stop = new AbortController();
  const { connector, ledger, targets } = app;
  const { everyMs, auditMs } = config.reconcile;
  const parts = { connector, ledger, targets, drivers: app.drivers(emit), emit, ...deps };
  const running = runPipeline(
    { ...parts, reconcileEveryMs: everyMs, auditEveryMs: auditMs },
    stop.signal,
    new AbortController().signal,
  );
  running.catch((error: unknown) => caughtUp.reject(error));
  caughtUp.promise.catch(() => {}); // whoever waits is told
  let ended: Promise<void> | undefined;
  const end = async () => {
    stop.abort();
    await running;
    await app[Symbol.asyncDispose]();
  };
  const [glueConnector] = opened;
  if (glueConnector === undefined) throw new Error('The agent opened no connector.');
  return {
    connector: glueConnector,
    app,
    events,
    caughtUp: () => caughtUp.promise,
    stop: () => (ended ??= end()),
    [Symbol.asyncDispose]: () => (ended ??= end()),
  };
}

const source = ({ queueUrl, stub, sqs }: GlueWorld) => ({
  kind: 'glue',
  region: stub.region,
  queue_url: queueUrl,
  glue_endpoint: stub.endpoint,
  sqs_endpoint: sqs.address,
  wait_time: '1s',
  linger: '50ms',
  calls_per_second: { events: 10_000, listings: 10_000 },
});
