import { DatabaseSync } from 'node:sqlite';
import { keyOf } from '../core/table.ts';
import type { Entry, ParkCode, Position, TableIdentifier } from '../core/types.ts';
import { EntryTable, type EntryFilter } from './entry-table.ts';
import type { Ledger, Owner, Totals } from './ledger.ts';
import { findLocation } from './location.ts';
import { OutboxTable } from './outbox-table.ts';
import type { OutboxReader } from './outbox.ts';
import { isOwned, ownerOf } from './ownership.ts';
import { requireLedger } from './requests.ts';
import { requireCurrentVersion } from './schema.ts';
import { openingError, workingError } from './sqlite-error.ts';
import { emptyTally } from './totals.ts';

/**
 * A ledger seen from another process, while its owner works on or when nobody does. Each call sees what is durable at
 * its moment; a walk over entries sees each page at its own. All throw `PushError`.
 */
export interface LedgerReader extends Omit<Ledger, 'append' | 'outbox' | keyof AsyncDisposable>, Disposable {
  readonly outbox: OutboxReader;
  /** Parked entries of a target. */
  parked(target: string): Iterable<Entry>;
  /** Who opened the ledger last, and whether that process still owns it. */
  owner(): (Owner & { readonly alive: boolean }) | undefined;
}

/**
 * Opens the ledger at `path` for reading; writes nothing and excludes nobody. Throws `LEDGER_MISSING`, `LEDGER_NEWER`,
 * `LEDGER_OLDER`, `LEDGER_CORRUPT`, `LEDGER_UNWRITABLE` (a reader too needs the folder: SQLite's readers and writers meet
 * in its shared-memory file).
 */
export function openLedgerReader(path: string): LedgerReader {
  const file = findLocation(path);
  requireLedger(file);
  using opened = new DisposableStack();
  try {
    const db = opened.adopt(new DatabaseSync(file, { readOnly: true, timeout: READ_WAIT_MS }), (it) => it.close());
    requireCurrentVersion(db, file);
    const kept = new DisposableStack();
    const reader = new SqliteReader(db, file, kept);
    kept.use(opened.move());
    return reader;
  } catch (error) {
    throw openingError(error, file);
  }
}

/** The owner locks readers out only at its end, while it moves the log into the file. */
const READ_WAIT_MS = 2000;

class SqliteReader implements LedgerReader {
  readonly outbox: OutboxReader;
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #resources: Disposable;
  readonly #table: EntryTable;

  constructor(db: DatabaseSync, path: string, resources: Disposable) {
    this.#db = db;
    this.#path = path;
    this.#resources = resources;
    this.#table = new EntryTable(db);
    this.outbox = new OutboxTable(db, (read) => this.#read(read));
  }

  entry(target: string, table: TableIdentifier): Entry | undefined {
    return this.lookup(target, [table])[0];
  }

  lookup(target: string, tables: readonly TableIdentifier[]): readonly (Entry | undefined)[] {
    return this.#read(() => {
      const row = this.#table.target(target);
      return tables.map((table) => (row === undefined ? undefined : this.#table.get(row, keyOf(table))?.entry));
    });
  }

  entries(target: string): Iterable<Entry> {
    return this.#walk(target, 'all');
  }

  unfinished(target: string): Iterable<Entry> {
    return this.#walk(target, 'unfinished');
  }

  parked(target: string): Iterable<Entry> {
    return this.#walk(target, 'parked');
  }

  totals(target: string): Totals {
    return this.#read(() => this.#table.target(target)?.totals ?? emptyTally());
  }

  parkedByCode(target: string): Partial<Record<ParkCode, number>> {
    return this.#read(() => {
      const row = this.#table.target(target);
      return row === undefined ? {} : this.#table.parkedByCode(row);
    });
  }

  targets(): readonly string[] {
    return this.#read(() => this.#table.targets()).map(({ name }) => name);
  }

  position(source: string): Position | undefined {
    return this.#read(() => this.#table.position(source));
  }

  owner(): (Owner & { readonly alive: boolean }) | undefined {
    return this.#read(() => {
      const owner = ownerOf(this.#db);
      if (owner === undefined) return undefined;
      const { pid, host, since } = owner;
      return { pid, host, since, alive: isOwned(this.#path) };
    });
  }

  [Symbol.dispose](): void {
    this.#resources[Symbol.dispose]();
  }

  *#walk(target: string, filter: EntryFilter): Generator<Entry, void, undefined> {
    const row = this.#read(() => this.#table.target(target));
    if (row === undefined) return;
    const pages = this.#table.pages(row, filter);
    for (;;) {
      const page = this.#read(() => pages.next());
      if (page.done === true) return;
      for (const { entry } of page.value) yield entry;
    }
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw workingError(error, this.#path);
    }
  }
}
