import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry, EntryRecord, TableIdentifier, Timestamp } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { RequestInbox, RequestOrder } from '../../src/ledger/inbox.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { outboxContract } from './outbox.contract.ts';
import { contentsOf, contentsOfModel, HOSTILE_NAMES, LedgerModel, records, TARGETS } from './ledger-records.ts';

export type TestedLedger = Ledger & RequestInbox;

/** A place for one ledger. */
export interface LedgerFixture extends AsyncDisposable {
  /** Opens what is durable there; the ledger opened before is closed. */
  open(): Promise<TestedLedger>;
  /** What another process asks of the ledger's owner; the request's id. */
  submit(order: RequestOrder): number;
}

const orders: TableIdentifier = { namespace: ['sales'], name: 'orders' };
const items: TableIdentifier = { namespace: ['sales'], name: 'items' };
const added: TableIdentifier = { namespace: ['sales'], name: 'added' };
/** Without the keys that hold nothing. */
const plain = (entry: Entry | undefined): unknown => JSON.parse(JSON.stringify(entry));
const at = (timestamp: number) => timestamp as Timestamp;

const seen = (table: TableIdentifier, count: number = 1): EntryRecord => ({
  kind: 'seen',
  target: 'main',
  table,
  count,
});
const settled = (table: TableIdentifier, upTo: number): EntryRecord => ({
  kind: 'settled',
  target: 'main',
  table,
  seen: upTo,
});
const intent = (table: TableIdentifier, type: 'CREATE' | 'DROP', timestamp: number): EntryRecord => ({
  kind: 'intent',
  target: 'main',
  table,
  notification: { type, table, timestamp: at(timestamp), metadataLocation: 's3://b/1.json', incarnation: '7' },
});
const admitted = (table: TableIdentifier): EntryRecord => ({
  kind: 'outcome',
  target: 'main',
  table,
  outcome: 'admitted',
});

/** What every ledger keeps to. `runs`: of the property test; each opens two ledgers. */
export function ledgerContract(name: string, create: () => Promise<LedgerFixture>, runs: number): void {
  describe(`${name}: a ledger`, () => {
    folding(create, runs);
    reading(create);
    naming(create);
    requesting(create);
    ending(create);
    outboxContract(create, runs);
  });
}

function folding(create: () => Promise<LedgerFixture>, runs: number): void {
  test('holds the fold of its records, before they are durable and after it was closed and opened', async () => {
    const step = fc.record({ appended: records, durable: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await using fixture = await create();
        const model = new LedgerModel();
        const expectEqual = (ledger: TestedLedger) => {
          for (const target of TARGETS) expect(contentsOf(ledger, target)).toEqual(contentsOfModel(model, target));
          expect(['a', 'b'].map((source) => ledger.position(source))).toEqual(
            ['a', 'b'].map((it) => model.positions.get(it)),
          );
          expect(ledger.targets().toSorted()).toEqual(TARGETS.filter((it) => model.totals(it).entries > 0).toSorted());
        };
        const ledger = await fixture.open();
        const appends: Promise<void>[] = [];
        for (const { appended, durable } of steps) {
          const done = ledger.append(appended);
          model.append(appended);
          expectEqual(ledger);
          appends.push(done);
          if (durable) await done;
        }
        await Promise.all(appends);
        expectEqual(ledger);
        for (const target of TARGETS) expect(ledger.parkedByCode(target)).toEqual(model.parkedByCode(target));
        await ledger[Symbol.asyncDispose]();
        await using reopened = await fixture.open();
        expectEqual(reopened);
      }),
      { numRuns: runs },
    );
  });

  test('keeps the greatest timestamp through DROP and re-creation', async () => {
    await using fixture = await create();
    const ledger = await fixture.open();
    await ledger.append([intent(orders, 'CREATE', 2 ** 53 - 3), admitted(orders)]);
    await ledger.append([intent(orders, 'DROP', 2 ** 53 - 2), admitted(orders)]);
    await ledger[Symbol.asyncDispose]();
    await using reopened = await fixture.open();
    expect(reopened.entry('main', orders)).toMatchObject({
      lastTimestamp: 2 ** 53 - 2,
      delivered: { type: 'DROP', timestamp: 2 ** 53 - 2, incarnation: '7' },
    });
    expect(reopened.totals('main')).toEqual({ entries: 1, delivered: 0, pending: 0, parked: 0, skipped: 0 });
  });

  test('resolves an empty append', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    await ledger.append([]);
    expect(ledger.targets()).toEqual([]);
  });
}

