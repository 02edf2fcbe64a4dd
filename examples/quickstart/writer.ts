import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Sequences } from './hive-sequences.ts';
import { withHiveLock } from './hive-lock.ts';
import * as rows from './hive-rows.ts';
import { LOAD_TABLE, sql, type LoadedTable, type NewTable, type NotificationEvent } from './hive-rows.ts';
import {
  currentSchema,
  hiveParameters,
  newMetadata,
  updated,
  type Column,
  type IcebergMetadata,
  type TableUpdate,
} from './iceberg-metadata.ts';
import { MetadataFiles, pathOf } from './metadata-files.ts';

export type HiveWriterOptions = {
  /** Of a database that holds the tables of metastore.sql. */
  readonly connectionString: string;
  /** The folder of the warehouse; databases lie in `<warehouse>/<name>.db`. */
  readonly warehouse: string;
  /** The metastore's own catalog; `hive` unless told otherwise. */
  readonly catalog?: string | undefined;
  /** Concurrent operations; further ones wait. Default 8. */
  readonly connections?: number | undefined;
  /** Whether commits take a lock of the metastore, as Iceberg does by default. Without: compare and set. Default true. */
  readonly locks?: boolean | undefined;
  /** Whether the metastore's notification listener is on. A metastore's default is off; here it is on unless told otherwise. */
  readonly notificationLog?: boolean | undefined;
  /** Write real metadata files; without, a commit touches only the database (for load tests that nobody reads). Default true. */
  readonly metadataFiles?: boolean | undefined;
};

/** Why the metastore refused an operation; nothing of it is left in the database then. */
export class HiveError extends Error {
  override readonly name = 'HiveError';
  readonly reason: 'no such database' | 'no such table' | 'already exists' | 'not empty' | 'commit conflict';

  constructor(reason: HiveError['reason'], what: string, options?: ErrorOptions) {
    super(`${reason}: ${what}`, options);
    this.reason = reason;
  }
}

/** The schema of every table unless told otherwise. */
export const COLUMNS: readonly Column[] = [
  { name: 'id', type: 'long', required: true },
  { name: 'data', type: 'string' },
];

const MAX_COMMIT_ATTEMPTS = 50;

/**
 * Writes to a metastore's database what Hive Metastore 4 writes when Iceberg's HiveCatalog uses it: the same row changes
 * in the same order, in the same transactions (test/quickstart/writer.pg.test.ts compares them with a recording).
 * Tables are named `database.table`. Every operation resolves once it is committed and throws `HiveError` when refused.
 */
export class HiveWriter implements AsyncDisposable {
  readonly #pool: pg.Pool;
  /** For what an operation looks up while it holds a connection of the other pool: one pool would run dry and wait for itself. */
  readonly #lookups: pg.Pool;
  readonly #catalog: string;
  readonly #warehouse: string;
  readonly #locks: boolean;
  readonly #files: MetadataFiles;
  readonly #sequences: Sequences;
  readonly #notificationLog: boolean;

