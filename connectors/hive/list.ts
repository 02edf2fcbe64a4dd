import type { TableState } from '../../src/core/types.ts';
import type { HiveConfig } from './config.ts';
import { hiveFailure } from './failure.ts';
import { guardQuery, heedGuard, qualified, stateOf } from './metastore.ts';
import { idOf, type Fill, type NameMap } from './names.ts';
import { connect, type Cells, type Queryable } from './postgres.ts';
import type { Vetting } from './vetting.ts';
import pg from 'pg';

const PAGE = 1_000;
const DOING = 'listing the tables';

/**
 * Every table of the catalog, in pages, out of one snapshot of the metastore; fills `names` with it once it is complete.
 * Throws the abort's reason, as a part of a list must not pass for the whole.
 */
export async function* listTables(
  config: HiveConfig,
  { names, vetting }: { readonly names: NameMap; readonly vetting: Vetting },
  signal: AbortSignal,
): AsyncGenerator<readonly TableState[], void, undefined> {
  const connection = await connect(config, { doing: DOING, timeoutMs: config.listTimeoutMs, signal });
  const fill = names.fill();
  try {
    await vetting.vet(connection.client);
    yield* pages(connection.client, config, fill);
    fill.finish();
  } catch (error) {
    signal.throwIfAborted();
    throw hiveFailure(error, DOING, config);
  } finally {
    fill.abandon();
    await connection.close();
  }
}

async function* pages(
  client: Queryable,
  config: HiveConfig,
  fill: Fill,
): AsyncGenerator<readonly TableState[], void, undefined> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  // All rows are fetched, so the plan that is fastest to its end is wanted; and a consumer may take its time between pages.
  await client.query('SET LOCAL cursor_tuple_fraction = 1; SET LOCAL idle_in_transaction_session_timeout = 0');
  const guard = await client.query<Cells>({
    text: guardQuery(config.schema, '$1'),
    values: [config.catalog],
    rowMode: 'array',
  });
  const asOf = heedGuard(guard.rows[0] ?? [], config.catalog);
  const databases = await client.query<Cells>({
    text: `SELECT "DB_ID"::text, "CTLG_NAME", "NAME" FROM ${qualified(config.schema, 'DBS')}`,
    rowMode: 'array',
  });
  for (const [id, catalog, name] of databases.rows) {
    const databaseId = idOf(id);
    if (databaseId !== undefined) fill.databases.set(databaseId, { catalog: String(catalog), name: String(name) });
  }
  await client.query(`DECLARE polaris_push_list NO SCROLL CURSOR FOR ${tablesQuery(config)}`);
  const fetch = () => client.query<Cells>({ text: `FETCH ${PAGE} FROM polaris_push_list`, rowMode: 'array' });
  // The next page is on its way while the consumer works on this one; its error waits until it is asked for.
  let next = fetch();
  for (;;) {
    const { rows } = await next;
    if (rows.length === 0) break;
    next = fetch();
    next.catch(() => {});
    yield rows.flatMap((row) => pageRow(row, fill, asOf));
  }
  await client.query('COMMIT');
}

function pageRow([id, database, name, tableType, kind, location, uuid]: Cells, fill: Fill, asOf: number): TableState[] {
  const [tableId, databaseId] = [idOf(id), idOf(database)];
  const namespace = databaseId === undefined ? undefined : fill.databases.get(databaseId)?.name;
  if (tableId === undefined || databaseId === undefined || namespace === undefined) return [];
  const table = { databaseId, name: String(name) };
  fill.tables.set(tableId, table);
  return [
    stateOf(
      { namespace: [namespace], name: table.name },
      {
        id: String(id),
        tableType: textOf(tableType),
        kind: textOf(kind),
        metadataLocation: textOf(location),
        uuid: textOf(uuid),
      },
      asOf,
    ),
  ];
}

function textOf(cell: Cells[number] | undefined): string | null {
  return cell === undefined || cell === null ? null : String(cell);
}

function tablesQuery(config: HiveConfig): string {
  const parameter = (alias: string, key: string) =>
    `LEFT JOIN ${qualified(config.schema, 'TABLE_PARAMS')} ${alias} ON ${alias}."TBL_ID" = t."TBL_ID" AND ${alias}."PARAM_KEY" = '${key}'`;
  return `
    SELECT t."TBL_ID"::text, t."DB_ID"::text, t."TBL_NAME", t."TBL_TYPE",
           kind."PARAM_VALUE", location."PARAM_VALUE", uuid."PARAM_VALUE"
    FROM ${qualified(config.schema, 'TBLS')} t
    JOIN ${qualified(config.schema, 'DBS')} d ON d."DB_ID" = t."DB_ID"
    ${parameter('kind', 'table_type')} ${parameter('location', 'metadata_location')} ${parameter('uuid', 'uuid')}
    WHERE d."CTLG_NAME" = ${pg.escapeLiteral(config.catalog)} AND t."TBL_NAME" IS NOT NULL`;
}
