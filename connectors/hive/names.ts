import type { TableIdentifier } from '../../src/core/types.ts';

/** A `TBL_ID` or `DB_ID`. A number where it fits one exactly, which takes half the memory of a string. */
export type Id = number | string;

/** The columns are bigint: the protocol and `pg` deliver them as text. Undefined for anything else, such as SQL NULL. */
export function idOf(value: unknown): Id | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== 'string' || !/^-?[0-9]+$/.test(value)) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export type Database = { readonly catalog: string; readonly name: string };
export type Table = { readonly databaseId: Id; readonly name: string };
/** A table's full name in the metastore. */
export type FullName = { readonly catalog: string; readonly identifier: TableIdentifier };

/**
 * What the ids of the replication stream are called: a DELETE carries a `TBL_ID` and nothing else, a rename only the new
 * name. Filled by the list and kept current by the stream, so it says what was true at the stream's position. Its size is
 * that of the metastore; tables of other catalogs are in it too once the stream has met them, so that they are looked up
 * once only.
 */
export class NameMap {
  #databases = new Map<Id, Database>();
  #tables = new Map<Id, Table>();
  readonly #fills = new Set<Fill>();

  get size(): number {
    return this.#tables.size;
  }

  database(id: Id): Database | undefined {
    return this.#databases.get(id);
  }

  table(id: Id): Table | undefined {
    return this.#tables.get(id);
  }

  /** Undefined if the table or its database isn't known. */
  fullName(id: Id): FullName | undefined {
    const table = this.#tables.get(id);
    const database = table === undefined ? undefined : this.#databases.get(table.databaseId);
    if (table === undefined || database === undefined) return undefined;
    return { catalog: database.catalog, identifier: { namespace: [database.name], name: table.name } };
  }

  tableIds(): Iterable<Id> {
    return this.#tables.keys();
  }

  /** Looks at every table; databases change rarely enough for that. */
  *tableIdsOf(databaseId: Id): Iterable<Id> {
    for (const [id, table] of this.#tables) if (table.databaseId === databaseId) yield id;
  }

  setDatabase(id: Id, database: Database | undefined): void {
    for (const fill of this.#fills) fill.databasesChanged.add(id);
    if (database === undefined) this.#databases.delete(id);
    else this.#databases.set(id, database);
  }

  setTable(id: Id, table: Table | undefined): void {
    for (const fill of this.#fills) fill.tablesChanged.add(id);
    if (table === undefined) this.#tables.delete(id);
    else this.#tables.set(id, table);
  }

  /**
   * Starts a list: it collects what its snapshot holds and takes effect, whole, at `finish()`. What the stream says
   * meanwhile wins over the snapshot, which may be older: taking a name of yesterday over a rename just seen would name the
   * wrong table at the next one. Where the snapshot is the newer one, the list itself is the hint that a name has gone.
   */
  fill(): Fill {
    const fill: Fill = {
      databases: new Map(),
      tables: new Map(),
      databasesChanged: new Set(),
      tablesChanged: new Set(),
      finish: () => {
        overlay(fill.databases, this.#databases, fill.databasesChanged);
        overlay(fill.tables, this.#tables, fill.tablesChanged);
        this.#databases = fill.databases;
        this.#tables = fill.tables;
        this.#fills.delete(fill);
      },
      abandon: () => void this.#fills.delete(fill),
    };
    this.#fills.add(fill);
    return fill;
  }
}

export type Fill = {
  readonly databases: Map<Id, Database>;
  readonly tables: Map<Id, Table>;
  readonly databasesChanged: Set<Id>;
  readonly tablesChanged: Set<Id>;
  finish(): void;
  abandon(): void;
};

function overlay<Value>(onto: Map<Id, Value>, current: ReadonlyMap<Id, Value>, changed: ReadonlySet<Id>): void {
  for (const id of changed) {
    const value = current.get(id);
    if (value === undefined) onto.delete(id);
    else onto.set(id, value);
  }
}
