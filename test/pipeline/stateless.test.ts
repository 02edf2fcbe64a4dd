import { describe, expect, test } from 'vitest';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { keyOf, showTable, tableOf, type TableKey } from '../../src/core/table.ts';
import type { TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { reconcileStateless } from '../../src/pipeline/stateless-reconcile.ts';
import { deliverStateless, type Fate, type StatelessParts } from '../../src/pipeline/stateless.ts';
import { openPolaris } from '../../src/polaris/client.ts';
import { targetConfig } from '../../src/polaris/config.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { seededRandom, type Random } from '../../src/runtime/random.ts';
import { id } from '../connector/fake-source.ts';

const CATALOG = 'mirror';

/** A source in memory. A read takes as long as `readMs` says, and answers with what was true in its middle. */
class Source {
  readonly tables = new Map<TableKey, { readonly metadataLocation: string; readonly incarnation: string }>();
  readonly pageSize = 2;
  failure: Error | undefined;
  readMs: () => number = () => 0;
  #versions = 0;

  put(name: string): string {
    const key = keyOf(id(name));
    this.#versions += 1;
    const metadataLocation = `s3://lake/${name}/metadata/${this.#versions}.metadata.json`;
    const incarnation = this.tables.get(key)?.incarnation ?? `${this.#versions}`;
    this.tables.set(key, { metadataLocation, incarnation });
    return metadataLocation;
  }

  remove(name: string): void {
    this.tables.delete(keyOf(id(name)));
  }

  /** As an agent with this clock sees it. */
  connector(clock: Clock): StatelessParts['connector'] {
    return {
      resolve: async (tables) => {
        if (this.failure !== undefined) throw this.failure;
        const asOf = clock.now();
        await pass(this.readMs());
        const states = tables.map((table) => this.#state(table, asOf));
        await pass(this.readMs());
        return states;
      },
    };
  }

  async *list(): AsyncIterable<readonly TableState[]> {
    const all = [...this.tables.keys()].map((key) => this.#state(tableOf(key), systemClock.now()));
    for (let start = 0; start < all.length; start += this.pageSize) yield all.slice(start, start + this.pageSize);
  }

  byName(): Record<string, string> {
    return named(this.tables);
  }

  #state(table: TableIdentifier, asOf: number): TableState {
    const found = this.tables.get(keyOf(table));
    return found === undefined ? { kind: 'absent', table, asOf } : { kind: 'present', table, ...found, asOf };
  }
}

/** Also without a delay others get their turn. */
const pass = (ms: number) =>
  new Promise<void>((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));

/** Name → metadata location, in the order of names. */
function named(tables: Iterable<readonly [TableKey, { readonly metadataLocation: string }]>): Record<string, string> {
  const entries = [...tables].map(
    ([key, { metadataLocation }]) => [showTable(tableOf(key)), metadataLocation] as const,
  );
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))) as Record<string, string>;
}

const ahead = (ms: number): Clock => ({ ...systemClock, now: () => systemClock.now() + ms });

