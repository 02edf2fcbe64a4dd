import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import type { TableIdentifier } from '../../../src/core/types.ts';
import { listed, openMetastore, OTHER_SALES, rows, type Metastore } from './metastore.ts';

const { signal } = new AbortController();
const id = (name: string, database = 'sales'): TableIdentifier => ({ namespace: [database], name });

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => postgres[Symbol.asyncDispose]());

const numbered = (name: string, number: number, parameters: Record<string, string>) =>
  rows.create(name, { id: number, parameters });

/** One of everything. */
async function openZoo(): Promise<Metastore> {
  const metastore = await openMetastore(postgres);
  await metastore.transact(
    numbered('iceberg', 1, { table_type: 'ICEBERG', metadata_location: 's3://b/m', uuid: 'abc' }),
    numbered('lower', 2, { table_type: 'iceberg', metadata_location: 's3://b/l' }),
    numbered('early', 3, { table_type: 'ICEBERG' }),
    numbered('view', 4, { table_type: 'ICEBERG-VIEW', metadata_location: 's3://b/v', uuid: 'v' }),
    numbered('plain', 5, { EXTERNAL: 'TRUE' }),
    numbered('delta', 6, { table_type: 'DELTA' }),
    numbered('hive_view', 7, {}),
    `UPDATE "TBLS" SET "TBL_TYPE" = 'VIRTUAL_VIEW' WHERE "TBL_ID" IN (4, 7)`,
    rows.create('foreign', { db: OTHER_SALES }),
  );
  return metastore;
}

const ZOO = [
  { kind: 'present', table: id('iceberg'), metadataLocation: 's3://b/m', tableUuid: 'abc', incarnation: '1' },
  { kind: 'present', table: id('lower'), metadataLocation: 's3://b/l', tableUuid: undefined, incarnation: '2' },
  { kind: 'unsupported', table: id('early'), reason: 'an Iceberg table that has no metadata_location yet' },
  { kind: 'unsupported', table: id('view'), reason: 'an Iceberg view', incarnation: '4' },
  { kind: 'unsupported', table: id('plain'), reason: 'a Hive table', incarnation: '5' },
  { kind: 'unsupported', table: id('delta'), reason: 'a Hive table of type DELTA' },
  { kind: 'unsupported', table: id('hive_view'), reason: 'a Hive view' },
];

test('a list and a resolve say the same of every kind of table', async () => {
  await using metastore = await openZoo();
  const connector = await metastore.connector();
  const states = await listed(connector);
  expect(
    states.toSorted(
      (a, b) => Number('incarnation' in a && a.incarnation) - Number('incarnation' in b && b.incarnation),
    ),
  ).toMatchObject(ZOO);
  expect(
    await connector.resolve(
      ZOO.map((state) => state.table),
      signal,
    ),
  ).toMatchObject(ZOO);
});

test('a resolve answers in the order of the question, for names twice, unknown, odd and of other catalogs', async () => {
  await using metastore = await openZoo();
  const connector = await metastore.connector();
  const nested = { namespace: ['a', 'b'], name: 'c' };
  const asked = [
    id('nobody'),
    id('iceberg'),
    id('foreign'),
    id(`o'dd "name"`, 'no such database'),
    nested,
    id('iceberg'),
  ];
  expect(await connector.resolve(asked, signal)).toMatchObject([
    { kind: 'absent', table: asked[0] },
    { kind: 'present', table: asked[1] },
    { kind: 'absent', table: asked[2] },
    { kind: 'absent', table: asked[3] },
    { kind: 'unsupported', table: nested, reason: 'Hive has no databases within databases' },
    { kind: 'present', table: asked[5] },
  ]);
  expect(await connector.resolve([], signal)).toEqual([]);
});

test('a state’s time is the server’s, taken before the read', async () => {
  await using metastore = await openZoo();
  const connector = await metastore.connector();
  const clock = async () =>
    Number(
      (await metastore.admin.query<{ ms: string }>('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms')).rows[0]
        ?.ms,
    );
  const before = await clock();
  const [state] = await connector.resolve([id('iceberg')], signal);
  const [first] = await listed(connector);
  const after = await clock();
  for (const asOf of [state?.asOf ?? 0, first?.asOf ?? 0]) {
    expect(Number.isInteger(asOf)).toBe(true);
    expect(asOf).toBeGreaterThanOrEqual(Math.floor(before));
    expect(asOf).toBeLessThanOrEqual(after);
  }
});

