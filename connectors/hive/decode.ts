import { sameTable } from '../../src/core/table.ts';
import type { Change } from '../../src/core/types.ts';
import { idOf, type Database, type FullName, type Id, type NameMap, type Table } from './names.ts';

/**
 * What the decoder reads of a pgoutput message, as `PgoutputPlugin` parses it: with REPLICA IDENTITY DEFAULT an update has
 * `new` only (`key` too if the primary key changed) and a delete the primary key; with FULL both have `old`.
 */
export type RowMessage =
  | { readonly tag: 'insert'; readonly relation: Relation; readonly new: Row }
  | {
      readonly tag: 'update';
      readonly relation: Relation;
      readonly key: Row | null;
      readonly old: Row | null;
      readonly new: Row;
    }
  | { readonly tag: 'delete'; readonly relation: Relation; readonly key: Row | null; readonly old: Row | null }
  | { readonly tag: 'truncate'; readonly relations: readonly Relation[] };

type Relation = { readonly schema: string; readonly name: string };
type Row = Readonly<Record<string, unknown>>;

/** Which parameters of a table say what it is and where its metadata lies; the others are statistics and notes. */
export const WATCHED_PARAMETERS = ['metadata_location', 'table_type'] as const;
const watched: ReadonlySet<unknown> = new Set(WATCHED_PARAMETERS);

/** What a transaction did to one table, as far as ids and names go. */
type Touched = {
  /** Its row appeared in this transaction, so nobody else has seen it before. */
  inserted: boolean;
  /** Its row after the last change; undefined: no change of the row itself, only of parameters. */
  row: Table | 'deleted' | undefined;
  /** The last row that the transaction showed: a drop updates the row before it deletes it. */
  shown: Table | undefined;
};

/** Hints of one transaction, and the ids of tables whose names only the metastore knows. */
export type Decoded = { readonly changes: readonly Change[]; readonly unknown: readonly Id[] };

/**
 * One transaction's row changes, reduced to which tables it touched. Iceberg updates `metadata_location` twice in one
 * transaction when it commits without locks, and a drop deletes a dozen rows: all of it is one hint.
 */
export class TransactionDecoder {
  readonly #schema: string;
  readonly #tables = new Map<Id, Touched>();
  readonly #databases = new Map<Id, Database | 'deleted'>();
  /** Everything that was known before was touched, too. */
  #truncated: 'tables' | 'parameters' | undefined;

  constructor(schema: string) {
    this.#schema = schema;
  }

  /** Takes a row change; those of other relations are ignored, as a publication can hold more than ours. */
  add(message: RowMessage): void {
    if (message.tag === 'truncate') {
      for (const relation of message.relations) if (relation.schema === this.#schema) this.#truncate(relation.name);
      return;
    }
    if (message.relation.schema !== this.#schema) return;
    const after = message.tag === 'delete' ? undefined : message.new;
    const before = message.tag === 'insert' ? undefined : (message.key ?? message.old ?? undefined);
    switch (message.relation.name) {
      case 'TBLS':
        return this.#tableRow(before, after, message.tag === 'insert');
      case 'DBS':
        return this.#databaseRow(before, after);
      case 'TABLE_PARAMS':
        for (const row of [before, after])
          if (row !== undefined && watched.has(row['PARAM_KEY'])) this.#touch(idOf(row['TBL_ID']));
        return;
      default:
    }
  }

  #touch(id: Id | undefined): Touched {
    const touched = (id === undefined ? undefined : this.#tables.get(id)) ?? {
      inserted: false,
      row: undefined,
      shown: undefined,
    };
    if (id !== undefined) this.#tables.set(id, touched);
    return touched;
  }

  #tableRow(before: Row | undefined, after: Row | undefined, inserted: boolean): void {
    const oldId = idOf(before?.['TBL_ID']);
    const newId = idOf(after?.['TBL_ID']);
    if (oldId !== undefined && oldId !== newId) this.#touch(oldId).row = 'deleted';
    if (newId === undefined) return;
    const touched = this.#touch(newId);
    if (inserted && touched.row === undefined) touched.inserted = true;
    const databaseId = idOf(after?.['DB_ID']);
    const name = after?.['TBL_NAME'];
    if (databaseId === undefined || typeof name !== 'string') return;
    touched.row = touched.shown = { databaseId, name };
  }