async function open() {
  const stack = new AsyncDisposableStack();
  const polaris = stack.use(
    await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: 's3://lake' }], readMetadata: 'never' }),
  );
  const source = new Source();
  const config = targetConfig.parse({
    name: 'main',
    uri: `${polaris.uri}/api/catalog`,
    catalog: CATALOG,
    auth: { client_id: 'root', client_secret: 's3cr3t' },
  });
  const events: PipelineEvent[] = [];
  const parts = async (
    more: { clock?: Clock; random?: Random; maxDrops?: number | undefined } = {},
  ): Promise<StatelessParts> => {
    const { clock = systemClock, random = seededRandom(1) } = more;
    return {
      target: stack.use(await openPolaris(config, { clock, log: silentLog })),
      connector: source.connector(clock),
      openLedger: () => new MemoryLedger(),
      clock,
      random,
      log: silentLog,
      policy: { ...DEFAULT_POLICY, backoff: { baseMs: 1, maxMs: 5 } },
      concurrency: { min: 1, max: 64, initial: 8 },
      maxDrops: more.maxDrops ?? 5,
      emit: (event) => void events.push(event),
    };
  };
  const served = () => named(polaris.tables(CATALOG));
  const sent = () => events.flatMap((event) => (event.kind === 'notified' ? [event.notification.type] : []));
  return { polaris, source, events, parts, served, sent, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const forEver = () => ({ stop: new AbortController().signal, kill: new AbortController().signal });
const ids = (...names: string[]) => names.map(id);
const shown = (fates: ReadonlyMap<TableKey, Fate>) =>
  Object.fromEntries(
    [...fates].map(([key, fate]) => [showTable(tableOf(key)), 'code' in fate ? fate.code : fate.kind]),
  );

describe('A delivery without memory', () => {
  test('creates what Polaris lacks, updates what it has otherwise, and sends nothing that it serves already', async () => {
    await using at = await open();
    at.source.put('sales.a');
    at.source.put('sales.b');
    const parts = await at.parts();
    await deliverStateless(ids('sales.a', 'sales.b'), parts, forEver());
    at.source.put('sales.b');
    at.source.put('sales.c');
    at.events.length = 0;
    const fates = await deliverStateless(ids('sales.a', 'sales.b', 'sales.c'), parts, forEver());
    expect(shown(fates)).toEqual({ 'sales.a': 'settled', 'sales.b': 'settled', 'sales.c': 'settled' });
    expect(at.served()).toEqual(at.source.byName());
    expect(at.sent().toSorted()).toEqual(['CREATE', 'CREATE', 'VALIDATE', 'VALIDATE']);
  });

  test('drops a table that the source lacks if Polaris serves it, and sends nothing otherwise', async () => {
    await using at = await open();
    at.source.put('sales.a');
    const parts = await at.parts();
    await deliverStateless(ids('sales.a'), parts, forEver());
    at.source.remove('sales.a');
    at.events.length = 0;
    const fates = await deliverStateless(ids('sales.a', 'sales.never'), parts, forEver());
    expect(shown(fates)).toEqual({ 'sales.a': 'settled', 'sales.never': 'settled' });
    expect(at.served()).toEqual({});
    expect(at.sent()).toEqual(['DROP']);
  });

  test('drops nothing when more is to be dropped than may be at once', async () => {
    await using at = await open();
    const names = Array.from({ length: 6 }, (_, i) => `sales.t${i}`);
    for (const name of names) at.source.put(name);
    await deliverStateless(ids(...names), await at.parts(), forEver());
    for (const name of names) at.source.remove(name);
    const held = await deliverStateless(ids(...names), await at.parts({ maxDrops: 5 }), forEver());
    expect(new Set(Object.values(shown(held)))).toEqual(new Set(['DROP_HELD']));
    expect(Object.keys(at.served())).toHaveLength(6);
    const fates = await deliverStateless(ids(...names), await at.parts({ maxDrops: 6 }), forEver());
    expect(new Set(Object.values(shown(fates)))).toEqual(new Set(['settled']));
    expect(at.served()).toEqual({});
  });

  test('keeps what is gone when the policy says so', async () => {
    await using at = await open();
    at.source.put('sales.a');
    const parts = await at.parts();
    await deliverStateless(ids('sales.a'), parts, forEver());
    at.source.remove('sales.a');
    const policy = { ...parts.policy, drops: 'never' } as const;
    expect(shown(await deliverStateless(ids('sales.a'), { ...parts, policy }, forEver()))).toEqual({
      'sales.a': 'settled',
    });
    expect(Object.keys(at.served())).toEqual(['sales.a']);
  });

  test('parks what Polaris refuses, and delivers the others', async () => {
    await using at = await open();
    at.source.put('sales.good');
    at.source.tables.set(keyOf(id('sales.bad')), {
      metadataLocation: 's3://elsewhere/1.metadata.json',
      incarnation: '1',
    });
    const fates = await deliverStateless(ids('sales.bad', 'sales.good'), await at.parts(), forEver());
    expect(shown(fates)).toEqual({ 'sales.bad': 'LOCATION_NOT_ALLOWED', 'sales.good': 'settled' });
    expect(Object.keys(at.served())).toEqual(['sales.good']);
  });

  test('leaves unfinished what a Polaris that is down did not take, without waiting for the end of its time', async () => {
    await using at = await open();
    const names = Array.from({ length: 8 }, (_, i) => `sales.t${i}`);
    for (const name of names) at.source.put(name);
    await at.polaris.pause();
    const fates = await deliverStateless(ids(...names), await at.parts(), forEver());
    expect(new Set(Object.values(shown(fates)))).toEqual(new Set(['unfinished']));
    await at.polaris.resume();
    await deliverStateless(ids(...names), await at.parts(), forEver());
    expect(at.served()).toEqual(at.source.byName());
  });

  test('tries again for as long as there is time', async () => {
    await using at = await open();
    at.source.put('sales.a');
    let refused = 0;
    at.polaris.intercept(({ type }) => (type === 'CREATE' && refused++ < 3 ? { status: 503 } : 'pass'));
    const fates = await deliverStateless(ids('sales.a'), await at.parts(), forEver());
    expect(shown(fates)).toEqual({ 'sales.a': 'settled' });
    expect(refused).toBe(4);
  });

  test('leaves unfinished what the time was too short for', async () => {
    await using at = await open();
    at.source.put('sales.a');
    at.source.put('sales.b');
    const stop = new AbortController();
    at.polaris.intercept(({ kind, table }) => {
      if (kind === 'notification' && table?.name === 'b') stop.abort();
      return 'pass';
    });
    const parts = { ...(await at.parts()), concurrency: { min: 1, max: 1, initial: 1 } };
    const fates = await deliverStateless(ids('sales.a', 'sales.b'), parts, { ...forEver(), stop: stop.signal });
    expect(fates.get(keyOf(id('sales.b')))?.kind).toBe('unfinished');
    const after = await deliverStateless(ids('sales.a', 'sales.b'), await at.parts(), forEver());
    expect(shown(after)).toEqual({ 'sales.a': 'settled', 'sales.b': 'settled' });
  });

  test('leaves everything unfinished when the source denies the read, and drops nothing', async () => {
    await using at = await open();
    at.source.put('sales.a');
    await deliverStateless(ids('sales.a'), await at.parts(), forEver());
    at.source.failure = new PushError('POLARIS_FORBIDDEN', 'The reader may not see sales.a.');
    const fates = await deliverStateless(ids('sales.a'), await at.parts(), forEver());
    expect(fates.get(keyOf(id('sales.a')))).toEqual({ kind: 'unfinished', detail: at.source.failure.message });
    expect(Object.keys(at.served())).toEqual(['sales.a']);
  });

  test('finds out after an answer that got lost whether the notification was applied', async () => {
    await using at = await open();
    at.source.put('sales.a');
    let lost = 0;
    at.polaris.intercept(({ type }) => (type === 'CREATE' && lost++ === 0 ? 'apply-then-reset' : 'pass'));
    const fates = await deliverStateless(ids('sales.a'), await at.parts(), forEver());
    expect(shown(fates)).toEqual({ 'sales.a': 'settled' });
    expect(at.served()).toEqual(at.source.byName());
  });
});

/**
 * Changes of a few tables, each handled by a delivery of its own as soon as it's there: reads, requests and clocks of
 * different deliveries differ, so they overtake each other in every way. Without the reads after each delivery most
 * seeds end with something old in Polaris.
 */
async function race(seed: number) {
  await using at = await open();
  const random = seededRandom(seed);
  const upTo = (ms: number) => Math.floor(random() * ms);
  at.source.readMs = () => upTo(4);
  // Some requests are slow, so that what they say is old when it arrives.
  at.polaris.intercept(() => (random() < 0.3 ? { delayMs: upTo(40) } : 'pass'));
  const deliveries: Promise<ReadonlyMap<TableKey, Fate>>[] = [];
  const names = Array.from({ length: 8 }, (_, table) => `sales.t${table}`);
  for (let change = 0; change < 24; change++) {
    const name = names[upTo(names.length)] ?? '';
    if (at.source.tables.has(keyOf(id(name))) && random() < 0.3) at.source.remove(name);
    else at.source.put(name);
    const parts = await at.parts({ clock: ahead(upTo(40) - 20), random });
    deliveries.push(deliverStateless(ids(name), parts, forEver()));
    await pass(upTo(3));
  }
  const fates = await Promise.all(deliveries);
  return {
    fates: fates.flatMap((of) => [...of.values()].map(({ kind }) => kind)),
    served: at.served(),
    source: at.source.byName(),
  };
}

describe('Deliveries of one table at the same time', () => {
  test.for(Array.from({ length: 20 }, (_, seed) => seed))('end at what the source holds (seed %i)', async (seed) => {
    const { fates, served, source } = await race(seed);
    expect(new Set(fates)).toEqual(new Set(['settled']));
    expect(served).toEqual(source);
  });
});

describe('A reconciliation without memory', () => {
  test('delivers what differs, and asks the source about nothing else', async () => {
    await using at = await open();
    for (const name of ['sales.a', 'sales.b', 'sales.c']) at.source.put(name);
    const parts = await at.parts();
    await deliverStateless(ids('sales.a', 'sales.b'), parts, forEver());
    at.source.put('sales.b');
    at.events.length = 0;
    const connector = { list: () => at.source.list() };
    const result = await reconcileStateless({ connector, targets: [parts], unlisted: 'report' }, forEver());
    expect(result).toMatchObject({ complete: true, tables: 3 });
    expect(shown(result.targets[0]!.fates)).toEqual({ 'sales.b': 'settled', 'sales.c': 'settled' });
    expect(at.served()).toEqual(at.source.byName());
  });

  test('reports tables that the source does not list, and drops them only if told to', async () => {
    await using at = await open();
    at.source.put('sales.a');
    at.source.put('sales.b');
    const parts = await at.parts();
    await deliverStateless(ids('sales.a', 'sales.b'), parts, forEver());
    at.source.remove('sales.b');
    const connector = { list: () => at.source.list() };
    const reported = await reconcileStateless({ connector, targets: [parts], unlisted: 'report' }, forEver());
    expect(reported.targets[0]?.unlisted).toEqual(ids('sales.b'));
    expect(Object.keys(at.served())).toEqual(['sales.a', 'sales.b']);
    await reconcileStateless({ connector, targets: [parts], unlisted: 'drop' }, forEver());
    expect(at.served()).toEqual(at.source.byName());
  });

  test('takes a list that ended early for no proof of anything', async () => {
    await using at = await open();
    at.source.put('sales.a');
    at.source.put('sales.b');
    at.source.put('sales.c');
    const parts = await at.parts();
    await deliverStateless(ids('sales.a', 'sales.b', 'sales.c'), parts, forEver());
    const stop = new AbortController();
    const connector = {
      async *list() {
        for await (const page of at.source.list()) {
          yield page;
          stop.abort();
        }
      },
    };
    const time = { ...forEver(), stop: stop.signal };
    const result = await reconcileStateless({ connector, targets: [parts], unlisted: 'drop' }, time);
    expect(result).toMatchObject({ complete: false, targets: [{ unlisted: [] }] });
    expect(Object.keys(at.served())).toHaveLength(3);
  });
});