test('a catalog that doesn’t exist is an error and no empty list', async () => {
  await using metastore = await openZoo();
  const connector = await metastore.connector({ catalog: 'hvie' });
  await expect(listed(connector)).rejects.toMatchObject({ code: 'HIVE_CATALOG_UNKNOWN' });
  await expect(connector.resolve([id('iceberg')], signal)).rejects.toMatchObject({ code: 'HIVE_CATALOG_UNKNOWN' });
});

test('tables that have vanished as a whole are an error and no absence', async () => {
  await using metastore = await openZoo();
  const connector = await metastore.connector();
  await metastore.admin.query('ALTER TABLE "TBLS" RENAME TO "TBLS_old"');
  await expect(connector.resolve([id('iceberg')], signal)).rejects.toMatchObject({ code: 'HIVE_NOT_A_METASTORE' });
  await expect(listed(connector)).rejects.toMatchObject({ code: 'HIVE_NOT_A_METASTORE' });
  await metastore.admin.query('ALTER TABLE "TBLS_old" RENAME TO "TBLS"');
  await metastore.admin.query(`ALTER TABLE "TABLE_PARAMS" RENAME COLUMN "PARAM_VALUE" TO "VALUE"`);
  await expect(connector.resolve([id('iceberg')], signal)).rejects.toMatchObject({ code: 'HIVE_NOT_A_METASTORE' });
});

test('a list of more than a page is one snapshot, whatever is committed meanwhile', async () => {
  await using metastore = await openMetastore(postgres);
  const names = Array.from({ length: 2500 }, (_, index) => `t${index}`);
  await metastore.transact(names.map((name) => rows.create(name)).join(';'));
  const connector = await metastore.connector();
  const seen: string[] = [];
  const times = new Set<number>();
  for await (const page of connector.list(signal)) {
    expect(page.length).toBeLessThanOrEqual(1000);
    if (seen.length === 0)
      await metastore.transact(rows.create('late'), rows.drop('t2499'), rows.rename('t2498', 'moved'));
    for (const { table, asOf } of page) {
      seen.push(table.name);
      times.add(asOf);
    }
  }
  expect(seen.toSorted()).toEqual(names.toSorted());
  expect(times.size).toBe(1);
});

test('a list that is left early or aborted leaves no connection behind, and an abort is thrown', async () => {
  await using metastore = await openMetastore(postgres);
  await metastore.transact(Array.from({ length: 2500 }, (_, index) => rows.create(`t${index}`)).join(';'));
  const connector = await metastore.connector();
  for await (const page of connector.list(signal)) {
    expect(page).toHaveLength(1000);
    break;
  }
  const stop = new AbortController();
  const pages = connector.list(stop.signal)[Symbol.asyncIterator]();
  await pages.next();
  stop.abort(new Error('stopped'));
  await expect(pages.next().then(() => pages.next())).rejects.toThrow('stopped');
  const open = `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'polaris-push'`;
  await expect
    .poll(async () => (await metastore.admin.query(open, [metastore.database])).rowCount, { timeout: 10_000 })
    .toBe(0);
});

test('three thousand names are resolved in order', async () => {
  await using metastore = await openMetastore(postgres);
  const names = Array.from({ length: 3000 }, (_, index) => `t${index}`);
  await metastore.transact(
    names
      .filter((_, index) => index % 3 > 0)
      .map((name) => rows.create(name))
      .join(';'),
  );
  const states = await (
    await metastore.connector()
  ).resolve(
    names.map((name) => id(name)),
    signal,
  );
  expect(states.map(({ kind, table }) => `${kind} ${table.name}`)).toEqual(
    names.map((name, index) => `${index % 3 > 0 ? 'present' : 'absent'} ${name}`),
  );
});

test('a query that takes too long is an error that says so', async () => {
  await using metastore = await openMetastore(postgres);
  const connector = await metastore.connector({ query_timeout: '200ms' });
  const locker = await postgres.client(metastore.database);
  await locker.query('BEGIN; LOCK TABLE "TBLS"');
  await expect(connector.resolve([id('a')], signal)).rejects.toMatchObject({ code: 'HIVE_TIMEOUT' });
  await locker.query('ROLLBACK');
  expect(await connector.resolve([id('a')], signal)).toMatchObject([{ kind: 'absent' }]);
  await locker.end();
});
