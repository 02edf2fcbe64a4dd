import type pg from 'pg';

/**
 * What the metastore holds: `database.table` → metadata location, of Iceberg tables alone. It decides verdicts, so it shares
 * no SQL with the connector, and sorts out views and other tables in JavaScript.
 */
export async function truth(client: pg.ClientBase, catalog = 'hive'): Promise<Map<string, string>> {
  const { rows } = await client.query<{
    name: string;
    table: string;
    type: string;
    parameters: Record<string, string>;
  }>(
    `SELECT "DBS"."NAME" AS name, "TBLS"."TBL_NAME" AS table, "TBLS"."TBL_TYPE" AS type,
            json_object_agg("TABLE_PARAMS"."PARAM_KEY", "TABLE_PARAMS"."PARAM_VALUE")
              FILTER (WHERE "TABLE_PARAMS"."PARAM_KEY" = ANY ('{table_type,metadata_location}')) AS parameters
     FROM "DBS" JOIN "TBLS" USING ("DB_ID") JOIN "TABLE_PARAMS" USING ("TBL_ID")
     WHERE "DBS"."CTLG_NAME" = $1 GROUP BY 1, 2, 3`,
    [catalog],
  );
  const tables = new Map<string, string>();
  for (const { name, table, type, parameters } of rows) {
    const location = parameters?.['metadata_location'];
    const isTable = parameters?.['table_type']?.toUpperCase() === 'ICEBERG' && !type.endsWith('_VIEW');
    if (isTable && location !== undefined) tables.set(`${name}.${table}`, location);
  }
  return tables;
}
