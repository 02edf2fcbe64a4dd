import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { TableKey } from '../core/table.ts';
import type { Entry, ParkCode, Position } from '../core/types.ts';
import { entryOf, VALUE_COLUMNS, valuesOf, type EntryRow } from './entry-row.ts';
import type { Totals } from './ledger.ts';

/** A target's row: its number in the file, its name, the counts of its entries. */
export type TargetRow = { readonly id: number; readonly name: string; readonly totals: Totals };

/** An entry and the number of its row, by which it is updated without looking for its key again. */
export type StoredEntry = { readonly id: number; readonly key: TableKey; readonly entry: Entry };

export type EntryFilter = 'all' | 'unfinished' | 'parked';

/** Rows read at once. No read outlasts its page, so none keeps a checkpoint of the WAL from finishing. */
const PAGE_ROWS = 1000;

const FILTERS = {
  // By row number: without the hint SQLite would sort by it after a search for the target.
  all: 'NOT INDEXED WHERE target = ?1',
  // These conditions must read like those of the partial indexes, or the indexes aren't used.
  unfinished: 'INDEXED BY entries_unfinished WHERE target = ?1 AND (settled < seen OR open IS NOT NULL)',
  parked: 'INDEXED BY entries_parked WHERE target = ?1 AND parked_code IS NOT NULL',
} as const satisfies Record<EntryFilter, string>;

/** The statements on an open ledger's file, prepared once. They throw what `node:sqlite` throws. */
export class EntryTable {
  readonly #get: StatementSync;
  readonly #pages: Readonly<Record<EntryFilter, StatementSync>>;
  readonly #targets: StatementSync;
  readonly #target: StatementSync;
  readonly #parkedByCode: StatementSync;
  readonly #position: StatementSync;

  constructor(db: DatabaseSync) {
    this.#get = db.prepare('SELECT * FROM entries WHERE target = ? AND table_key = ?');
    const page = (filter: EntryFilter) =>
      db.prepare(`SELECT * FROM entries ${FILTERS[filter]} AND id > ?2 ORDER BY id LIMIT ${PAGE_ROWS}`);
    this.#pages = { all: page('all'), unfinished: page('unfinished'), parked: page('parked') };
    this.#targets = db.prepare('SELECT * FROM targets ORDER BY id');
    this.#target = db.prepare('SELECT * FROM targets WHERE name = ?');
    this.#parkedByCode = db.prepare(
      `SELECT parked_code, count(*) AS count FROM entries INDEXED BY entries_parked
         WHERE target = ? AND parked_code IS NOT NULL GROUP BY parked_code`,
    );
    this.#position = db.prepare('SELECT position FROM positions WHERE source = ?');
  }

  get(target: TargetRow, key: TableKey): StoredEntry | undefined {
    const row = this.#get.get(target.id, key) as EntryRow | undefined;
    return row === undefined ? undefined : stored(target, row);
  }

  /** Every row of the target that passes the filter, once. Rows written meanwhile may be among them. */
  *pages(target: TargetRow, filter: EntryFilter): Generator<readonly StoredEntry[], void, undefined> {
    let last = 0;
    for (;;) {
      const rows = this.#pages[filter].all(target.id, last) as EntryRow[];
      yield rows.map((row) => stored(target, row));
      const end = rows.at(-1);
      if (end === undefined || rows.length < PAGE_ROWS) return;
      last = end.id;
    }
  }

  parkedByCode(target: TargetRow): Partial<Record<ParkCode, number>> {
    const rows = this.#parkedByCode.all(target.id) as { readonly parked_code: ParkCode; readonly count: number }[];
    return Object.fromEntries(rows.map(({ parked_code: code, count }) => [code, count]));
  }

  targets(): readonly TargetRow[] {
    return this.#targets.all().map((row) => targetOf(row as TargetColumns));
  }

  target(name: string): TargetRow | undefined {
    const row = this.#target.get(name) as TargetColumns | undefined;
    return row === undefined ? undefined : targetOf(row);
  }

  position(source: string): Position | undefined {
    return this.#position.get(source)?.['position'] as Position | undefined;
  }
}

type TargetColumns = Totals & { readonly id: number; readonly name: string };

const targetOf = ({ id, name, entries, delivered, pending, parked, skipped }: TargetColumns): TargetRow => ({
  id,
  name,
  totals: { entries, delivered, pending, parked, skipped },
});

const stored = (target: TargetRow, row: EntryRow): StoredEntry => ({
  id: row.id,
  key: row.table_key,
  entry: entryOf(target.name, row),
});

/** The statements that write. Only the owner has them, inside its transactions. */
export class EntryWriter {
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #insertTarget: StatementSync;
  readonly #updateTarget: StatementSync;
  readonly #putPosition: StatementSync;

  constructor(db: DatabaseSync) {
    const columns = VALUE_COLUMNS.join(', ');
    const marks = VALUE_COLUMNS.map(() => '?').join(', ');
    this.#insert = db.prepare(`INSERT INTO entries (target, table_key, ${columns}) VALUES (?, ?, ${marks})`);
    this.#update = db.prepare(
      `UPDATE entries SET ${VALUE_COLUMNS.map((name) => `${name} = ?`).join(', ')} WHERE id = ?`,
    );
    this.#insertTarget = db.prepare(
      'INSERT INTO targets (name, entries, delivered, pending, parked, skipped) VALUES (?, 0, 0, 0, 0, 0)',
    );
    this.#updateTarget = db.prepare(
      'UPDATE targets SET entries = ?, delivered = ?, pending = ?, parked = ?, skipped = ? WHERE id = ?',
    );
    this.#putPosition = db.prepare('INSERT OR REPLACE INTO positions (source, position) VALUES (?, ?)');
  }

  insert(targetId: number, key: TableKey, entry: Entry): void {
    this.#insert.run(targetId, key, ...valuesOf(entry));
  }

  update(id: number, entry: Entry): void {
    this.#update.run(...valuesOf(entry), id);
  }

  /** The new target's id. */
  insertTarget(name: string): number {
    return Number(this.#insertTarget.run(name).lastInsertRowid);
  }

  updateTarget(id: number, { entries, delivered, pending, parked, skipped }: Totals): void {
    this.#updateTarget.run(entries, delivered, pending, parked, skipped, id);
  }

  putPosition(source: string, position: Position): void {
    this.#putPosition.run(source, position);
  }
}
