import type { TableIdentifier, TableState } from '../../src/core/types.ts';
import type { HiveConfig } from './config.ts';
import { guardQuery, heedGuard, qualified, stateOf } from './metastore.ts';
import { idOf, type Database, type Id, type Table } from './names.ts';
import type { Cells, QueryPool, Statement } from './postgres.ts';

/** Names in one statement; more are asked in several. */
const BATCH = 1_000;

/** Asks the metastore what it holds under some names, and under which names some ids are known. */
export class Resolver {
  readonly #config: HiveConfig;
  readonly #pool: QueryPool;
  readonly #tables: Statement;
  readonly #ids: Statement;

  constructor(config: HiveConfig, pool: QueryPool) {
    this.#config = config;
    this.#pool = pool;
    this.#tables = { name: 'polaris_push_resolve', text: tablesQuery(config.schema), doing: 'reading tables' };
    this.#ids = { name: 'polaris_push_names', text: idsQuery(config.schema), doing: 'looking up names' };
  }

  /**
   * One state for each table, in order. `absent` comes from a statement that also vouches for itself: on a primary, no row
   * hidden, the catalog known. Throws the abort's reason or `PushError`.
   */
  async resolve(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<readonly TableState[]> {
    const states: TableState[] = [];
    for (let start = 0; start < tables.length; start += BATCH)
      states.push(...(await this.#batch(tables.slice(start, start + BATCH), signal)));
    return states;
  }

  async #batch(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<readonly TableState[]> {
    const { catalog } = this.#config;
    const rows = await this.#pool.rows(
      this.#tables,
      [tables.map(({ namespace }) => namespace[0] ?? ''), tables.map(({ name }) => name), catalog],
      signal,
    );
    const found = new Map(rows.map((row) => [Number(row[0]), row]));
    return tables.map((table, index) => {
      const row = found.get(index + 1) ?? [];
      const asOf = heedGuard(row.slice(6), catalog);
      if (table.namespace.length !== 1)
        return { kind: 'unsupported', table, reason: 'Hive has no databases within databases', asOf };
      const [id, tableType, kind, metadataLocation, uuid] = row.slice(1, 6).map((cell) => cell as string | null);
      if (id === null || id === undefined) return { kind: 'absent', table, asOf };
      return stateOf(
        table,
        {
          id,
          tableType: tableType ?? null,
          kind: kind ?? null,
          metadataLocation: metadataLocation ?? null,
          uuid: uuid ?? null,
        },
        asOf,
      );
    });
  }

  /** The rows behind some `TBL_ID`s, of all catalogs; those that have gone are missing. */
  async names(
    ids: readonly Id[],
    signal: AbortSignal,
  ): Promise<readonly { readonly id: Id; readonly table: Table; readonly database: Database }[]> {
    const found: { id: Id; table: Table; database: Database }[] = [];
    for (let start = 0; start < ids.length; start += BATCH) {
      const rows = await this.#pool.rows(this.#ids, [ids.slice(start, start + BATCH).map(String)], signal);
      for (const [tableId, dbId, name, database, catalog] of rows) {
        const [id, databaseId] = [idOf(tableId), idOf(dbId)];
        if (id === undefined || databaseId === undefined) continue;
        found.push({
          id,
          table: { databaseId, name: String(name) },
          database: { catalog: String(catalog), name: String(database) },
        });
      }
    }
    return found;
  }

  /** The text of `pg_current_snapshot()`: which transactions a query sees now. */
  async snapshot(signal: AbortSignal): Promise<string> {
    const rows: readonly Cells[] = await this.#pool.rows(SNAPSHOT, [], signal);
    return String(rows[0]?.[0]);
  }

  /** The process that streams from the slot, and whether commits wait for it as a synchronous standby. */
  async walSender(signal: AbortSignal): Promise<{ readonly pid: number | undefined; readonly synchronous: boolean }> {
    const [row] = await this.#pool.rows(WAL_SENDER, [this.#config.slot], signal);
    return { pid: typeof row?.[0] === 'number' ? row[0] : undefined, synchronous: row?.[1] === true };
  }
}

const SNAPSHOT: Statement = {
  name: 'polaris_push_snapshot',
  text: 'SELECT pg_current_snapshot()::text',
  doing: 'asking which transactions are visible',
};

const WAL_SENDER: Statement = {
  name: 'polaris_push_wal_sender',
  text: `SELECT s.active_pid, r.sync_state IN ('sync', 'quorum') FROM pg_replication_slots s
         LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = $1`,
  doing: 'looking at the slot',
};

function tablesQuery(schema: string): string {
  const parameter = (alias: string, key: string) =>
    `LEFT JOIN ${qualified(schema, 'TABLE_PARAMS')} ${alias} ON ${alias}."TBL_ID" = t."TBL_ID" AND ${alias}."PARAM_KEY" = '${key}'`;
  return `
    SELECT wanted.n::int, t."TBL_ID"::text, t."TBL_TYPE", kind."PARAM_VALUE", location."PARAM_VALUE", uuid."PARAM_VALUE", guard.*
    FROM unnest($1::varchar[], $2::varchar[]) WITH ORDINALITY AS wanted (db, tbl, n)
    CROSS JOIN (${guardQuery(schema, '$3')}) guard
    LEFT JOIN ${qualified(schema, 'DBS')} d ON d."NAME" = wanted.db AND d."CTLG_NAME" = $3
    LEFT JOIN ${qualified(schema, 'TBLS')} t ON t."DB_ID" = d."DB_ID" AND t."TBL_NAME" = wanted.tbl
    ${parameter('kind', 'table_type')} ${parameter('location', 'metadata_location')} ${parameter('uuid', 'uuid')}`;
}

function idsQuery(schema: string): string {
  return `
    SELECT t."TBL_ID"::text, t."DB_ID"::text, t."TBL_NAME", d."NAME", d."CTLG_NAME"
    FROM ${qualified(schema, 'TBLS')} t JOIN ${qualified(schema, 'DBS')} d ON d."DB_ID" = t."DB_ID"
    WHERE t."TBL_ID" = ANY ($1::bigint[]) AND t."TBL_NAME" IS NOT NULL`;
}
