import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import type { TableIdentifier, Timestamp } from '../../src/core/types.ts';
import type { EventHead, OutboxReader, OutboxRecord } from '../../src/ledger/outbox.ts';
import { HOSTILE_NAMES } from './ledger-records.ts';
import type { LedgerFixture, TestedLedger } from './ledger.contract.ts';

const orders: TableIdentifier = { namespace: ['sales'], name: 'orders' };
const items: TableIdentifier = { namespace: ['sales'], name: 'items' };
const at = (timestamp: number) => timestamp as Timestamp;

const event = (table: TableIdentifier, timestamp: number, limit: number = 100) => ({
  kind: 'event' as const,
  sink: 'hook',
  target: 'main',
  table,
  timestamp: at(timestamp),
  at: timestamp,
  body: `{"of":${timestamp}}`,
  limit,
});

const next = (ledger: TestedLedger, table: TableIdentifier, sink: string = 'hook') =>
  ledger.outbox.next(sink, 'main', keyOf(table));

/** Ids of what waits. */
const places = ({ outbox }: TestedLedger, sink: string = 'hook') => outbox.waiting(sink, 0, 1000).map(({ id }) => id);

/** What every ledger's outbox keeps to. */
export function outboxContract(create: () => Promise<LedgerFixture>, runs: number): void {
  keeping(create);
  limiting(create);
  burying(create);
  following(create);
  agreeing(create, runs);
}

function keeping(create: () => Promise<LedgerFixture>): void {
  test('holds events until they are forwarded, oldest first, also after it was closed and opened', async () => {
    await using fixture = await create();
    const ledger = await fixture.open();
    await ledger.append([event(orders, 1), event(items, 2), event(orders, 3)]);
    expect(ledger.outbox.totals('hook')).toEqual({ waiting: 3, buried: 0, oldest: 1 });
    const first = next(ledger, orders)!;
    expect(first).toMatchObject({ target: 'main', table: keyOf(orders), timestamp: 1, at: 1, body: '{"of":1}' });
    await ledger.append([{ kind: 'forwarded', sink: 'hook', ...first }]);
    expect(next(ledger, orders)).toMatchObject({ timestamp: 3, body: '{"of":3}' });
    await ledger[Symbol.asyncDispose]();
    await using reopened = await fixture.open();
    expect(next(reopened, orders)).toMatchObject({ timestamp: 3 });
    expect(next(reopened, items)).toMatchObject({ timestamp: 2 });
    expect(reopened.outbox.totals('hook')).toEqual({ waiting: 2, buried: 0, oldest: 2 });
    expect(reopened.outbox.waiting('hook', 0, 1)).toHaveLength(1);
    const [before, after] = places(reopened);
    expect(reopened.outbox.waiting('hook', before!, 10).map(({ id }) => id)).toEqual([after]);
  });

  test('shows an event only once it is durable, and with the records of its append', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    const done = ledger.append([
      event(orders, 1),
      { kind: 'seen', target: 'main', table: orders, count: 1 },
      { kind: 'position', source: 'a', position: '7' },
    ]);
    expect(next(ledger, orders)).toBeUndefined();
    await done;
    expect(next(ledger, orders)).toMatchObject({ timestamp: 1 });
    expect(ledger.entry('main', orders)?.seen).toBe(1);
    expect(ledger.position('a')).toBe('7');
  });

  test('keeps sinks, targets and tables apart, whatever their names hold', async () => {
    await using fixture = await create();
    const ledger = await fixture.open();
    const tables = HOSTILE_NAMES.map((name) => ({ namespace: ['db', name], name }));
    const records = tables.flatMap((table, n): OutboxRecord[] => [
      event(table, n + 1),
      { ...event(table, n + 1001), target: 'second' },
      { ...event(table, n + 2001), sink: 'lake' },
    ]);
    await ledger.append(records);
    await ledger[Symbol.asyncDispose]();
    await using reopened = await fixture.open();
    expect(reopened.outbox.sinks()).toEqual(['hook', 'lake']);
    for (const [n, table] of tables.entries()) {
      expect(next(reopened, table)).toMatchObject({ table: keyOf(table), timestamp: n + 1 });
      expect(next(reopened, table, 'lake')).toMatchObject({ timestamp: n + 2001 });
      expect(reopened.outbox.next('hook', 'second', keyOf(table))).toMatchObject({ timestamp: n + 1001 });
    }
  });
}

