import { hostname, userInfo } from 'node:os';
import pg from 'pg';
import type { Column } from './iceberg-metadata.ts';

// The statements of a Hive Metastore, as text: one round trip carries several of them, and the order is the recorded one.

type Value = string | number | boolean | null;

const literal = (value: Value): string => {
  if (value === null) return 'NULL';
  return typeof value === 'string' ? pg.escapeLiteral(value) : String(value);
};

/** A statement; every interpolated value becomes an SQL literal, an array a list of them. */
export function sql(parts: TemplateStringsArray, ...values: readonly (Value | readonly string[])[]): string {
  const shown = values.map((value) => (isList(value) ? value.map(literal).join(', ') : literal(value)));
  return String.raw({ raw: parts }, ...shown);
}
const isList = (value: Value | readonly string[]): value is readonly string[] => Array.isArray(value);

const USER = userInfo().username;

/** Hive's own columns are typed as Hive names the types. */
const HIVE_TYPES = { long: 'bigint', string: 'string' } as const;

const SERDE = 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe';
const FORMATS = {
  iceberg: ['org.apache.hadoop.mapred.FileInputFormat', 'org.apache.hadoop.mapred.FileOutputFormat'],
  text: ['org.apache.hadoop.mapred.TextInputFormat', 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'],
} as const;

/** The ids of one table's rows, from the metastore's sequences. */
export type TableIds = {
  readonly table: number;
  readonly storage: number;
  readonly serde: number;
  readonly columns: number;
};

export type NewTable = {
  readonly ids: TableIds;
  readonly databaseId: number;
  readonly name: string;
  readonly location: string;
  readonly columns: readonly Column[];
  readonly parameters: ReadonlyMap<string, string>;
  readonly kind: 'iceberg table' | 'iceberg view' | 'hive table';
  readonly viewText?: string | undefined;
};

/** A table as it stands in the metastore. */
export type LoadedTable = {
  readonly tableId: number;
  readonly databaseId: number;
  readonly storageId: number;
  readonly serdeId: number;
  readonly columnsId: number;
  readonly location: string;
  readonly viewText: string | null;
  readonly parameters: ReadonlyMap<string, string>;
};

export const LOAD_TABLE = `
  SELECT t."TBL_ID"::int AS "tableId", t."DB_ID"::int AS "databaseId", t."SD_ID"::int AS "storageId",
         s."SERDE_ID"::int AS "serdeId", s."CD_ID"::int AS "columnsId", s."LOCATION" AS location,
         t."VIEW_ORIGINAL_TEXT" AS "viewText",
         (SELECT coalesce(json_object_agg(p."PARAM_KEY", p."PARAM_VALUE"), '{}')
            FROM "TABLE_PARAMS" p WHERE p."TBL_ID" = t."TBL_ID") AS parameters
  FROM "TBLS" t JOIN "DBS" d ON d."DB_ID" = t."DB_ID" JOIN "SDS" s ON s."SD_ID" = t."SD_ID"
  WHERE d."CTLG_NAME" = $1 AND d."NAME" = $2 AND t."TBL_NAME" = $3`;

export function insertTable(table: NewTable, nowMs: number): string[] {
  const { ids } = table;
  const seconds = Math.trunc(nowMs / 1000);
  const isHive = table.kind === 'hive table';
  const [input, output] = isHive ? FORMATS.text : FORMATS.iceberg;
  // Iceberg computes the access time in 32 bits: (int) millis / 1000.
  const accessed = isHive ? 0 : Math.trunc((nowMs | 0) / 1000);
  const text = table.viewText ?? null;
  return [
    sql`INSERT INTO "SERDES" ("SERDE_ID", "SLIB", "SERDE_TYPE") VALUES (${ids.serde}, ${SERDE}, 0)`,
    ...insertColumns(ids.columns, table.columns),
    sql`INSERT INTO "SDS" VALUES (${ids.storage}, ${input}, false, ${table.location}, 0, ${output}, ${ids.serde}, ${ids.columns}, false)`,
    sql`INSERT INTO "TBLS" VALUES (${ids.table}, ${seconds}, ${table.databaseId}, ${accessed}, ${USER}, 'USER',
      ${isHive ? 0 : 2_147_483_647}, ${ids.storage}, ${table.name},
      ${table.kind === 'iceberg view' ? 'VIRTUAL_VIEW' : 'EXTERNAL_TABLE'}, ${text}, ${text}, false, 0)`,
    insertParameters(
      'TABLE_PARAMS',
      ids.table,
      new Map([...table.parameters, ['transient_lastDdlTime', String(seconds)]]),
    ),
  ];
}

export function insertColumns(columnsId: number, columns: readonly Column[]): string[] {
  const rows = columns.map(
    ({ name, type, comment = null }, index) => sql`(${columnsId}, ${comment}, ${name}, ${HIVE_TYPES[type]}, ${index})`,
  );
  return [sql`INSERT INTO "CDS" VALUES (${columnsId})`, `INSERT INTO "COLUMNS_V2" VALUES ${rows.join(', ')}`];
}

/** By row address, as the columns are deleted in their order, not in that of the index on their names. */
export const deleteColumns = (columnsId: number): string[] => [
  sql`DELETE FROM "COLUMNS_V2" WHERE ctid = ANY (ARRAY(SELECT ctid FROM "COLUMNS_V2" WHERE "CD_ID" = ${columnsId}))`,
  sql`DELETE FROM "CDS" WHERE "CD_ID" = ${columnsId}`,
];

/** Hive's parameter rows hang from a table or, in a table of their own, from a database. */
export function insertParameters(
  into: 'TABLE_PARAMS' | 'DATABASE_PARAMS',
  id: number,
  parameters: ReadonlyMap<string, string>,
): string {
  return `INSERT INTO "${into}" VALUES ${[...parameters].map(([key, value]) => sql`(${id}, ${key}, ${value})`).join(', ')}`;
}

/** Only what changed is written: new parameters are inserted, others updated, and what is gone is deleted last. */
export function changeParameters(
  tableId: number,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  const statements: string[] = [];
  const added = new Map([...after].filter(([key]) => !before.has(key)));
  if (added.size > 0) statements.push(insertParameters('TABLE_PARAMS', tableId, added));
  const changed = [...after].filter(([key, value]) => before.has(key) && before.get(key) !== value);
  if (changed.length > 0) {
    const rows = changed.map(([key, value]) => sql`(${key}, ${value})`).join(', ');
    statements.push(
      `UPDATE "TABLE_PARAMS" p SET "PARAM_VALUE" = v.value FROM (VALUES ${rows}) v (key, value)
       WHERE p."TBL_ID" = ${tableId} AND p."PARAM_KEY" = v.key`,
    );
  }
  const gone = [...before.keys()].filter((key) => !after.has(key));
  if (gone.length > 0) {
    statements.push(sql`DELETE FROM "TABLE_PARAMS" WHERE "TBL_ID" = ${tableId} AND "PARAM_KEY" IN (${gone})`);
  }
  return statements;
}

/** Fails (by finding nothing) when the table was renamed or dropped since it was loaded; otherwise nobody else can until the end. */
export const claimTable = (table: LoadedTable, name: string, strength: 'KEY SHARE' | 'UPDATE'): string =>
  sql`SELECT 1 FROM "TBLS"
    WHERE "TBL_ID" = ${table.tableId} AND "DB_ID" = ${table.databaseId} AND "TBL_NAME" = ${name} FOR `.concat(strength);

/** The compare-and-set of a commit. */
export const replaceMetadataLocation = (tableId: number, from: string, to: string): string =>
  sql`UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = ${to}
    WHERE "TBL_ID" = ${tableId} AND "PARAM_KEY" = 'metadata_location' AND "PARAM_VALUE" = ${from}`;

/** The order of a drop: the storage descriptor is taken apart first, so the table's row is updated before it goes. */
export const deleteTable = (table: LoadedTable): string[] => [
  sql`UPDATE "SDS" SET "CD_ID" = NULL WHERE "SD_ID" = ${table.storageId}`,
  ...deleteColumns(table.columnsId),
  sql`DELETE FROM "TABLE_PARAMS" WHERE "TBL_ID" = ${table.tableId}`,
  sql`UPDATE "TBLS" SET "SD_ID" = NULL WHERE "TBL_ID" = ${table.tableId}`,
  sql`UPDATE "SDS" SET "SERDE_ID" = NULL WHERE "SD_ID" = ${table.storageId}`,
  sql`DELETE FROM "SERDES" WHERE "SERDE_ID" = ${table.serdeId}`,
  sql`DELETE FROM "SDS" WHERE "SD_ID" = ${table.storageId}`,
  sql`DELETE FROM "TBLS" WHERE "TBL_ID" = ${table.tableId}`,
];

export function insertDatabase(id: number, name: string, location: string, catalog: string): string {
  const seconds = Math.trunc(Date.now() / 1000);
  return sql`INSERT INTO "DBS" ("DB_ID", "DESC", "DB_LOCATION_URI", "NAME", "OWNER_NAME", "OWNER_TYPE", "CTLG_NAME", "CREATE_TIME")
    VALUES (${id}, ${`ns ${name}`}, ${location}, ${name}, ${USER}, 'USER', ${catalog}, ${seconds})`;
}

export type NotificationEvent = {
  readonly id: number;
  readonly type: `${'CREATE' | 'ALTER' | 'DROP'}_${'DATABASE' | 'TABLE'}`;
  readonly catalog: string;
  readonly database: string;
  readonly table?: string | undefined;
};

/** DbNotificationListener's two rows. The message lacks the Thrift objects of the real one: nobody here reads it. */
export function insertNotification(event: NotificationEvent): string[] {
  const seconds = Math.trunc(Date.now() / 1000);
  const { type, catalog, database, table = null } = event;
  const message = JSON.stringify({ server: '', servicePrincipal: '', db: database, table, timestamp: seconds });
  return [
    sql`INSERT INTO "NOTIFICATION_LOG"
      SELECT ${event.id}, "NEXT_EVENT_ID", ${seconds}, ${type}, ${catalog}, ${database}, ${table}, ${message}, 'json-0.2'
      FROM "NOTIFICATION_SEQUENCE" FOR UPDATE`,
    'UPDATE "NOTIFICATION_SEQUENCE" SET "NEXT_EVENT_ID" = "NEXT_EVENT_ID" + 1',
  ];
}

/** First transaction of a lock: the row is inserted under a temporary id, which the next number then replaces. */
export function enqueueLock(lock: { temporaryId: bigint; database: string; table: string; agent: string }): string[] {
  const now = Date.now();
  const temporary = String(lock.temporaryId);
  return [
    sql`INSERT INTO "HIVE_LOCKS" VALUES (${temporary}, 1, 0, ${lock.database}, ${lock.table}, NULL, 'w', 'e', ${now}, NULL,
      ${USER}, ${hostname()}, NULL, ${lock.agent}, NULL, NULL)`,
    'UPDATE "NEXT_LOCK_ID" SET "NL_NEXT" = "NL_NEXT" + 1',
    sql`UPDATE "HIVE_LOCKS" SET "HL_LOCK_EXT_ID" = (SELECT "NL_NEXT" - 1 FROM "NEXT_LOCK_ID")
      WHERE "HL_LOCK_EXT_ID" = ${temporary} RETURNING "HL_LOCK_EXT_ID"::int AS id`,
  ];
}

/** Second transaction: the lock is acquired when no other one of the table is. Locking the counter's row serialises the checks. */
export function acquireLock(id: number): string[] {
  const now = Date.now();
  return [
    'SELECT 1 FROM "NEXT_LOCK_ID" FOR UPDATE',
    sql`UPDATE "HIVE_LOCKS" l SET "HL_LOCK_STATE" = 'a', "HL_LAST_HEARTBEAT" = ${now}, "HL_ACQUIRED_AT" = ${now}
      WHERE "HL_LOCK_EXT_ID" = ${id} AND NOT EXISTS (SELECT 1 FROM "HIVE_LOCKS" o WHERE o."HL_DB" = l."HL_DB"
        AND o."HL_TABLE" = l."HL_TABLE" AND o."HL_LOCK_STATE" = 'a')`,
  ];
}

export const releaseLock = (id: number): string => sql`DELETE FROM "HIVE_LOCKS" WHERE "HL_LOCK_EXT_ID" = ${id}`;
