import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { restConfig } from '../../../connectors/iceberg-rest/config.ts';
import { HOOK_PATH } from '../../../connectors/iceberg-rest/hook.ts';
import icebergRest from '../../../connectors/iceberg-rest/index.ts';
import { App } from '../../../src/app.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { keyOf, showTable, tableOf } from '../../../src/core/table.ts';
import type { TableIdentifier } from '../../../src/core/types.ts';
import { openLedgerReader } from '../../../src/ledger/reader.ts';
import type { PipelineEvent } from '../../../src/pipeline/events.ts';
import { runPipeline } from '../../../src/pipeline/pipeline.ts';
import { startEmulator, type Emulator } from '../../../src/polaris/emulator/emulator.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { seededRandom } from '../../../src/runtime/random.ts';
import { eventually } from '../../pipeline/world.ts';
import { HOOK_SECRET, post } from './hook-world.ts';
import { PolarisWorld, table } from './world.ts';

const orders = table('sales', 'orders');

/** One Polaris, an agent that follows it, and another Polaris that it pushes to. */
class Mirror implements AsyncDisposable {
  readonly source: PolarisWorld;
  readonly target: Emulator;
  readonly events: PipelineEvent[] = [];
  readonly #parts = new AsyncDisposableStack();
  #hookUri = '';
  #ledgerPath = '';

  private constructor(source: PolarisWorld, target: Emulator) {
    this.source = this.#parts.use(source);
    this.target = this.#parts.use(target);
  }

  static async start(poll: Readonly<Record<string, unknown>>): Promise<Mirror> {
    const [source, target] = [
      await PolarisWorld.start(),
      await startEmulator({ catalogs: [{ name: 'mirror', baseLocation: 'file:///' }] }),
    ];
    const mirror = new Mirror(source, target);
    await source.create(orders);
    await mirror.#run(poll);
    return mirror;
  }

  async #run(poll: Readonly<Record<string, unknown>>): Promise<void> {
    const { source, target } = this;
    const folder = mkdtempSync(join(tmpdir(), 'rest-path-'));
    this.#parts.defer(() => rmSync(folder, { recursive: true }));
    this.#ledgerPath = join(folder, 'ledger.db');
    const login = { client_id: 'root', client_secret: 's3cr3t' };
    const config = configSchema(restConfig).parse({
      source: {
        kind: 'iceberg-rest',
        uri: `${source.emulator.uri}/api/catalog`,
        warehouse: 'lake',
        auth: { type: 'oauth2', scope: 'PRINCIPAL_ROLE:ALL', ...login },
        poll,
        webhook: { secret: HOOK_SECRET },
      },
      targets: [{ name: 'main', uri: `${target.uri}/api/catalog`, catalog: 'mirror', auth: login }],
      ledger: { path: this.#ledgerPath },
      drops: { budget: 'off' },
      http: { listen: '127.0.0.1:0' },
    });
    const deps = { clock: systemClock, random: seededRandom(1), log: silentLog };
    const app = await App.open({ config, definition: icebergRest, ...deps }, undefined, { listen: true });
    this.#hookUri = `http://127.0.0.1:${app.http?.port}${HOOK_PATH}`;
    const caughtUp = Promise.withResolvers<void>();
    const emit = (event: PipelineEvent) => {
      this.events.push(event);
      if (event.kind === 'caught-up') caughtUp.resolve();
    };
    const stop = new AbortController();
    const { connector, ledger, targets } = app;
    const parts = { connector, ledger, targets, drivers: app.drivers(emit), emit, ...deps };
    const every = { reconcileEveryMs: config.reconcile.everyMs, auditEveryMs: config.reconcile.auditMs };
    const running = runPipeline({ ...parts, ...every }, stop.signal, new AbortController().signal);
    running.catch((error: unknown) => caughtUp.reject(error));
    this.#parts.defer(async () => {
      stop.abort();
      await running;
      await app[Symbol.asyncDispose]();
    });
    await caughtUp.promise;
  }

  /** Announces a change, as a catalog would. */
  async announce(...tables: readonly TableIdentifier[]): Promise<number> {
    const content = tables.map(({ namespace, name }) => ({ namespace, table: name }));
    return (await post(this.#hookUri, content)).status;
  }

  /** How many tables the ledger on disk has as not delivered yet, as another process sees it. */
  pending(): number {
    using reader = openLedgerReader(this.#ledgerPath);
    return reader.totals('main').pending;
  }

  /** Resolves when both hold the same tables with the same metadata. */
  async equal(withinMs?: number): Promise<void> {
    await eventually(async () => this.#differences().join('\n') || undefined, withinMs);
  }

  #differences(): readonly string[] {
    const [truth, served] = [this.source.emulator.tables('lake'), this.target.tables('mirror')];
    return [...new Set([...truth.keys(), ...served.keys()])]
      .filter((key) => truth.get(key)?.metadataLocation !== served.get(key)?.metadataLocation)
      .map((key) => `${showTable(tableOf(key))} differs`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]();
  }
}

test('one Polaris follows another by polls alone: creations, commits, drops, renames and deep namespaces', async () => {
  await using mirror = await Mirror.start({ list: '200ms', requests_per_second: 500, max_age: '1s' });
  const { source } = mirror;
  await mirror.equal();
  await source.commit(orders);
  await mirror.equal();
  await source.create(table('a', 'b', 'größe'));
  await source.createView(table('sales', 'view'));
  await mirror.equal();
  await source.drop(orders);
  await source.create(table('sales', 'orders_2'));
  await mirror.equal();
  await source.create(orders);
  await mirror.equal();
  expect(mirror.events.filter(({ kind }) => kind === 'parked')).toEqual([]);
});

test('a webhook makes a change visible long before a poll would', async () => {
  await using mirror = await Mirror.start({ list: '1h', requests_per_second: 1_000, max_age: '1h' });
  const { source, target } = mirror;
  await mirror.equal();
  const visible: number[] = [];
  for (let i = 0; i < 5; i++) {
    const began = performance.now();
    const next = table('sales', `new_${i}`);
    await source.create(next);
    expect(await mirror.announce(next)).toBe(202);
    await mirror.equal();
    visible.push(performance.now() - began);
    expect(target.tables('mirror').has(keyOf(next))).toBe(true);
  }
  // New names are looked at every hour, so it wasn't polls that found them.
  expect(Math.max(...visible)).toBeLessThan(10_000);
  await source.drop(orders);
  expect(await mirror.announce(orders)).toBe(202);
  await mirror.equal();
  expect(await mirror.announce(table('sales', 'nobody'), table('nowhere', 'nobody'))).toBe(202);
  await mirror.equal();
});

test('a webhook that was answered 202 is in the ledger, while Polaris is away', async () => {
  await using mirror = await Mirror.start({ list: '1h', requests_per_second: 1_000, max_age: '1h' });
  const { source, target } = mirror;
  await mirror.equal();
  await eventually(async () => (mirror.pending() === 0 ? undefined : 'an outcome is not recorded yet'));
  await target.pause();
  const tables = ['x', 'y', 'z'].map((name) => table('sales', name));
  for (const one of tables) await source.create(one);
  expect(await mirror.announce(...tables)).toBe(202);
  expect(mirror.pending()).toBe(3);
  await target.resume();
  await mirror.equal();
});