function limiting(create: () => Promise<LedgerFixture>): void {
  test('lets an event take the place of the one of its table that has not left, when coalescing', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    await ledger.append([event(orders, 1, 0), event(items, 2, 0)]);
    const before = places(ledger);
    const sent = next(ledger, orders)!;
    await ledger.append([event(orders, 3, 0)]);
    expect(places(ledger)).toEqual(before);
    // The answer to what was on its way meanwhile says nothing of the event that took its place.
    await ledger.append([{ kind: 'forwarded', sink: 'hook', ...sent }]);
    await ledger.append([{ kind: 'buried', sink: 'hook', ...sent, reason: 'refused', at: 9 }]);
    expect(next(ledger, orders)).toMatchObject({ id: sent.id, timestamp: 3 });
    expect(ledger.outbox.totals('hook')).toEqual({ waiting: 2, buried: 0, oldest: 3 });
  });

  test('keeps no more events than its limit and one per table, and always the last of each table', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    const tables = Array.from({ length: 20 }, (_, n) => ({ namespace: ['db'], name: `t${n}` }));
    for (let round = 0; round < 10; round++) {
      await ledger.append(tables.map((table, n) => event(table, round * 100 + n, 50)));
    }
    expect(ledger.outbox.totals('hook').waiting).toBe(50);
    await ledger.append([event(orders, 5000, 50)]);
    expect(ledger.outbox.totals('hook').waiting).toBe(51);
    const newest = new Map<string, number>();
    for (const { table } of ledger.outbox.waiting('hook', 0, 1000)) {
      for (let one = ledger.outbox.next('hook', 'main', table); one !== undefined;) {
        expect(one.timestamp).toBeGreaterThan(newest.get(table) ?? -1);
        newest.set(table, one.timestamp);
        await ledger.append([{ kind: 'forwarded', sink: 'hook', ...one }]);
        one = ledger.outbox.next('hook', 'main', table);
      }
    }
    for (const [n, table] of tables.entries()) expect(newest.get(keyOf(table))).toBe(900 + n);
    expect(newest.get(keyOf(orders))).toBe(5000);
    expect(ledger.outbox.totals('hook')).toEqual({ waiting: 0, buried: 0 });
  });
}

const bury = (ledger: TestedLedger, table: TableIdentifier, reason: string = 'HTTP 400') =>
  ledger.append([{ kind: 'buried', sink: 'hook', ...next(ledger, table)!, reason, at: 77 }]);

