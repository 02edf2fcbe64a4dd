import pg from 'pg';
import { WATCHED_PARAMETERS } from './decode.ts';
import { columnList, METASTORE_TABLES, qualified, TABLE_NAMES, type MetastoreTable } from './metastore.ts';
import type { Queryable } from './postgres.ts';
import type { Problem } from './problem.ts';
import { COLUMN_LISTS_SINCE } from './server.ts';

export type Publication = {
  readonly owner: string;
  readonly allTables: boolean;
  /** Names of the kinds of changes it leaves out. */
  readonly leftOut: readonly string[];
  readonly tables: readonly PublishedTable[];
};

export type PublishedTable = {
  readonly schema: string;
  readonly name: string;
  /** Undefined before PostgreSQL 15: all of them. */
  readonly columns: readonly string[] | undefined;
  readonly rowFilter: string | undefined;
  /** It has no replica identity: while it is published, PostgreSQL refuses every UPDATE and DELETE of it. */
  readonly unidentified: boolean;
};

type Naming = { readonly publication: string; readonly schema: string };

/** Undefined if there is no publication of that name in this database. */
export async function readPublication(
  client: Queryable,
  name: string,
  version: number,
): Promise<Publication | undefined> {
  const { rows } = await client.query<{ owner: string; allTables: boolean; leftOut: string[] }>(
    `SELECT pg_get_userbyid(pubowner)::text AS owner, puballtables AS "allTables",
            array_remove(ARRAY[CASE WHEN pubinsert THEN '' ELSE 'insert' END, CASE WHEN pubupdate THEN '' ELSE 'update' END,
              CASE WHEN pubdelete THEN '' ELSE 'delete' END, CASE WHEN pubtruncate THEN '' ELSE 'truncate' END], '') AS "leftOut"
     FROM pg_publication WHERE pubname = $1`,
    [name],
  );
  const [publication] = rows;
  if (publication === undefined) return undefined;
  const details =
    version >= COLUMN_LISTS_SINCE
      ? `p.attnames::text[] AS columns, p.rowfilter AS "rowFilter"`
      : `NULL AS columns, NULL AS "rowFilter"`;
  const tables = await client.query<{
    schema: string;
    name: string;
    columns: string[] | null;
    rowFilter: string | null;
    unidentified: boolean;
  }>(
    `SELECT p.schemaname::text AS schema, p.tablename::text AS name, ${details},
            c.relreplident = 'n' OR (c.relreplident = 'd' AND NOT EXISTS
              (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)) AS unidentified
     FROM pg_publication_tables p
     JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
     WHERE p.pubname = $1 ORDER BY p.schemaname, p.tablename`,
    [name],
  );
  return {
    ...publication,
    tables: tables.rows.map((row) => ({
      ...row,
      columns: row.columns ?? undefined,
      rowFilter: row.rowFilter ?? undefined,
    })),
  };
}

/**
 * Which of some parameter keys a row filter lets through, by PostgreSQL's own evaluation: the same condition can be written
 * in many ways. Undefined if it depends on more than the key. PostgreSQL admits only built-in immutable functions in a row
 * filter, so it is as safe to evaluate as it is to print.
 */
export async function admittedKeys(
  client: Queryable,
  rowFilter: string,
  keys: readonly string[],
): Promise<ReadonlySet<string> | undefined> {
  try {
    const { rows } = await client.query<{ key: string }>(
      `SELECT "PARAM_KEY" AS key FROM unnest($1::varchar[]) AS p ("PARAM_KEY") WHERE ${rowFilter}`,
      [keys],
    );
    return new Set(rows.map(({ key }) => key));
  } catch (error) {
    if (error instanceof pg.DatabaseError) return undefined;
    throw error;
  }
}

/** Parameters that change at every commit and say nothing that is read: letting them through only costs traffic. */
const NOISE = ['numFiles', 'totalSize', 'snapshot-count', 'transient_lastDdlTime'] as const;

/** Everything wrong with a publication; `undefined` stands for one that doesn't exist. */
export async function publicationProblems(
  client: Queryable,
  publication: Publication | undefined,
  naming: Naming & { readonly version: number },
): Promise<readonly Problem[]> {
  if (publication === undefined)
    return [
      {
        level: 'error',
        subject: 'publication',
        code: 'HIVE_PUBLICATION_MISSING',
        detail: `There is no publication ${naming.publication} in this database.`,
        fix: `As the owner of the metastore's tables: ${createPublicationSql(naming, naming.version)}`,
      },
    ];
  const judge = new Judge(publication, naming);
  judge.hazards();
  for (const name of TABLE_NAMES) judge.table(name);
  const filter = judge.published('TABLE_PARAMS')?.rowFilter;
  const admitted =
    filter === undefined ? undefined : await admittedKeys(client, filter, [...WATCHED_PARAMETERS, ...NOISE]);
  judge.parameters(filter, admitted);
  judge.extent();
  return judge.problems;
}

class Judge {
  readonly problems: Problem[] = [];
  readonly #publication: Publication;
  readonly #naming: Naming & { readonly version: number };

  constructor(publication: Publication, naming: Naming & { readonly version: number }) {
    this.#publication = publication;
    this.#naming = naming;
  }

  published(name: string): PublishedTable | undefined {
    return this.#publication.tables.find((table) => table.schema === this.#naming.schema && table.name === name);
  }

