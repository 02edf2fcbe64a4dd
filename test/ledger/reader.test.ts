import { readdir } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import type { EntryRecord, TableIdentifier } from '../../src/core/types.ts';
import { openLedgerReader } from '../../src/ledger/reader.ts';
import { openRequests } from '../../src/ledger/requests.ts';
import { deps, temporaryLedger } from './temporary-ledger.ts';

const tableOf = (n: number): TableIdentifier => ({ namespace: ['db'], name: `t${n}` });
const seen = (n: number): EntryRecord => ({ kind: 'seen', target: 'main', table: tableOf(n), count: 1 });
const parked = (n: number): EntryRecord => ({
  kind: 'parked',
  target: 'main',
  table: tableOf(n),
  seen: 1,
  parked: { code: 'DROP_HELD', detail: 'over the budget', since: 7, type: 'DROP' },
});

describe('A reader of a ledger', () => {
  test('sees what is durable while the owner works, and what it adds later', async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    await ledger.append([seen(1), seen(2), parked(2), { kind: 'position', source: 'a', position: '7' }]);
    using reader = openLedgerReader(place.path);
    const waiting = ledger.append([seen(3)]);
    expect(reader.lookup('main', [tableOf(3), tableOf(1)])).toMatchObject([undefined, { seen: 1 }]);
    expect(reader.totals('main')).toEqual({ entries: 2, delivered: 0, pending: 1, parked: 1, skipped: 0 });
    expect(reader.position('a')).toBe('7');
    expect(reader.targets()).toEqual(['main']);
    expect([...reader.parked('main')].map(({ table, parked: why }) => [table, why?.code])).toEqual([
      [tableOf(2), 'DROP_HELD'],
    ]);
    await waiting;
    expect(reader.entry('main', tableOf(3))).toEqual(ledger.entry('main', tableOf(3)));
    expect([...reader.entries('main')]).toHaveLength(3);
    expect([...reader.unfinished('main')].map(({ table }) => table)).toEqual([tableOf(1), tableOf(3)]);
  });

  test("doesn't hold back the owner's log, also in the middle of a walk", async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    await ledger.append(Array.from({ length: 3000 }, (_, n) => seen(n)));
    using reader = openLedgerReader(place.path);
    const walk = reader.entries('main')[Symbol.iterator]();
    expect(walk.next().done).toBe(false);
    await ledger[Symbol.asyncDispose]();
    await using reopened = await place.open();
    await reopened.append([seen(1)]);
    let count = 1;
    while (walk.next().done !== true) count += 1;
    expect(count).toBe(3000);
  });

  test('needs a ledger and creates none', async () => {
    await using place = await temporaryLedger();
    const missing = { code: 'LEDGER_MISSING', detail: `There is no file ${place.path}.`, spec: { exitCode: 2 } };
    expect(() => openLedgerReader(place.path)).toThrow(
      expect.objectContaining({ code: missing.code, detail: missing.detail }),
    );
    expect(() => openRequests(place.path, deps)).toThrow(expect.objectContaining({ code: 'LEDGER_MISSING' }));
    expect(await readdir(place.folder)).toEqual([]);
  });
});

describe('Requests to the owner of a ledger', () => {
  test('wait until the owner has acted on them', async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    using outbox = openRequests(place.path, deps);
    const id = outbox.submit({ kind: 'retry', tables: [tableOf(1)] });
    expect(outbox.isWaiting(id)).toBe(true);
    expect(ledger.takeRequests().map((request) => request.id)).toEqual([id]);
    expect(outbox.isWaiting(id)).toBe(true);
    await ledger.append([seen(1)]);
    expect(outbox.isWaiting(id)).toBe(false);
  });

  test('are refused when too many wait', async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    using outbox = openRequests(place.path, deps);
    using db = new DatabaseSync(place.path);
    db.exec(
      `WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 999)
       INSERT INTO requests (submitted_at, body) SELECT n, '{"kind":"retry"}' FROM series`,
    );
    expect(outbox.submit({ kind: 'retry' })).toBe(1000);
    expect(() => outbox.submit({ kind: 'retry' })).toThrow(expect.objectContaining({ code: 'LEDGER_REQUESTS_FULL' }));
    expect(ledger.takeRequests()).toHaveLength(1000);
    await ledger.append([]);
    expect(outbox.submit({ kind: 'retry' })).toBe(1001);
  });
});
