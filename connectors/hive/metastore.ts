import pg from 'pg';
import type { EpochMillis, TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { rowsHidden } from './failure.ts';
import type { Cells, Queryable } from './postgres.ts';
import type { Problem } from './problem.ts';

/** The tables and columns that are read, and which of them the publication has: ids and names, never a table's state. */
export const METASTORE_TABLES = {
  DBS: { read: ['DB_ID', 'NAME', 'CTLG_NAME'], published: ['DB_ID', 'NAME', 'CTLG_NAME'], key: ['DB_ID'] },
  TBLS: {
    read: ['TBL_ID', 'DB_ID', 'TBL_NAME', 'TBL_TYPE'],
    published: ['TBL_ID', 'DB_ID', 'TBL_NAME'],
    key: ['TBL_ID'],
  },
  TABLE_PARAMS: {
    read: ['TBL_ID', 'PARAM_KEY', 'PARAM_VALUE'],
    published: ['TBL_ID', 'PARAM_KEY'],
    key: ['TBL_ID', 'PARAM_KEY'],
  },
} as const;

export type MetastoreTable = keyof typeof METASTORE_TABLES;
export const TABLE_NAMES = Object.keys(METASTORE_TABLES) as readonly MetastoreTable[];

/** `public."TBLS"`. */
export function qualified(schema: string, table: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;
}

export type Relation = {
  readonly name: string;
  readonly owner: string;
  /** `pg_class.relreplident`: d(efault), f(ull), i(ndex), n(othing). */
  readonly replicaIdentity: string;
  readonly primaryKey: readonly string[];
  readonly columns: readonly string[];
  /** Columns that the role may select. */
  readonly readable: readonly string[];
  /** Row-level security hides rows from the role. */
  readonly filtered: boolean;
};

/** The metastore's relations that exist, by name. */
export async function readRelations(client: Queryable, schema: string): Promise<ReadonlyMap<string, Relation>> {
  const { rows } = await client.query<Relation>(
    `SELECT c.relname AS name, pg_get_userbyid(c.relowner)::text AS owner, c.relreplident::text AS "replicaIdentity",
            array(SELECT k.attname::text FROM pg_index i JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey)
                  WHERE i.indrelid = c.oid AND i.indisprimary) AS "primaryKey",
            array_agg(a.attname::text) AS columns,
            coalesce(array_agg(a.attname::text) FILTER (WHERE has_column_privilege(c.oid, a.attnum, 'SELECT')), '{}') AS readable,
            row_security_active(c.oid) AS filtered
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p')
     GROUP BY c.oid, c.relname, c.relowner, c.relreplident`,
    [schema, [...TABLE_NAMES, 'CTLGS']],
  );
  return new Map(rows.map((row) => [row.name, row]));
}

/** What keeps the metastore's tables from being read or streamed. */
export function relationProblems(
  relations: ReadonlyMap<string, Relation>,
  schema: string,
  user: string,
): readonly Problem[] {
  const problems: Problem[] = [];
  for (const name of TABLE_NAMES) {
    const relation = relations.get(name);
    const missing = METASTORE_TABLES[name].read.filter((column) => relation?.columns.includes(column) !== true);
    if (relation === undefined || missing.length > 0) {
      const what =
        relation === undefined ? `Table ${qualified(schema, name)}` : `${name}: column ${missing.join(', ')}`;
      problems.push({
        level: 'error',
        subject: name,
        code: 'HIVE_NOT_A_METASTORE',
        detail: `${what} doesn't exist (Hive Metastore 3.0 and later have it).`,
        fix: "Let `connection` and `schema` name the database and the schema of the metastore's tables.",
      });
      continue;
    }
    problems.push(...accessProblems(name, relation, { schema, user }), ...identityProblems(name, relation, schema));
  }
  return problems;
}

function accessProblems(
  name: MetastoreTable,
  relation: Relation,
  { schema, user }: { readonly schema: string; readonly user: string },
): readonly Problem[] {
  const problems: Problem[] = [];
  const denied = METASTORE_TABLES[name].read.filter((column) => !relation.readable.includes(column));
  const role = pg.escapeIdentifier(user);
  if (denied.length > 0)
    problems.push({
      level: 'error',
      subject: name,
      code: 'HIVE_PRIVILEGE_MISSING',
      detail: `Role ${user} may not read ${denied.join(', ')} of ${name}.`,
      fix: `As ${relation.owner}: GRANT USAGE ON SCHEMA ${pg.escapeIdentifier(schema)} TO ${role}; GRANT SELECT (${columnList(METASTORE_TABLES[name].read)}) ON ${qualified(schema, name)} TO ${role};`,
    });
  if (relation.filtered)
    problems.push({
      level: 'error',
      subject: name,
      code: 'HIVE_PRIVILEGE_MISSING',
      detail: `Row-level security hides rows of ${name} from role ${user}; a hidden table would look absent.`,
      fix: `As a superuser: ALTER ROLE ${role} BYPASSRLS;`,
    });
  return problems;
}

function identityProblems(name: MetastoreTable, relation: Relation, schema: string): readonly Problem[] {
  const key = METASTORE_TABLES[name].key;
  const keyed =
    relation.primaryKey.length === key.length && key.every((column) => relation.primaryKey.includes(column));
  if (relation.replicaIdentity === 'd' && keyed) return [];
  const table = qualified(schema, name);
  return [
    {
      level: 'error',
      subject: name,
      code: 'HIVE_REPLICA_IDENTITY',
      detail: keyed
        ? `The replica identity of ${name} isn't its primary key, so a publication with a column list would make the metastore's own updates fail.`
        : `${name} has no primary key of ${key.join(', ')}, so a publication would make the metastore's own updates fail.`,
      fix: keyed
        ? `As ${relation.owner}: ALTER TABLE ${table} REPLICA IDENTITY DEFAULT;`
        : `As ${relation.owner}: ALTER TABLE ${table} ADD PRIMARY KEY (${columnList(key)}); (the metastore's own schema has it)`,
    },
  ];
}

export function columnList(columns: readonly string[]): string {
  return columns.map((column) => pg.escapeIdentifier(column)).join(', ');
}

/**
 * One row that says whether the tables tell the whole truth; without it an empty answer means nothing. It belongs into the
 * snapshot of the question that it vouches for. `as_of` is the begin of the transaction: `statement_timestamp()` would be
 * taken once more when a prepared statement is executed, which is after its snapshot.
 */
export function guardQuery(schema: string, catalogParameter: string): string {
  const filtered = TABLE_NAMES.map((name) => `row_security_active(${pg.escapeLiteral(qualified(schema, name))})`);
  return `SELECT floor(extract(epoch FROM now()) * 1000)::text AS as_of, pg_is_in_recovery() AS standby,
                 ${filtered.join(' OR ')} AS filtered,
                 EXISTS (SELECT FROM ${qualified(schema, 'DBS')} WHERE "CTLG_NAME" = ${catalogParameter}) AS known`;
}

/** Reads the cells of `guardQuery`. Throws where the answer beside it could miss something. */
export function heedGuard([asOf, standby, filtered, known]: Cells, catalog: string): EpochMillis {
  if (standby === true)
    throw new PushError('HIVE_STANDBY', 'The connection leads to a standby, which lags behind.', {
      fix: 'Let `connection` name the primary.',
    });
  if (filtered === true) throw rowsHidden();
  // Every catalog has a database from its birth on, so one without any is misspelt, or being restored.
  if (known !== true)
    throw new PushError('HIVE_CATALOG_UNKNOWN', `The metastore has no database in a catalog named ${catalog}.`);
  return Number(asOf);
}

/** A row of TBLS with its parameters. */
export type TableRow = {
  readonly id: string;
  readonly tableType: string | null;
  /** Parameter `table_type`. */
  readonly kind: string | null;
  readonly metadataLocation: string | null;
  readonly uuid: string | null;
};

/** Iceberg views have a metadata location, too; only `table_type` tells them from tables. */
export function stateOf(table: TableIdentifier, row: TableRow, asOf: EpochMillis): TableState {
  const unsupported = (reason: string): TableState => ({
    kind: 'unsupported',
    table,
    reason,
    incarnation: row.id,
    asOf,
  });
  const kind = row.kind?.toUpperCase();
  if (kind === 'ICEBERG-VIEW') return unsupported('an Iceberg view');
  if (row.tableType?.toUpperCase().includes('VIEW') === true) return unsupported('a Hive view');
  if (kind !== 'ICEBERG') return unsupported(kind === undefined ? 'a Hive table' : `a Hive table of type ${row.kind}`);
  if (row.metadataLocation === null || row.metadataLocation === '')
    return unsupported('an Iceberg table that has no metadata_location yet');
  return {
    kind: 'present',
    table,
    metadataLocation: row.metadataLocation,
    tableUuid: row.uuid ?? undefined,
    incarnation: row.id,
    asOf,
  };
}