function reading(create: () => Promise<LedgerFixture>): void {
  test('knows nothing of what nobody appended', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    expect(ledger.entry('main', orders)).toBeUndefined();
    expect(ledger.lookup('main', [orders, items])).toEqual([undefined, undefined]);
    expect([...ledger.entries('main'), ...ledger.unfinished('main')]).toEqual([]);
    expect(ledger.totals('main')).toEqual({ entries: 0, delivered: 0, pending: 0, parked: 0, skipped: 0 });
    expect(ledger.position('a')).toBeUndefined();
  });

  test('looks up many tables in the order in which they are asked for, repetitions included', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    const tables = Array.from({ length: 2500 }, (_, n) => ({ namespace: ['db'], name: `t${n}` }));
    await ledger.append(tables.filter((_, n) => n % 2 === 0).map((table) => seen(table)));
    const asked = [...tables, tables[0]!].toReversed();
    const found = ledger.lookup('main', asked);
    expect(found.map((entry) => entry?.table.name)).toEqual(
      asked.map(({ name }) => (Number(name.slice(1)) % 2 === 0 ? name : undefined)),
    );
  });

  test('walks over every entry once, whatever is appended meanwhile', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    const tables = Array.from({ length: 3000 }, (_, n) => ({ namespace: ['db'], name: `t${n}` }));
    await ledger.append(tables.slice(0, 2800).map((table) => seen(table)));
    const late = ledger.append(tables.slice(2800).map((table) => seen(table)));
    const names: string[] = [];
    const outdated: Entry[] = [];
    for (const entry of ledger.entries('main')) {
      const { table } = entry;
      if (!isDeepStrictEqual(plain(entry), plain(ledger.entry('main', table)))) outdated.push(entry);
      names.push(table.name);
      // Commits come within a page and between two pages; the walk goes on, and shows what was appended before.
      if (names.length === 500) await ledger.append([...tables.slice(400, 700).map((it) => seen(it)), seen(added)]);
      if (names.length === 1500) void ledger.append(tables.slice(1400).map((it) => settled(it, 1)));
      if (names.length === 2300) await ledger.append([]);
    }
    await late;
    expect(names.filter((name) => name !== 'added').toSorted()).toEqual(tables.map(({ name }) => name).toSorted());
    expect(outdated).toEqual([]);
  });

  test('has no entry unfinished whose hints are covered, also before that is durable', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    await ledger.append([seen(orders), seen(items, 2)]);
    const durable = ledger.append([settled(orders, 1), settled(items, 2), intent(items, 'CREATE', 5)]);
    expect([...ledger.unfinished('main')].map(({ table }) => table)).toEqual([items]);
    await durable;
    expect([...ledger.unfinished('main')].map(({ table }) => table)).toEqual([items]);
    await ledger.append([admitted(items)]);
    expect([...ledger.unfinished('main')]).toEqual([]);
  });

  test('keeps the entries of its targets apart', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    await ledger.append([seen(orders, 1), { ...seen(orders, 4), target: 'second' }]);
    expect(ledger.entry('main', orders)?.seen).toBe(1);
    expect([...ledger.entries('second')].map((entry) => [entry.target, entry.seen])).toEqual([['second', 4]]);
    expect(ledger.targets()).toEqual(['main', 'second']);
  });
}

function naming(create: () => Promise<LedgerFixture>): void {
  test('tells apart every two names, hostile ones too', async () => {
    await using fixture = await create();
    const ledger = await fixture.open();
    const tables = HOSTILE_NAMES.flatMap((name) => [
      { namespace: ['db'], name },
      { namespace: [name], name: 'orders' },
      { namespace: ['db', name], name },
    ]);
    await ledger.append(tables.map((table, n) => seen(table, n + 1)));
    await ledger[Symbol.asyncDispose]();
    await using reopened = await fixture.open();
    expect(reopened.lookup('main', tables)).toEqual(
      tables.map((table, n) => ({ target: 'main', table, seen: n + 1, settled: 0, doubt: false })),
    );
    expect(reopened.totals('main').entries).toBe(tables.length);
  });
}

function requesting(create: () => Promise<LedgerFixture>): void {
  test('hands out each request once, oldest first', async () => {
    await using fixture = await create();
    await using ledger = await fixture.open();
    expect(ledger.takeRequests()).toEqual([]);
    const first = fixture.submit({ kind: 'retry' });
    const second = fixture.submit({ kind: 'release', tables: [orders], target: 'main' });
    expect(second).toBeGreaterThan(first);
    expect(ledger.takeRequests()).toMatchObject([
      { id: first, kind: 'retry' },
      { id: second, kind: 'release', tables: [orders], target: 'main' },
    ]);
    expect(ledger.takeRequests()).toEqual([]);
    await ledger.append([]);
    const third = fixture.submit({ kind: 'retry' });
    expect(third).toBeGreaterThan(second);
    expect(ledger.takeRequests().map(({ id }) => id)).toEqual([third]);
  });

  test('forgets a request with the commit of what is appended in the same turn', async () => {
    await using fixture = await create();
    const ledger = await fixture.open();
    fixture.submit({ kind: 'retry' });
    expect(ledger.takeRequests()).toHaveLength(1);
    await ledger.append([seen(orders)]);
    await ledger[Symbol.asyncDispose]();
    await using reopened = await fixture.open();
    expect(reopened.takeRequests()).toEqual([]);
    expect(reopened.entry('main', orders)?.seen).toBe(1);
  });

  test('finds a request that was submitted while nobody owned it', async () => {
    await using fixture = await create();
    await (await fixture.open())[Symbol.asyncDispose]();
    fixture.submit({ kind: 'release' });
    await using ledger = await fixture.open();
    expect(ledger.takeRequests()).toMatchObject([{ kind: 'release' }]);
  });
}

function ending(create: () => Promise<LedgerFixture>): void {
  test('makes durable what waits when it is closed, and takes nothing more', async () => {
    await using fixture = await create();
    const ledger = await fixture.open();
    const waiting = ledger.append([seen(orders)]);
    await Promise.all([ledger[Symbol.asyncDispose](), ledger[Symbol.asyncDispose]()]);
    await waiting;
    await expect(ledger.append([seen(orders)])).rejects.toThrow(PushError);
    expect(() => ledger.entry('main', orders)).toThrow(PushError);
    await using reopened = await fixture.open();
    expect(reopened.entry('main', orders)?.seen).toBe(1);
  });
}