  #databaseRow(before: Row | undefined, after: Row | undefined): void {
    const oldId = idOf(before?.['DB_ID']);
    const newId = idOf(after?.['DB_ID']);
    if (oldId !== undefined && oldId !== newId) this.#databases.set(oldId, 'deleted');
    const [name, catalog] = [after?.['NAME'], after?.['CTLG_NAME']];
    if (newId !== undefined && typeof name === 'string' && typeof catalog === 'string')
      this.#databases.set(newId, { catalog, name });
  }

  #truncate(relation: string): void {
    if (relation === 'TABLE_PARAMS') this.#truncated ??= 'parameters';
    if (relation !== 'TBLS' && relation !== 'DBS') return;
    // A foreign key lets nobody empty DBS and keep TBLS.
    this.#truncated = 'tables';
    for (const touched of this.#tables.values()) touched.row = 'deleted';
    if (relation === 'DBS') for (const id of this.#databases.keys()) this.#databases.set(id, 'deleted');
  }

  /** At the commit: updates `names` to what holds after it, and tells which tables of `catalog` may look different now. */
  commit(names: NameMap, catalog: string): Decoded {
    const affected = this.#affected(names);
    const before = new Map<Id, FullName | undefined>();
    for (const [id, touched] of affected)
      before.set(id, names.fullName(id) ?? (touched.inserted ? undefined : shownName(touched, names)));
    for (const [id, database] of this.#databases) names.setDatabase(id, database === 'deleted' ? undefined : database);

    const changes: Change[] = [];
    const unknown: Id[] = [];
    for (const [id, touched] of affected) {
      const old = before.get(id);
      if (touched.row !== undefined) names.setTable(id, touched.row === 'deleted' ? undefined : touched.row);
      const now = touched.row === 'deleted' ? undefined : names.fullName(id);
      if (now === undefined && touched.row !== 'deleted') unknown.push(id);
      const change = changeOf(inCatalog(old, catalog), inCatalog(now, catalog));
      if (change !== undefined) changes.push(change);
    }
    return { changes, unknown };
  }

  /** In the order in which they were touched; tables of renamed or dropped databases follow. */
  #affected(names: NameMap): ReadonlyMap<Id, Touched> {
    const affected = new Map(this.#tables);
    const alsoTouched = (ids: Iterable<Id>, row: 'deleted' | undefined) => {
      for (const id of ids) if (!affected.has(id)) affected.set(id, { inserted: false, row, shown: undefined });
    };
    if (this.#truncated !== undefined)
      alsoTouched(names.tableIds(), this.#truncated === 'tables' ? 'deleted' : undefined);
    for (const [id, database] of this.#databases) {
      const known = names.database(id);
      if (database === 'deleted') alsoTouched(names.tableIdsOf(id), 'deleted');
      else if (known !== undefined && (known.name !== database.name || known.catalog !== database.catalog))
        alsoTouched(names.tableIdsOf(id), undefined);
    }
    return affected;
  }
}

/** The name of a dropped table that nobody has listed: the transaction updated its row before it deleted it. */
function shownName({ row, shown }: Touched, names: NameMap): FullName | undefined {
  const database = row === 'deleted' && shown !== undefined ? names.database(shown.databaseId) : undefined;
  if (shown === undefined || database === undefined) return undefined;
  return { catalog: database.catalog, identifier: { namespace: [database.name], name: shown.name } };
}

function inCatalog(name: FullName | undefined, catalog: string): FullName['identifier'] | undefined {
  return name?.catalog === catalog ? name.identifier : undefined;
}

function changeOf(
  old: FullName['identifier'] | undefined,
  now: FullName['identifier'] | undefined,
): Change | undefined {
  if (now === undefined) return old === undefined ? undefined : { kind: 'dropped', table: old };
  if (old === undefined || sameTable(old, now)) return { kind: 'upserted', table: now };
  return { kind: 'renamed', table: old, to: now };
}
