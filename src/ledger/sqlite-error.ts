import { PushError } from '../errors/errors.ts';

/** SQLite's primary result codes that mean something to an operator (sqlite.org/rescode.html). */
const SQL_ERROR = 1;
const BUSY = 5;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

/** SQLite's primary result code of an error of `node:sqlite`; 0 for any other error. */
function resultCode(error: unknown): number {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined;
  return typeof code === 'number' ? code & 0xff : 0;
}

export const isBusy = (error: unknown): boolean => resultCode(error) === BUSY;

/** The ledger at `path` couldn't be opened for reading and writing. */
export function openingError(error: unknown, path: string): PushError {
  if (error instanceof PushError) return error;
  switch (resultCode(error)) {
    // The statements are right, so the tables aren't.
    case SQL_ERROR:
      return corrupt(path, textOf(error), error);
    case CANTOPEN:
    case READONLY:
      return unwritable(path, textOf(error), error);
    case BUSY:
      return new PushError('LEDGER_IN_USE', `Another process keeps ${path} locked.`, {
        cause: error,
        fix: `Close what has ${path} open (a sqlite3 shell, a backup), then start again.`,
      });
    default:
      return workingError(error, path);
  }
}

/** An open ledger couldn't be read or written. */
export function workingError(error: unknown, path: string): PushError {
  if (error instanceof PushError) return error;
  // A column that should hold JSON and doesn't was changed behind the ledger's back.
  if (error instanceof SyntaxError) return corrupt(path, textOf(error), error);
  switch (resultCode(error)) {
    case CORRUPT:
    case NOTADB:
      return corrupt(path, textOf(error), error);
    case FULL:
      return failed(path, 'the disk is full', `Free space on the file system of ${path}`, error);
    case READONLY:
      return failed(path, 'it is read-only now', `Make ${path} and its folder writable`, error);
    case IOERR:
      return failed(path, textOf(error), `Look at the disk of ${path} (space, quota, system log)`, error);
    case BUSY:
      return failed(path, 'another process keeps it locked', `Close what has ${path} open (a sqlite3 shell)`, error);
    default:
      return failed(path, textOf(error), 'Report it', error);
  }
}

export const unwritable = (path: string, why: string, cause?: unknown): PushError =>
  new PushError('LEDGER_UNWRITABLE', `${path}: ${why}.`, {
    cause,
    fix: `Let ledger.path name a file in a folder that this user may write to, on a local disk.`,
  });

export const corrupt = (path: string, why: string, cause?: unknown): PushError =>
  new PushError('LEDGER_CORRUPT', `${path}: ${why}.`, {
    cause,
    fix:
      `Restore ${path} from a backup, or move it away together with ${path}-wal and ${path}-shm, and start again: the ` +
      `start compares the source with Polaris and rebuilds what matters. Lost are the timestamps used so far (they go on ` +
      `at the source's clock; where Polaris has a newer one, the agent finds out and heals it), what was parked and why, and what was skipped.`,
  });

const failed = (path: string, why: string, what: string, cause: unknown): PushError =>
  new PushError('LEDGER_FAILED', `${path}: ${why}.`, {
    cause,
    fix: `${what}, then start again. Nothing that was acknowledged to the source is lost.`,
  });

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
