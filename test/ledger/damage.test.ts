import { spawnSync } from 'node:child_process';
import { open, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { EntryRecord, Timestamp } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { openLedgerReader } from '../../src/ledger/reader.ts';
import { openRequests } from '../../src/ledger/requests.ts';
import { migrate, MIGRATIONS, versionOf } from '../../src/ledger/schema.ts';
import { silentLog, type LogFields } from '../../src/runtime/log.ts';
import { deps, temporaryLedger } from './temporary-ledger.ts';

const skipped = (n: number, why: string = 'x'.repeat(300)): EntryRecord => ({
  kind: 'settled',
  target: 'main',
  table: { namespace: ['db'], name: `table ${n}` },
  seen: 1,
  skipped: why,
});

/** A closed ledger of some 600 KiB. */
async function closedLedger() {
  const place = await temporaryLedger();
  await using ledger = await place.open();
  await ledger.append(Array.from({ length: 1500 }, (_, n) => skipped(n)));
  return place;
}

async function overwrite(path: string, at: number, bytes: Buffer): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
}

const DAMAGES: readonly (readonly [string, (path: string) => Promise<void>])[] = [
  ["isn't a database", (path) => writeFile(path, 'source: { kind: file }\n'.repeat(500))],
  ['was cut in the middle of a page', async (path) => truncate(path, Math.floor((await stat(path)).size / 2) + 100)],
  ['lost its last page', async (path) => truncate(path, (await stat(path)).size - 4096)],
  ['was overwritten at its start', (path) => overwrite(path, 0, Buffer.alloc(100, 7))],
  ['has noise in its first page', (path) => overwrite(path, 100, Buffer.alloc(2000, 0xa5))],
  [
    'was overwritten in the middle',
    async (path) => overwrite(path, Math.floor((await stat(path)).size / 8192) * 4096, Buffer.alloc(3 * 4096, 0xa5)),
  ],
];

describe('A damaged ledger', () => {
  test.for(DAMAGES)('that %s is refused with what to do', async ([, damage]) => {
    await using place = await closedLedger();
    await damage(place.path);
    const before = await readFile(place.path);
    const error: unknown = await place.open().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PushError);
    expect(error).toMatchObject({ code: 'LEDGER_CORRUPT', spec: { exitCode: 2 } });
    expect((error as PushError).detail).toContain(place.path);
    expect((error as PushError).fix).toContain(`${place.path}-wal`);
    expect((await readFile(place.path)).equals(before)).toBe(true);

    // The advice works: nothing holds the file or the lock.
    await rename(place.path, `${place.path}.damaged`);
    await using ledger = await place.open();
    expect(ledger.totals('main').entries).toBe(0);
  });

  test('is looked for at every start of a ledger this small, however it ended', async () => {
    await using place = await closedLedger();
    const checks: LogFields[] = [];
    const log = {
      ...silentLog,
      debug: (event: string, fields: LogFields = {}) => void checks.push({ event, ...fields }),
    };
    await (await place.open({ log }))[Symbol.asyncDispose]();
    using db = new DatabaseSync(place.path);
    db.exec("UPDATE meta SET value = 0 WHERE name = 'closed'");
    db.close();
    await (await place.open({ log }))[Symbol.asyncDispose]();
    expect(checks).toMatchObject([
      { event: 'ledger-checked', closed: true },
      { event: 'ledger-checked', closed: false },
    ]);
  });

  test('that lacks a table is refused, and nothing keeps its lock', async () => {
    await using place = await closedLedger();
    using db = new DatabaseSync(place.path);
    db.exec('DROP TABLE positions');
    db.close();
    const lacking = { code: 'LEDGER_CORRUPT', detail: `${place.path}: no such table: positions.` };
    await expect(place.open()).rejects.toMatchObject(lacking);
    await expect(place.open()).rejects.toMatchObject(lacking);
    expect(() => openLedgerReader(place.path)).toThrow(expect.objectContaining(lacking));
  });

  test('fails when a damaged row is met at work, and says nothing more', async () => {
    await using place = await closedLedger();
    const ledger = await place.open();
    using other = new DatabaseSync(place.path);
    other.exec(`UPDATE entries SET open = '{"type":' WHERE table_key = '["db","table 7"]'`);
    const table = { namespace: ['db'], name: 'table 7' };
    expect(() => ledger.entry('main', table)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    await expect(ledger.append([skipped(1)])).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    expect(() => ledger.totals('main')).toThrow(PushError);
    await ledger[Symbol.asyncDispose]();
  });
});

describe("Another application's database", () => {
  test('is refused and left as it was', async () => {
    await using place = await temporaryLedger();
    using db = new DatabaseSync(place.path);
    db.exec('CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)');
    db.close();
    const before = await readFile(place.path);
    const refusal = { code: 'LEDGER_CORRUPT', detail: expect.stringContaining("another application's") as string };
    await expect(place.open()).rejects.toMatchObject(refusal);
    expect(() => openLedgerReader(place.path)).toThrow(expect.objectContaining(refusal));
    expect((await readFile(place.path)).equals(before)).toBe(true);
  });
});

