import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import type { EpochMillis } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Owner, OwnershipWait } from './ledger.ts';
import { isBusy, unwritable } from './sqlite-error.ts';

/** A probe holds the lock for some microseconds, so that the one who wants to keep it waits a moment. */
const LOCK_WAIT_MS = 250;

/**
 * Takes the ledger at `path` for this process; the lock ends with `Symbol.dispose` or with the process, however it ends.
 * It is the operating system's lock on a file of its own, held by an open transaction of SQLite, which knows how each
 * system locks. The file stays empty, and is never deleted: a lock on a deleted file excludes nobody.
 * Throws `LEDGER_IN_USE`, naming the owner if the ledger tells, or `LEDGER_UNWRITABLE`.
 */
export function takeOwnership(path: string): Disposable {
  const lock = openLock(path, { timeout: LOCK_WAIT_MS });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    throw isBusy(error) ? inUse(path, error) : unwritable(lockPath(path), messageOf(error), error);
  }
  return { [Symbol.dispose]: () => lock.close() };
}

/** Some system calls each: 20 a second are a thousandth of a core. */
const LOOK_MS = 50;

/**
 * The same for a standby: waits until no other process owns the ledger, looking some 20 times a second, and blocks nobody
 * meanwhile. Throws the signal's reason when it aborts, and `LEDGER_UNWRITABLE`.
 */
export async function waitForOwnership(
  path: string,
  { signal, onWait, clock }: OwnershipWait & { readonly clock: Clock },
): Promise<Disposable> {
  using opened = new DisposableStack();
  const lock = opened.adopt(openLock(path, { timeout: 0 }), (it) => it.close());
  for (let looks = 0; ; looks += 1) {
    signal.throwIfAborted();
    try {
      lock.exec('BEGIN EXCLUSIVE');
      return opened.move();
    } catch (error) {
      if (!isBusy(error)) throw unwritable(lockPath(path), messageOf(error), error);
    }
    if (looks === 0) onWait(readOwner(path));
    await clock.sleep(LOOK_MS, signal);
  }
}

/** Whether some process owns the ledger at `path` now. */
export function isOwned(path: string): boolean {
  if (!existsSync(lockPath(path))) return false;
  const lock = openLock(path, { readOnly: true });
  try {
    lock.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw unwritable(lockPath(path), messageOf(error), error);
  } finally {
    lock.close();
  }
}

/** What `recordOwner` wrote, if anything. */
export function ownerOf(db: DatabaseSync): (Owner & { readonly token: string }) | undefined {
  const owner = db.prepare("SELECT value FROM meta WHERE name = 'owner'").get()?.['value'];
  return typeof owner === 'string' ? (JSON.parse(owner) as Owner & { token: string }) : undefined;
}

/** Says for others who owns the ledger. `token` tells this opening from every other one. */
export function recordOwner(db: DatabaseSync, since: EpochMillis, token: string): void {
  const owner: Owner & { token: string } = { pid: process.pid, host: hostname(), since, token };
  db.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('owner', ?)").run(JSON.stringify(owner));
}

/** The error of a second process. */
export function inUse(path: string, cause?: unknown): PushError {
  const owner = readOwner(path);
  const who =
    owner === undefined
      ? 'another process'
      : `process ${owner.pid} on ${owner.host}, since ${new Date(owner.since).toISOString()}`;
  return new PushError('LEDGER_IN_USE', `${path} is owned by ${who}.`, { cause });
}

function readOwner(path: string): Owner | undefined {
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      return ownerOf(db);
    } finally {
      db.close();
    }
  } catch {
    // Only the message is poorer: the owner may be about to create the file.
    return undefined;
  }
}

function openLock(path: string, options: { readonly timeout?: number; readonly readOnly?: boolean }): DatabaseSync {
  try {
    return new DatabaseSync(lockPath(path), options);
  } catch (error) {
    throw unwritable(lockPath(path), messageOf(error), error);
  }
}

const lockPath = (path: string): string => `${path}.lock`;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