function burying(create: () => Promise<LedgerFixture>): void {
  test('buries an event with its reason, goes on with the next of its table, and revives it at its old place', async () => {
    await using fixture = await create();
    const ledger = await fixture.open();
    await ledger.append([event(orders, 1), event(orders, 2), event(items, 3)]);
    await bury(ledger, orders);
    await bury(ledger, items, 'too large');
    expect(next(ledger, orders)).toMatchObject({ timestamp: 2 });
    await ledger[Symbol.asyncDispose]();
    await using reopened = await fixture.open();
    expect([...reopened.outbox.buried('hook')]).toMatchObject([
      { table: keyOf(orders), timestamp: 1, since: 77, reason: 'HTTP 400' },
      { table: keyOf(items), timestamp: 3, since: 77, reason: 'too large' },
    ]);
    expect(reopened.outbox.totals('hook')).toEqual({ waiting: 1, buried: 2, oldest: 2 });
    await reopened.append([{ kind: 'revived', sink: 'hook', tables: [orders] }]);
    expect(next(reopened, orders)).toMatchObject({ timestamp: 1 });
    expect(next(reopened, items)).toBeUndefined();
    await reopened.append([{ kind: 'revived', sink: 'hook' }]);
    expect(next(reopened, items)).toMatchObject({ timestamp: 3 });
    expect([...reopened.outbox.buried('hook')]).toEqual([]);
  });

  test('lets a newer event take the place of a buried one when coalescing: what it told is outdated', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    await ledger.append([event(orders, 1, 0)]);
    await bury(ledger, orders);
    await ledger.append([event(orders, 2, 0)]);
    expect(next(ledger, orders)).toMatchObject({ timestamp: 2 });
    expect(ledger.outbox.totals('hook')).toMatchObject({ waiting: 1, buried: 0 });
  });

  test('discards buried events, and those that wait only when that is meant', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    await ledger.append([event(orders, 1), event(items, 2), event(orders, 3), { ...event(orders, 4), sink: 'lake' }]);
    await bury(ledger, orders);
    await bury(ledger, items);
    await ledger.append([{ kind: 'discarded', sink: 'hook', tables: [items] }]);
    expect(ledger.outbox.totals('hook')).toEqual({ waiting: 1, buried: 1, oldest: 3 });
    await ledger.append([{ kind: 'discarded', sink: 'hook' }]);
    expect(ledger.outbox.totals('hook')).toEqual({ waiting: 1, buried: 0, oldest: 3 });
    await ledger.append([{ kind: 'discarded', sink: 'hook', waiting: true }]);
    expect(ledger.outbox.sinks()).toEqual(['lake']);
  });
}

function following(create: () => Promise<LedgerFixture>): void {
  test('tells who follows a sink what became ready to leave, once it is durable', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    const told: EventHead[] = [];
    const subscription = ledger.outbox.follow('hook', (ready) => told.push(...ready));
    const done = ledger.append([event(orders, 1, 0), event(items, 2), { ...event(orders, 3), sink: 'lake' }]);
    expect(told).toEqual([]);
    await done;
    const [first, second] = places(ledger);
    expect(told.splice(0)).toEqual([
      { id: first, target: 'main', table: keyOf(orders) },
      { id: second, target: 'main', table: keyOf(items) },
    ]);
    await ledger.append([{ kind: 'buried', sink: 'hook', ...next(ledger, orders)!, reason: 'no', at: 5 }]);
    expect(told).toEqual([]);
    await ledger.append([{ kind: 'revived', sink: 'hook' }]);
    await ledger.append([event(orders, 6, 0)]);
    expect(told.splice(0).map(({ id }) => id)).toEqual([first, first]);
    subscription[Symbol.dispose]();
    await ledger.append([event(items, 9)]);
    expect(told).toEqual([]);
  });
}

/** The same events as a list, as simple as can be. */
class OutboxModel {
  rows: { id: number; sink: string; table: string; timestamp: number; buried: boolean }[] = [];
  #last = 0;

