import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import type { EntryRecord, TableIdentifier } from '../../src/core/types.ts';
import { ledgerConfig } from '../../src/ledger/config.ts';
import { openLedgerReader } from '../../src/ledger/reader.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { temporaryLedger } from './temporary-ledger.ts';

const tableOf = (n: number): TableIdentifier => ({ namespace: ['db'], name: `t${n}` });
const seen = (n: number): EntryRecord => ({ kind: 'seen', target: 'main', table: tableOf(n), count: 1 });
const parked = (n: number, detail: string): EntryRecord => ({
  kind: 'parked',
  target: 'main',
  table: tableOf(n),
  seen: 1,
  parked: { code: 'REFUSED', detail, since: 1, type: 'UPDATE' },
});

describe('The configuration of the ledger', () => {
  test('has a default path and knows no other key', () => {
    expect(ledgerConfig.parse({})).toEqual({ path: '/var/lib/polaris-push/ledger.db' });
    expect(ledgerConfig.safeParse({ file: 'x' }).success).toBe(false);
    expect(ledgerConfig.safeParse({ path: '' }).success).toBe(false);
  });
});

describe('The ledger in SQLite', () => {
  test('makes durable together what is appended in one turn of the event loop', async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    using reader = openLedgerReader(place.path);
    const first = ledger.append([seen(1)]);
    const rest = Array.from({ length: 500 }, (_, n) => ledger.append([seen(n + 2)]));
    expect(reader.totals('main').entries).toBe(0);
    await first;
    expect(reader.totals('main').entries).toBe(501);
    await Promise.all(rest);
  });

  test('writes an entry once a commit, however many records it folds', async () => {
    await using place = await temporaryLedger();
    let connection: DatabaseSync | undefined;
    await using ledger = await place.open({ onOpen: (db) => (connection = db) });
    const changes = () => Number(connection?.prepare('SELECT total_changes() AS n').get()?.['n']);
    await ledger.append([seen(1)]);
    const before = changes();
    await Promise.all(Array.from({ length: 100 }, () => ledger.append([seen(1), seen(1)])));
    // The entry, and its target's counts.
    expect(changes() - before).toBe(2);
    expect(ledger.entry('main', tableOf(1))?.seen).toBe(201);
  });

  test('grows with the number of tables, not with the number of records', async () => {
    await using place = await temporaryLedger();
    const ledger = await place.open();
    const round = () => ledger.append(Array.from({ length: 200 }, (_, n) => parked(n, 'x'.repeat(200))));
    await round();
    for (let n = 0; n < 60; n++) await round();
    const { size: log } = await stat(`${place.path}-wal`);
    expect(log).toBeLessThan(32 * 1024 ** 2);
    await ledger[Symbol.asyncDispose]();
    const { size } = await stat(place.path);
    expect(size).toBeLessThan(512 * 1024);
  });

  test('leaves one file and the lock when it is closed', async () => {
    await using place = await temporaryLedger();
    const ledger = await place.open();
    await ledger.append([seen(1)]);
    expect(existsSync(`${place.path}-wal`)).toBe(true);
    await ledger[Symbol.asyncDispose]();
    expect(existsSync(`${place.path}-wal`)).toBe(false);
    expect((await stat(`${place.path}.lock`)).size).toBe(0);
  });

  test('uses an index for what a start and a status ask', async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    await ledger.append([seen(1)]);
    using db = new DatabaseSync(place.path, { readOnly: true });
    const plan = (sql: string) =>
      db
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map((row) => row['detail']);
    expect(plan('SELECT * FROM entries WHERE target = 1 AND (settled < seen OR open IS NOT NULL) AND id > 0')).toEqual([
      'SEARCH entries USING INDEX entries_unfinished (target=? AND rowid>?)',
    ]);
    expect(plan('SELECT * FROM entries WHERE target = 1 AND parked_code IS NOT NULL AND id > 0')).toEqual([
      'SEARCH entries USING INDEX entries_parked (target=? AND rowid>?)',
    ]);
  });
});

describe('While another process is writing to the ledger', () => {
  test('an append waits for it and the event loop goes on', async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    using other = new DatabaseSync(place.path);
    other.exec('BEGIN IMMEDIATE');
    let durable = false;
    const done = ledger.append([seen(1)]).then(() => (durable = true));
    await systemClock.sleep(60);
    expect(durable).toBe(false);
    expect([...ledger.entries('main')]).toHaveLength(1);
    other.exec('COMMIT');
    await done;
    using reader = openLedgerReader(place.path);
    expect(reader.entry('main', tableOf(1))?.seen).toBe(1);
  });

  test('an append fails when that takes too long', async () => {
    await using place = await temporaryLedger();
    let nowMs = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => (nowMs += 10_000) };
    await using ledger = await place.open({ clock });
    using other = new DatabaseSync(place.path);
    other.exec('BEGIN IMMEDIATE');
    await expect(ledger.append([seen(1)])).rejects.toMatchObject({
      code: 'LEDGER_FAILED',
      detail: expect.stringContaining('another process keeps it locked') as string,
    });
    expect(nowMs).toBeGreaterThan(30_000);
  });
});
