import type { DatabaseSync } from 'node:sqlite';
import { PushError } from '../errors/errors.ts';
import { corrupt } from './sqlite-error.ts';

/** "PoPu" in the file's header: says that an SQLite file is a ledger of this project. */
const APPLICATION_ID = 0x50_6f_50_75;

/**
 * The steps from an empty file to today's schema, forward only. The number of steps done is the file's schema version.
 * A step that was ever released is never changed.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY
  ) STRICT, WITHOUT ROWID;

  -- The counts are those of its entries; they change in the same transaction.
  CREATE TABLE targets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    entries INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    skipped INTEGER NOT NULL
  ) STRICT;

  -- table_key: a JSON array of the namespace's levels and the name; the same for "after". open: JSON.
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    target INTEGER NOT NULL REFERENCES targets (id),
    table_key TEXT NOT NULL,
    seen INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    doubt INTEGER NOT NULL,
    after TEXT,
    last_timestamp INTEGER,
    delivered_type TEXT,
    delivered_timestamp INTEGER,
    delivered_location TEXT,
    delivered_incarnation TEXT,
    open TEXT,
    parked_code TEXT,
    parked_detail TEXT,
    parked_since INTEGER,
    parked_type TEXT,
    skipped TEXT,
    UNIQUE (target, table_key)
  ) STRICT;

  CREATE INDEX entries_unfinished ON entries (target) WHERE settled < seen OR open IS NOT NULL;
  CREATE INDEX entries_parked ON entries (target) WHERE parked_code IS NOT NULL;

  CREATE TABLE positions (
    source TEXT PRIMARY KEY,
    position TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- AUTOINCREMENT: the id of a request that was taken and deleted must not come again.
  CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    submitted_at INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  `,
  `
  -- Events on their way to a sink. id: its place, given in the order of time; kept by an event that takes another one's
  -- place, which the timestamp of its notification tells from the other. body: a CloudEvent, JSON.
  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    sink TEXT NOT NULL,
    target TEXT NOT NULL,
    table_key TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    buried_since INTEGER,
    reason TEXT
  ) STRICT;

  CREATE INDEX outbox_tables ON outbox (sink, target, table_key, id);
  CREATE INDEX outbox_waiting ON outbox (sink, id) WHERE buried_since IS NULL;
  CREATE INDEX outbox_buried ON outbox (sink, id) WHERE buried_since IS NOT NULL;
  `,
];

/**
 * The schema version of the ledger in `db`; 0 for an empty database. Changes nothing, as the file may be anybody's.
 * Throws `LEDGER_CORRUPT` for what isn't a ledger and `LEDGER_NEWER` for one of a newer release.
 */
export function versionOf(db: DatabaseSync, path: string): number {
  const id = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n']);
  if (id === 0 && version === 0 && tables === 0) return 0;
  if (id !== APPLICATION_ID) throw corrupt(path, "it is another application's SQLite database");
  if (version > MIGRATIONS.length) {
    throw new PushError(
      'LEDGER_NEWER',
      `${path} has schema version ${version}; this release knows versions up to ${MIGRATIONS.length}.`,
    );
  }
  return version;
}

/** Like `versionOf`, for a process that doesn't own the ledger and so can't migrate it: also throws `LEDGER_OLDER`. */
export function requireCurrentVersion(db: DatabaseSync, path: string): void {
  const version = versionOf(db, path);
  if (version === MIGRATIONS.length) return;
  throw new PushError(
    'LEDGER_OLDER',
    `${path} has schema version ${version}; this release reads version ${MIGRATIONS.length}.`,
  );
}

/** Brings the schema from `from` to the last migration: each step in one transaction, so a crash leaves whole steps. */
export function migrate(db: DatabaseSync, from: number, migrations: readonly string[] = MIGRATIONS): void {
  for (const [index, step] of migrations.entries()) {
    if (index < from) continue;
    db.exec('BEGIN IMMEDIATE');
    db.exec(step);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${index + 1}`);
    db.exec('COMMIT');
  }
}

/** Throws `LEDGER_CORRUPT` when the file's structure is damaged. Reads all of it: some 1.5 GB/s from memory. */
export function quickCheck(db: DatabaseSync, path: string): void {
  const finding = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (finding !== 'ok') throw corrupt(path, String(finding).replaceAll('\n', ' '));
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}