  apply(record: OutboxRecord): void {
    const isMeant = (row: OutboxModel['rows'][number]) =>
      'id' in record && row.id === record.id && row.timestamp === record.timestamp && !row.buried;
    const isOf = (row: OutboxModel['rows'][number]) =>
      row.sink === record.sink &&
      (!('tables' in record) || record.tables === undefined || record.tables.map(keyOf).includes(row.table as never));
    if (record.kind === 'event') {
      const { sink, timestamp } = record;
      const table = keyOf(record.table);
      const full = this.rows.filter((row) => row.sink === sink).length >= record.limit;
      const newest = this.rows.findLast((row) => row.sink === sink && row.table === table);
      if (full && newest !== undefined) Object.assign(newest, { timestamp, buried: false });
      else this.rows.push({ id: ++this.#last, sink, table, timestamp, buried: false });
    } else if (record.kind === 'forwarded') this.rows = this.rows.filter((row) => !isMeant(row));
    else if (record.kind === 'buried') for (const row of this.rows) row.buried ||= isMeant(row);
    else if (record.kind === 'revived') for (const row of this.rows) row.buried &&= !isOf(row);
    else this.rows = this.rows.filter((row) => !isOf(row) || !(row.buried || record.waiting === true));
  }
}

/** In places rather than ids, which may be given in any growing way. */
function contents(outbox: OutboxReader, sinks: readonly string[]): unknown {
  return sinks.map((sink) => {
    const heads = outbox.waiting(sink, 0, 1000);
    return {
      waiting: heads.map(({ table }) => table),
      buried: [...outbox.buried(sink)].map(({ table, timestamp }) => [table, timestamp]),
      next: [...new Set(heads.map(({ table }) => table))].map((table) => outbox.next(sink, 'main', table)?.timestamp),
      totals: [outbox.totals(sink).waiting, outbox.totals(sink).buried],
    };
  });
}

function contentsOfModel({ rows }: OutboxModel, sinks: readonly string[]): unknown {
  return sinks.map((sink) => {
    const of = rows.filter((row) => row.sink === sink);
    const waiting = of.filter(({ buried }) => !buried);
    const buried = of.filter((row) => row.buried);
    return {
      waiting: waiting.map(({ table }) => table),
      buried: buried.map(({ table, timestamp }) => [table, timestamp]),
      next: [...new Set(waiting.map(({ table }) => table))].map(
        (table) => waiting.find((row) => row.table === table)?.timestamp,
      ),
      totals: [waiting.length, buried.length],
    };
  });
}

const SINKS = ['hook', 'lake'];

/** What is done next: of an event that waits, which one is a matter of `pick`. */
const step = fc.record({
  kind: fc.constantFrom('event', 'event', 'event', 'forwarded', 'buried', 'revived', 'discarded'),
  sink: fc.constantFrom(...SINKS),
  table: fc.constantFrom(orders, items, { namespace: ['sales', 'orders'], name: 'é' }),
  limit: fc.constantFrom(0, 2, 5),
  pick: fc.nat({ max: 9 }),
  some: fc.boolean(),
});

function agreeing(create: () => Promise<LedgerFixture>, runs: number): void {
  test('has in its outbox what the records say, after any of them and after it was closed and opened', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        await using fixture = await create();
        const ledger = await fixture.open();
        const model = new OutboxModel();
        const idOf = new Map<number, number>(); // the model's id → the ledger's
        for (const [n, { kind, sink, table, limit, pick, some }] of steps.entries()) {
          const waiting = model.rows.filter((row) => row.sink === sink && !row.buried);
          const chosen = waiting[pick % Math.max(1, waiting.length)];
          const ref = { id: chosen?.id ?? 0, timestamp: at(chosen?.timestamp ?? 0) };
          const record: OutboxRecord =
            kind === 'event'
              ? { ...event(table, n + 1, limit), sink }
              : kind === 'forwarded'
                ? { kind, sink, ...ref }
                : kind === 'buried'
                  ? { kind, sink, ...ref, reason: 'no', at: n }
                  : kind === 'revived'
                    ? { kind, sink, ...(some ? { tables: [table] } : {}) }
                    : { kind: 'discarded', sink, waiting: pick > 7, ...(some ? { tables: [table] } : {}) };
          model.apply(record);
          await ledger.append(['id' in record ? { ...record, id: idOf.get(record.id) ?? 0 } : record]);
          const rows = SINKS.flatMap((one) => ledger.outbox.waiting(one, 0, 1000)).map(({ id }) => id);
          const known = SINKS.flatMap((one) => model.rows.filter((row) => row.sink === one && !row.buried));
          for (const [i, row] of known.entries()) idOf.set(row.id, rows[i] ?? 0);
          expect(contents(ledger.outbox, SINKS)).toEqual(contentsOfModel(model, SINKS));
        }
        await ledger[Symbol.asyncDispose]();
        await using reopened = await fixture.open();
        expect(contents(reopened.outbox, SINKS)).toEqual(contentsOfModel(model, SINKS));
      }),
      { numRuns: runs },
    );
  });
}
