import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { PushError } from '../errors/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Request, RequestOrder, RequestOutbox } from './inbox.ts';
import { findLocation } from './location.ts';
import { requireCurrentVersion } from './schema.ts';
import { openingError, workingError } from './sqlite-error.ts';

/** Requests that may wait in a ledger at once. */
const REQUESTS_MAX = 1000;
/** How long to wait for the owner's commit. */
const WRITE_WAIT_MS = 5000;

/**
 * Opens the ledger at `path` to ask something of its owner, running or not. Throws `LEDGER_MISSING`, `LEDGER_NEWER`,
 * `LEDGER_OLDER`, `LEDGER_CORRUPT`, `LEDGER_UNWRITABLE`.
 */
export function openRequests(path: string, deps: { readonly clock: Clock }): RequestOutbox {
  const file = findLocation(path);
  requireLedger(file);
  using opened = new DisposableStack();
  try {
    const db = opened.adopt(new DatabaseSync(file, { timeout: WRITE_WAIT_MS }), (it) => it.close());
    requireCurrentVersion(db, file);
    // Moving the log into the file is the owner's work; this process holds no lock longer than its one row takes.
    db.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0');
    return new SqliteOutbox(db, file, deps.clock, opened.move());
  } catch (error) {
    throw openingError(error, file);
  }
}

/** Throws `LEDGER_MISSING` if there is no file. */
export function requireLedger(path: string): void {
  if (existsSync(path)) return;
  throw new PushError('LEDGER_MISSING', `There is no file ${path}.`);
}

/** Requests with an id above `after`, oldest first. */
export function readRequests(db: DatabaseSync, after: number): readonly Request[] {
  const rows = db.prepare('SELECT id, submitted_at, body FROM requests WHERE id > ? ORDER BY id').all(after);
  return rows.map((row) => ({
    ...(JSON.parse(String(row['body'])) as RequestOrder),
    id: Number(row['id']),
    submittedAt: Number(row['submitted_at']),
  }));
}

class SqliteOutbox implements RequestOutbox {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #resources: Disposable;

  constructor(db: DatabaseSync, path: string, clock: Clock, resources: Disposable) {
    this.#db = db;
    this.#path = path;
    this.#clock = clock;
    this.#resources = resources;
  }

  submit({ kind, tables, target, sink, waiting }: RequestOrder): number {
    const body = JSON.stringify({ kind, tables, target, sink, waiting } satisfies RequestOrder);
    const { changes, lastInsertRowid } = this.#try(() =>
      this.#db
        .prepare(
          `INSERT INTO requests (submitted_at, body) SELECT ?, ? WHERE (SELECT count(*) FROM requests) < ${REQUESTS_MAX}`,
        )
        .run(this.#clock.now(), body),
    );
    if (Number(changes) === 1) return Number(lastInsertRowid);
    throw new PushError('LEDGER_REQUESTS_FULL', `${REQUESTS_MAX} requests wait in ${this.#path}.`);
  }

  isWaiting(id: number): boolean {
    return this.#try(() => this.#db.prepare('SELECT 1 FROM requests WHERE id = ?').get(id) !== undefined);
  }

  [Symbol.dispose](): void {
    this.#resources[Symbol.dispose]();
  }

  #try<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw workingError(error, this.#path);
    }
  }
}
