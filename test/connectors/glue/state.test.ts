import type { Database, Table } from '@aws-sdk/client-glue';
import { describe, expect, test } from 'vitest';
import { fingerprintOf, stateOf, whyNotDatabase } from '../../../connectors/glue/state.ts';

const orders = { namespace: ['sales'], name: 'orders' };
const POINTER = 's3://lake/orders/metadata/1.metadata.json';
const CREATED = new Date(Date.UTC(2026, 0, 1, 12, 0, 0));

const iceberg: Table = {
  Name: 'orders',
  DatabaseName: 'sales',
  TableType: 'EXTERNAL_TABLE',
  CreateTime: CREATED,
  VersionId: '4',
  Parameters: { table_type: 'ICEBERG', metadata_location: POINTER },
};

const reasonOf = (changes: Partial<Table>) => {
  const state = stateOf(orders, { ...iceberg, ...changes }, 1);
  return state.kind === 'unsupported' ? state.reason : state.kind;
};

test('an Iceberg table is present, with its pointer, and the time of its creation as incarnation', () => {
  expect(stateOf(orders, iceberg, 7)).toEqual({
    kind: 'present',
    table: orders,
    metadataLocation: POINTER,
    tableUuid: undefined,
    incarnation: String(CREATED.getTime() / 1000),
    asOf: 7,
  });
});

test('the table’s uuid comes along wherever Glue shows one', () => {
  const uuid = '9c12d441-03fe-4693-9a96-a0705ddf69c1';
  for (const changes of [
    { IcebergTableMetadata: { TableUuid: uuid } as Table['IcebergTableMetadata'] },
    { Parameters: { ...iceberg.Parameters, 'table-uuid': uuid } },
    { Parameters: { ...iceberg.Parameters, uuid } },
  ])
    expect(stateOf(orders, { ...iceberg, ...changes }, 1)).toMatchObject({ tableUuid: uuid });
});

test('an incarnation is the same to every operation, whichever digits of the second it shows', () => {
  const precise = { ...iceberg, CreateTime: new Date(CREATED.getTime() + 123) };
  expect(stateOf(orders, precise, 1)).toEqual(stateOf(orders, iceberg, 1));
  expect(stateOf(orders, { ...iceberg, CreateTime: new Date(CREATED.getTime() + 1000) }, 1)).not.toEqual(
    stateOf(orders, iceberg, 1),
  );
});

describe('What isn’t mirrored says why', () => {
  test.each<[string, Partial<Table>, RegExp | string]>([
    ['the type in lower case is fine', { Parameters: { ...iceberg.Parameters, table_type: 'iceberg' } }, 'present'],
    [
      'a Hive table',
      { Parameters: { classification: 'parquet' } },
      /^not an Iceberg table \(EXTERNAL_TABLE, parquet\)$/,
    ],
    [
      'a table without parameters',
      { Parameters: undefined, TableType: undefined },
      /^not an Iceberg table \(of no type\)$/,
    ],
    ['a Hudi table', { Parameters: { 'spark.sql.sources.provider': 'hudi' } }, /hudi/],
    ['a view', { TableType: 'VIRTUAL_VIEW', Parameters: { presto_view: 'true' } }, 'a view'],
    ['a materialized view of Trino, with all marks of a table', { TableType: 'VIRTUAL_VIEW' }, 'a materialized view'],
    ['a view in several dialects', { IsMultiDialectView: true, Parameters: {} }, 'a view'],
    ['a placeholder of Lake Formation', { Parameters: { table_type: 'ICEBERG' } }, /not written yet/],
    ['a placeholder in S3 Tables', { Parameters: { format: 'ICEBERG' } }, /not written yet/],
    ['an empty pointer', { Parameters: { table_type: 'ICEBERG', metadata_location: '' } }, /not written yet/],
    [
      'a resource link',
      { TargetTable: { DatabaseName: 'raw', Name: 'o' } },
      /resource link to table o of database raw/,
    ],
    [
      'a federated table',
      { FederatedTable: { ConnectionName: 'redshift' } },
      /federated table \(connection redshift\)/,
    ],
    ['a name that Glue writes otherwise', { Name: 'ORDERS' }, /lower case/],
  ])('%s', (_name, changes, expected) => expect(reasonOf(changes)).toMatch(expected));

  test('and keeps the incarnation, so that it is never taken for another table', () => {
    expect(stateOf(orders, { ...iceberg, Parameters: {} }, 1)).toMatchObject({
      incarnation: String(CREATED.getTime() / 1000),
    });
  });

  test.each<[string, Database, RegExp]>([
    ['a database of its own', { Name: 'sales' }, /^none$/],
    [
      'a resource link',
      { Name: 'link', TargetDatabase: { CatalogId: '1', DatabaseName: 'raw' } },
      /link to database raw/,
    ],
    ['S3 Tables', { Name: 's3', FederatedDatabase: { ConnectionType: 'aws:s3tables' } }, /S3 Tables/],
    [
      'S3 Tables by the connection’s name',
      { Name: 's3', FederatedDatabase: { ConnectionName: 'aws:s3tables' } },
      /S3 Tables/,
    ],
    ['a federated database', { Name: 'red', FederatedDatabase: { ConnectionName: 'redshift' } }, /connection redshift/],
  ])('%s', (_name, database, expected) => {
    const reason = whyNotDatabase(database);
    expect(reason ?? 'none').toMatch(expected);
    const state = stateOf(orders, iceberg, 1, reason);
    expect(state.kind).toBe(reason === undefined ? 'present' : 'unsupported');
  });
});

test('a fingerprint changes with the version, the pointer and the incarnation, and with nothing else', () => {
  const same = fingerprintOf(iceberg);
  expect(fingerprintOf({ ...iceberg, UpdateTime: new Date(), Owner: 'me' })).toBe(same);
  for (const changes of [{ VersionId: '5' }, { CreateTime: new Date(0) }, { Parameters: {} }])
    expect(fingerprintOf({ ...iceberg, ...changes })).not.toBe(same);
});