  constructor(options: HiveWriterOptions) {
    this.#pool = new pg.Pool({ connectionString: options.connectionString, max: options.connections ?? 8 });
    this.#lookups = new pg.Pool({ connectionString: options.connectionString, max: 2 });
    for (const pool of [this.#pool, this.#lookups]) {
      // An idle connection that the server closed is replaced at the next use; one in use tells its query.
      pool.on('error', () => {});
      pool.on('connect', (client) => void client.on('error', () => {}));
    }
    this.#catalog = options.catalog ?? 'hive';
    this.#warehouse = `file:${options.warehouse}`;
    this.#locks = options.locks ?? true;
    this.#files = new MetadataFiles(options.metadataFiles ?? true);
    this.#notificationLog = options.notificationLog ?? true;
    this.#sequences = new Sequences(this.#lookups);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#pool.end(), this.#lookups.end()]);
  }

  /** Creates a database, as `createNamespace` with these properties. */
  async createNamespace(database: string, properties: Readonly<Record<string, string>> = {}): Promise<void> {
    const id = await this.#sequences.next('MDatabase');
    const statements = [rows.insertDatabase(id, database, `${this.#warehouse}/${database}.db`, this.#catalog)];
    const parameters = new Map(Object.entries(properties));
    if (parameters.size > 0) statements.push(rows.insertParameters('DATABASE_PARAMS', id, parameters));
    statements.push(...(await this.#notification('CREATE_DATABASE', database)));
    await this.#transact(database, [], statements);
  }

  /** Sets one property: Hive deletes all of a database's parameters and inserts them again. */
  async setNamespaceProperty(database: string, key: string, value: string): Promise<void> {
    const id = await this.#databaseId(database);
    const old = await this.#pool.query<{ key: string; value: string }>(
      `SELECT "PARAM_KEY" AS key, "PARAM_VALUE" AS value FROM "DATABASE_PARAMS" WHERE "DB_ID" = $1`,
      [id],
    );
    const parameters = new Map([[key, value], ...old.rows.map((row) => [row.key, row.value] as const)]);
    parameters.set(key, value);
    const statements = [
      sql`DELETE FROM "DATABASE_PARAMS" WHERE "DB_ID" = ${id}`,
      rows.insertParameters('DATABASE_PARAMS', id, parameters),
      ...(await this.#notification('ALTER_DATABASE', database)),
    ];
    await this.#transact(database, [], statements);
  }

  /** Drops an empty database; one with tables is refused. */
  async dropNamespace(database: string): Promise<void> {
    const id = await this.#databaseId(database);
    if ((await this.#tablesOf(id)).length > 0) throw new HiveError('not empty', database);
    await this.#transact(database, [], await this.#dropDatabaseRows(id, database));
  }

  /** Drops a database with its tables: by a client one transaction a table, by the server all in one. */
  async dropNamespaceCascade(database: string, by: 'client' | 'server' = 'client'): Promise<void> {
    const id = await this.#databaseId(database);
    const guards: string[] = [];
    const statements: string[] = [];
    for (const name of await this.#tablesOf(id)) {
      const table = `${database}.${name}`;
      if (by === 'client') {
        await this.dropTable(table);
        continue;
      }
      const loaded = await this.#load(this.#pool, table);
      guards.push(rows.claimTable(loaded, name, 'UPDATE'));
      statements.push(...rows.deleteTable(loaded), ...(await this.#notification('DROP_TABLE', database, name)));
    }
    statements.push(...(await this.#dropDatabaseRows(id, database)));
    await this.#transact(database, guards, statements);
  }

  /** Creates an Iceberg table, with `appendedFiles` as a CREATE TABLE AS SELECT. Resolves with its metadata location. */
  async createTable(
    table: string,
    options: { columns?: readonly Column[]; appendedFiles?: number } = {},
  ): Promise<string> {
    const { database, name } = split(table);
    const location = `${this.#warehouse}/${database}.db/${name}`;
    const empty = newMetadata(location, options.columns ?? COLUMNS, Date.now());
    const metadata = updated(empty, undefined, { appendedFiles: options.appendedFiles }, Date.now());
    return this.#create(table, metadata, this.#files.write(metadata, undefined));
  }

  /** Registers an existing metadata file under a new name; two tables then share one UUID. */
  async registerTable(table: string, metadataLocation: string): Promise<string> {
    const metadata = this.#files.read(metadataLocation);
    if (metadata === undefined) throw new Error(`There is no metadata file at ${metadataLocation}.`);
    return this.#create(table, metadata, metadataLocation);
  }

  /** Commits to an Iceberg table, again and again while others are faster. Resolves with its new metadata location. */
  async commit(table: string, update: TableUpdate = { appendedFiles: 1 }): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#locked(table, (client) => this.#tryCommit(client, table, update));
      } catch (error) {
        const lost = error instanceof HiveError && error.reason === 'commit conflict';
        if (!lost || attempt === MAX_COMMIT_ATTEMPTS) throw error;
        await sleep(Math.random() * 5 * attempt);
      }
    }
  }

  /** A commit that fails in the metastore: what it wrote is rolled back, only the lock was seen. */
  async failCommit(table: string): Promise<void> {
    await this.#locked(table, async (client) => {
      const loaded = await this.#load(client, table);
      const statements = rows.changeParameters(
        loaded.tableId,
        loaded.parameters,
        new Map([['metadata_location', 'lost']]),
      );
      await client.query(['BEGIN', ...statements, 'ROLLBACK'].join(';\n'));
    });
  }

  /** CREATE OR REPLACE TABLE AS SELECT: schema and contents are new, TBL_ID and UUID stay. */
  async replaceTable(
    table: string,
    columns: readonly Column[] = COLUMNS,
    properties: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    return this.commit(table, { replaceWith: columns, set: properties, appendedFiles: 1 });
  }

  /** Renames a table or view of any kind, in its database or into another one. Its location stays. */
  async renameTable(from: string, to: string): Promise<void> {
    const table = await this.#load(this.#pool, from);
    const target = split(to);
    const databaseId = await this.#databaseId(target.database);
    const guards = [
      rows.claimTable(table, split(from).name, 'UPDATE'),
      sql`UPDATE "TBLS" SET "TBL_NAME" = ${target.name}, "DB_ID" = ${databaseId} WHERE "TBL_ID" = ${table.tableId}`,
    ];
    await this.#transact(to, guards, await this.#notification('ALTER_TABLE', target.database, target.name));
  }

  /** Drops a table or view of any kind; its files stay unless `purge`. */
  async dropTable(table: string, options: { purge?: boolean } = {}): Promise<void> {
    const { database, name } = split(table);
    const loaded = await this.#load(this.#pool, table);
    const notification = await this.#notification('DROP_TABLE', database, name);
    const guards = [rows.claimTable(loaded, name, 'UPDATE')];
    await this.#transact(table, guards, [...rows.deleteTable(loaded), ...notification]);
    if (options.purge === true) rmSync(pathOf(loaded.location), { recursive: true, force: true });
  }

  /** Creates an Iceberg view: the same tables, told apart by `table_type` alone. */
  async createView(view: string, text: string): Promise<void> {
    const { database, name } = split(view);
    const location = `${this.#warehouse}/${database}.db/${name}`;
    const { schemas } = newMetadata(location, COLUMNS, Date.now());
    const parameters = new Map([
      ['uuid', randomUUID()],
      ['table_type', 'ICEBERG-VIEW'],
      ['metadata_location', this.#files.writeView(location, text, undefined)],
      ['current-schema', JSON.stringify(schemas[0])],
    ]);
    await this.#locked(view, (client) =>
      this.#insert(client, view, { location, columns: COLUMNS, parameters, kind: 'iceberg view', viewText: text }),
    );
  }

  async replaceView(view: string, text: string): Promise<void> {
    await this.#locked(view, async (client) => {
      const { database, name } = split(view);
      const loaded = await this.#load(client, view);
      const previous = loaded.parameters.get('metadata_location') ?? '';
      const parameters = new Map(loaded.parameters);
      parameters.set('previous_metadata_location', previous);
      parameters.set('metadata_location', this.#files.writeView(loaded.location, text, previous));
      const statements = [
        ...rows.changeParameters(loaded.tableId, loaded.parameters, parameters),
        sql`UPDATE "TBLS" SET "VIEW_EXPANDED_TEXT" = ${text}, "VIEW_ORIGINAL_TEXT" = ${text} WHERE "TBL_ID" = ${loaded.tableId}`,
        ...(await this.#notification('ALTER_TABLE', database, name)),
      ];
      await this.#transact(view, [rows.claimTable(loaded, name, 'KEY SHARE')], statements, client);
    });
  }

  /** Creates a table of plain Hive: no Iceberg, no lock. */
  async createHiveTable(table: string, parameters: Readonly<Record<string, string>> = {}): Promise<void> {
    const { database, name } = split(table);
    await this.#insert(this.#pool, table, {
      location: `${this.#warehouse}/${database}.db/${name}`,
      columns: [{ name: 'id', type: 'long', comment: 'c' }],
      parameters: new Map([...Object.entries(parameters), ['EXTERNAL', 'TRUE']]),
      kind: 'hive table',
    });
  }

  /** Sets (or with undefined unsets) a parameter through Hive itself, of any table. Hive counts the table's files by the way. */
  async alterTable(table: string, key: string, value: string | undefined): Promise<void> {
    const { database, name } = split(table);
    const loaded = await this.#load(this.#pool, table);
    const parameters = new Map(loaded.parameters);
    if (value === undefined) parameters.delete(key);
    else parameters.set(key, value);
    if (parameters.get('DO_NOT_UPDATE_STATS') !== 'true') {
      for (const [statistic, count] of statistics(pathOf(loaded.location))) parameters.set(statistic, String(count));
    }
    const statements = [
      ...rows.changeParameters(loaded.tableId, loaded.parameters, parameters),
      ...(await this.#notification('ALTER_TABLE', database, name)),
    ];
    await this.#transact(table, [rows.claimTable(loaded, name, 'KEY SHARE')], statements);
  }

  async #create(table: string, metadata: IcebergMetadata, location: string): Promise<string> {
    const columns = currentSchema(metadata).fields.map((field) => columnOf(field));
    const parameters = hiveParameters(metadata, location);
    await this.#locked(table, (client) =>
      this.#insert(client, table, { location: metadata.location, columns, parameters, kind: 'iceberg table' }),
    );
    return location;
  }

  async #insert(
    client: pg.Pool | pg.PoolClient,
    table: string,
    created: Omit<NewTable, 'ids' | 'databaseId' | 'name'>,
  ): Promise<void> {
    const { database, name } = split(table);
    const databaseId = await this.#databaseId(database);
    const ids = {
      table: await this.#sequences.next('MTable'),
      storage: await this.#sequences.next('MStorageDescriptor'),
      serde: await this.#sequences.next('MSerDeInfo'),
      columns: await this.#sequences.next('MColumnDescriptor'),
    };
    const statements = [
      ...rows.insertTable({ ...created, ids, databaseId, name }, Date.now()),
      ...(await this.#notification('CREATE_TABLE', database, name)),
    ];
    await this.#transact(table, [], statements, client);
  }

  /** One attempt on what the table is now; the compare-and-set on its metadata location refuses what came too late. */
  async #tryCommit(client: pg.PoolClient, table: string, update: TableUpdate): Promise<string> {
    const { database, name } = split(table);
    const loaded = await this.#load(client, table);
    const base = loaded.parameters.get('metadata_location') ?? '';
    const metadata = this.#files.read(base);
    if (metadata === undefined) throw new HiveError('commit conflict', table);
    const next = updated(metadata, base, update, Date.now());
    const location = this.#files.write(next, base);
    const after = new Map(loaded.parameters);
    for (const key of METADATA_PARAMETERS) after.delete(key);
    for (const [key, value] of hiveParameters(next, location, base)) after.set(key, value);
    after.set('DO_NOT_UPDATE_STATS', 'true');
    const guards = [
      rows.claimTable(loaded, name, 'KEY SHARE'),
      rows.replaceMetadataLocation(loaded.tableId, base, location),
    ];
    const before = new Map(loaded.parameters);
    // With a lock the metastore writes the location once; without, its compare-and-set comes before the same update again.
    if (this.#locks) before.set('metadata_location', location);
    const statements = [
      ...rows.changeParameters(loaded.tableId, before, after),
      ...(await this.#replaceColumns(loaded, metadata, next)),
      ...(await this.#notification('ALTER_TABLE', database, name)),
    ];
    try {
      await this.#transact(table, guards, statements, client);
    } catch (error) {
      this.#files.delete(location);
      throw error;
    }
    this.#files.prune(next, base);
    return location;
  }

  /** A changed schema gets a column descriptor of its own, which takes the old one's place. */
  async #replaceColumns(loaded: LoadedTable, base: IcebergMetadata, next: IcebergMetadata): Promise<string[]> {
    if (base['current-schema-id'] === next['current-schema-id']) return [];
    const id = await this.#sequences.next('MColumnDescriptor');
    const columns = currentSchema(next).fields.map((field) => columnOf(field));
    return [
      ...rows.insertColumns(id, columns),
      sql`UPDATE "SDS" SET "CD_ID" = ${id} WHERE "SD_ID" = ${loaded.storageId}`,
      ...rows.deleteColumns(loaded.columnsId),
    ];
  }

  async #dropDatabaseRows(id: number, database: string): Promise<string[]> {
    return [
      sql`DELETE FROM "DATABASE_PARAMS" WHERE "DB_ID" = ${id}`,
      sql`DELETE FROM "DBS" WHERE "DB_ID" = ${id}`,
      ...(await this.#notification('DROP_DATABASE', database)),
    ];
  }

  async #notification(type: NotificationEvent['type'], database: string, table?: string): Promise<string[]> {
    if (!this.#notificationLog) return [];
    const id = await this.#sequences.next('MNotificationLog');
    return rows.insertNotification({ id, type, catalog: this.#catalog, database, table });
  }

  async #load(client: pg.Pool | pg.PoolClient, table: string): Promise<LoadedTable> {
    const { database, name } = split(table);
    const result = await client.query<LoadedTable & { parameters: Record<string, string> }>({
      name: 'load table',
      text: LOAD_TABLE,
      values: [this.#catalog, database, name],
    });
    const row = result.rows[0];
    if (row === undefined) throw new HiveError('no such table', table);
    return { ...row, parameters: new Map(Object.entries(row.parameters)) };
  }

  async #databaseId(database: string): Promise<number> {
    const result = await this.#lookups.query<{ id: number }>(
      'SELECT "DB_ID"::int AS id FROM "DBS" WHERE "CTLG_NAME" = $1 AND "NAME" = $2',
      [this.#catalog, database],
    );
    const id = result.rows[0]?.id;
    if (id === undefined) throw new HiveError('no such database', database);
    return id;
  }

  async #tablesOf(databaseId: number): Promise<string[]> {
    const result = await this.#pool.query<{ name: string }>(
      'SELECT "TBL_NAME" AS name FROM "TBLS" WHERE "DB_ID" = $1 ORDER BY "TBL_ID"',
      [databaseId],
    );
    return result.rows.map((row) => row.name);
  }

  async #locked<T>(table: string, body: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const { database, name } = split(table);
    const client = await this.#pool.connect();
    try {
      return this.#locks ? await withHiveLock(client, database, name, () => body(client)) : await body(client);
    } finally {
      client.release();
    }
  }

  /** One transaction in two round trips: the guards, each of which must find its row, and the rest. */
  async #transact(
    what: string,
    guards: readonly string[],
    statements: readonly string[],
    client: pg.Pool | pg.PoolClient = this.#pool,
  ): Promise<void> {
    const connection = client === this.#pool ? await this.#pool.connect() : (client as pg.PoolClient);
    try {
      if (guards.length > 0) {
        const results = (await connection.query(['BEGIN', ...guards].join(';\n'))) as unknown as pg.QueryResult[];
        if (results.slice(1).some((result) => result.rowCount === 0)) throw new HiveError('commit conflict', what);
      }
      await connection.query([...(guards.length > 0 ? [] : ['BEGIN']), ...statements, 'COMMIT'].join(';\n'));
    } catch (error) {
      await connection.query('ROLLBACK');
      throw refused(error, what);
    } finally {
      if (client === this.#pool) connection.release();
    }
  }
}

/** What a commit's metadata decides; every other parameter of the table stays. */
const METADATA_PARAMETERS = ['current-schema'];

function split(table: string): { database: string; name: string } {
  const [database, name, ...rest] = table.split('.');
  if (database === undefined || name === undefined || rest.length > 0) {
    throw new Error(`A table is named "database.table", not "${table}".`);
  }
  return { database, name };
}

const columnOf = (field: { name: string; type: string; required: boolean; doc?: string }): Column => ({
  name: field.name,
  type: field.type as Column['type'],
  required: field.required,
  comment: field.doc,
});

/** What Hive finds when it counts a table's files: all below its folder, in whatever format. */
function statistics(folder: string): Map<string, number> {
  let files = 0;
  let bytes = 0;
  const entries = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    files += 1;
    bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return new Map([
    ['numFiles', files],
    ['totalSize', bytes],
    ['numFilesErasureCoded', 0],
  ]);
}

/** PostgreSQL's own refusals, as the metastore's. */
function refused(error: unknown, what: string): unknown {
  const code = (error as { code?: unknown }).code;
  if (code === '23505') return new HiveError('already exists', what, { cause: error });
  // A foreign key's row vanished or is still needed; or a deadlock.
  if (code === '23503' || code === '40P01') return new HiveError('commit conflict', what, { cause: error });
  return error;
}

/** Creates the metastore's tables in an empty database. */
export async function createMetastore(client: pg.ClientBase): Promise<void> {
  await client.query(readFileSync(new URL('metastore.sql', import.meta.url), 'utf8'));
}