  #report(level: Problem['level'], detail: string, fix?: string): void {
    const { version, ...naming } = this.#naming;
    const name = pg.escapeIdentifier(naming.publication);
    const repair = this.#publication.allTables
      ? `DROP PUBLICATION ${name}; ${createPublicationSql(naming, version)}`
      : `ALTER PUBLICATION ${name} SET TABLE ${publishedTables(naming.schema, version)};`;
    this.problems.push({
      level,
      subject: 'publication',
      code: 'HIVE_PUBLICATION_WRONG',
      detail: `Publication ${naming.publication} ${detail}.`,
      fix: `As ${this.#publication.owner}: ${fix ?? repair}`,
    });
  }

  /** What makes the metastore itself fail. */
  hazards(): void {
    const { allTables, tables, leftOut } = this.#publication;
    if (allTables)
      this.#report(
        'error',
        'is FOR ALL TABLES: the metastore has tables without a primary key, which PostgreSQL then refuses to update, so it can take no lock any more',
      );
    const broken = tables.filter((table) => table.unidentified).map(({ name }) => name);
    if (!allTables && broken.length > 0 && !(leftOut.includes('update') && leftOut.includes('delete')))
      this.#report(
        'error',
        `holds tables without a primary key, which PostgreSQL then refuses to update: ${broken.slice(0, 5).join(', ')}${broken.length > 5 ? ', …' : ''}`,
      );
    const needed = leftOut.filter((kind) => kind !== 'truncate');
    const publish = `ALTER PUBLICATION ${pg.escapeIdentifier(this.#naming.publication)} SET (publish = 'insert, update, delete, truncate');`;
    if (leftOut.length > 0)
      this.#report(needed.length > 0 ? 'error' : 'warning', `leaves out ${leftOut.join(', ')}`, publish);
  }

  table(name: MetastoreTable): void {
    const published = this.published(name);
    if (published === undefined) return this.#report('error', `lacks the table ${name}`);
    const { columns } = published;
    const key = METASTORE_TABLES[name].key.filter((column) => columns?.includes(column) === false);
    const missing = METASTORE_TABLES[name].published.filter((column) => columns?.includes(column) === false);
    if (key.length > 0)
      this.#report(
        'error',
        `lacks the key column ${key.join(', ')} of ${name}, so the metastore can't update that table`,
      );
    else if (missing.length > 0) this.#report('error', `lacks the column ${missing.join(', ')} of ${name}`);
    if (name !== 'TABLE_PARAMS' && published.rowFilter !== undefined)
      this.#report('error', `hides rows of ${name}: WHERE ${published.rowFilter}`);
  }

  parameters(filter: string | undefined, admitted: ReadonlySet<string> | undefined): void {
    if (filter === undefined) return;
    const hidden = WATCHED_PARAMETERS.filter((key) => admitted?.has(key) !== true);
    if (hidden.length > 0) this.#report('error', `hides ${hidden.join(', ')} of TABLE_PARAMS: WHERE ${filter}`);
  }

  /** What works and only costs more than it must; before PostgreSQL 15 there is no other way. */
  extent(): void {
    const { tables, allTables } = this.#publication;
    const foreign = tables.filter(
      ({ schema, name }) => schema !== this.#naming.schema || !Object.hasOwn(METASTORE_TABLES, name),
    );
    if (!allTables && foreign.length > 0)
      this.#report(
        'warning',
        `holds tables that nobody reads: ${foreign
          .slice(0, 5)
          .map(({ name }) => name)
          .join(', ')}`,
      );
    if (this.#naming.version < COLUMN_LISTS_SINCE || allTables) return;
    for (const name of TABLE_NAMES) {
      const wanted: readonly string[] = METASTORE_TABLES[name].published;
      const extra = this.published(name)?.columns?.filter((column) => !wanted.includes(column)) ?? [];
      if (extra.length > 0) this.#report('warning', `sends columns of ${name} that nobody reads: ${extra.join(', ')}`);
    }
    const parameters = this.published('TABLE_PARAMS');
    if (parameters !== undefined && parameters.rowFilter === undefined)
      this.#report('warning', 'sends all of TABLE_PARAMS, although a row filter would keep statistics out');
  }
}

/** The statement that creates the publication: ids and names only, on PostgreSQL 14 the plain tables. */
export function createPublicationSql({ publication, schema }: Naming, version: number): string {
  return `CREATE PUBLICATION ${pg.escapeIdentifier(publication)} FOR TABLE ${publishedTables(schema, version)};`;
}

/**
 * Column lists hold the primary key, or the metastore's own updates fail, and row filters use nothing but it. `IN` is
 * refused on a varchar column, `OR` isn't.
 */
function publishedTables(schema: string, version: number): string {
  return TABLE_NAMES.map((name) => {
    const table = qualified(schema, name);
    if (version < COLUMN_LISTS_SINCE) return table;
    const filter = WATCHED_PARAMETERS.map((key) => `"PARAM_KEY" = ${pg.escapeLiteral(key)}`).join(' OR ');
    return `${table} (${columnList(METASTORE_TABLES[name].published)})${name === 'TABLE_PARAMS' ? ` WHERE (${filter})` : ''}`;
  }).join(', ');
}