describe('A ledger of another release', () => {
  test('that is newer is refused by owner, reader and requests, naming both versions', async () => {
    await using place = await closedLedger();
    using db = new DatabaseSync(place.path);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length + 6}`);
    db.close();
    const newer = {
      code: 'LEDGER_NEWER',
      detail: `${place.path} has schema version ${MIGRATIONS.length + 6}; this release knows versions up to ${MIGRATIONS.length}.`,
    };
    await expect(place.open()).rejects.toMatchObject({ ...newer, spec: { exitCode: 2 } });
    expect(() => openLedgerReader(place.path)).toThrow(expect.objectContaining(newer));
    expect(() => openRequests(place.path, deps)).toThrow(expect.objectContaining(newer));
  });

  test('that is older is brought up to date by the owner alone, each step whole or not at all', async () => {
    await using place = await closedLedger();
    using db = new DatabaseSync(place.path);
    const now = MIGRATIONS.length;
    const steps = [
      ...MIGRATIONS,
      "ALTER TABLE entries ADD COLUMN note TEXT DEFAULT 'new'",
      'CREATE TABLE half (x); DROP TABLE absent',
    ];
    expect(() => migrate(db, now, steps)).toThrow('no such table: absent');
    db.close();
    using again = new DatabaseSync(place.path);
    expect(again.prepare('PRAGMA user_version').get()?.['user_version']).toBe(now + 1);
    expect(again.prepare("SELECT count(*) AS n FROM entries WHERE note = 'new'").get()?.['n']).toBe(1500);
    expect(again.prepare("SELECT name FROM sqlite_schema WHERE name = 'half'").all()).toEqual([]);

    again.exec('PRAGMA user_version = 0');
    expect(versionOf(again, place.path)).toBe(0);
    expect(() => openLedgerReader(place.path)).toThrow(expect.objectContaining({ code: 'LEDGER_OLDER' }));
  });
});

describe('A ledger written before there was an outbox', () => {
  test('is brought up to date with all it holds, and takes events from then on', async () => {
    await using place = await temporaryLedger();
    using db = new DatabaseSync(place.path);
    migrate(db, 0, MIGRATIONS.slice(0, 1));
    db.exec(`
      INSERT INTO targets VALUES (1, 'main', 1, 1, 0, 0, 0);
      INSERT INTO entries (target, table_key, seen, settled, doubt, last_timestamp, delivered_type, delivered_timestamp)
        VALUES (1, '["sales","orders"]', 3, 3, 0, 17, 'CREATE', 17);
      INSERT INTO positions VALUES ('a', '42');
      INSERT INTO requests (submitted_at, body) VALUES (5, '{"kind":"retry"}')`);
    db.close();
    const table = { namespace: ['sales'], name: 'orders' };
    expect(() => openLedgerReader(place.path)).toThrow(expect.objectContaining({ code: 'LEDGER_OLDER' }));
    await using ledger = await place.open();
    expect(ledger.entry('main', table)).toMatchObject({ seen: 3, delivered: { type: 'CREATE', timestamp: 17 } });
    expect(ledger.totals('main')).toMatchObject({ entries: 1, delivered: 1 });
    expect(ledger.position('a')).toBe('42');
    expect(ledger.takeRequests()).toMatchObject([{ kind: 'retry' }]);
    expect(ledger.outbox.sinks()).toEqual([]);
    const timestamp = 18 as Timestamp;
    const event = {
      kind: 'event',
      sink: 'hook',
      target: 'main',
      table,
      timestamp,
      at: 1,
      body: '{}',
      limit: 0,
    } as const;
    await ledger.append([event]);
    using reader = openLedgerReader(place.path);
    expect(reader.outbox.totals('hook')).toEqual({ waiting: 1, buried: 0, oldest: 1 });
  });
});

describe('A ledger that cannot write any more', () => {
  test('rejects everything that waits when the disk is full, and keeps what was durable', async () => {
    await using place = await temporaryLedger();
    const ledger = await place.open({ onOpen: (db) => db.exec('PRAGMA max_page_count = 100') });
    let durable = 0;
    let failures: PromiseSettledResult<void>[] = [];
    while (failures.length === 0) {
      const results = await Promise.allSettled([
        ledger.append([skipped(durable)]),
        ledger.append([skipped(durable + 1)]),
      ]);
      failures = results.filter(({ status }) => status === 'rejected');
      if (failures.length === 0) durable += 2;
    }
    const full = {
      code: 'LEDGER_FAILED',
      detail: `${place.path}: the disk is full.`,
      fix: expect.stringContaining('Free space') as string,
    };
    expect(failures).toMatchObject([{ reason: full }, { reason: full }]);
    expect(failures[0]).toHaveProperty('reason.spec.exitCode', 1);
    await expect(ledger.append([skipped(0)])).rejects.toMatchObject(full);
    expect(() => ledger.entry('main', { namespace: ['db'], name: 'table 0' })).toThrow(expect.objectContaining(full));
    await ledger[Symbol.asyncDispose]();
    await using reopened = await place.open();
    expect(durable).toBeGreaterThan(100);
    expect(reopened.totals('main')).toMatchObject({ entries: durable, skipped: durable });
  });

  test('fails for an error of the disk as well, and keeps what was durable', async () => {
    await using place = await temporaryLedger();
    // No file of the writer may grow beyond 512 KiB: the write-ahead log soon would.
    const writer = fileURLToPath(new URL('writer.ts', import.meta.url));
    const script = 'ulimit -f 1024 && exec "$0" "$@"';
    const { stdout, stderr, status } = spawnSync('sh', ['-c', script, process.execPath, writer, place.path], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toContain("can't be read or written any more");
    const confirmed = Number(stdout.trim().split('\n').at(-1));
    expect(confirmed).toBeGreaterThan(3);
    await using ledger = await place.open();
    expect(Number(ledger.position('sequence'))).toBeGreaterThanOrEqual(confirmed);
  });
});
