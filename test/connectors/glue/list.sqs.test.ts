import { expect, test } from 'vitest';
import type { Table } from '@aws-sdk/client-glue';
import { merged } from '../../../src/runtime/merged.ts';
import { showTable } from '../../../src/core/table.ts';
import { grantMissing, throttling } from '../../fixtures/glue-stub.ts';
import { GlueError } from '../../fixtures/glue-catalog.ts';
import { openGlueWorld } from './world.ts';

const never = new AbortController().signal;
type Connector = Awaited<ReturnType<Awaited<ReturnType<typeof openGlueWorld>>['connector']>>;

async function listed(connector: Connector): Promise<string[]> {
  const tables: string[] = [];
  for await (const page of connector.list(never))
    tables.push(...page.map(({ kind, table }) => `${showTable(table)} ${kind}`));
  return tables.toSorted();
}

test('every page of every database is listed, and nothing twice', async () => {
  await using world = await openGlueWorld({ events: false, stub: { pageSize: 3 } });
  for (let d = 0; d < 8; d++) {
    world.writer.createDatabase(`d${d}`);
    for (let t = 0; t < d; t++) world.writer.create(`d${d}`, `t${t}`);
  }
  const tables = await listed(await world.connector({ concurrency: { listings: 3 } }));
  expect(tables).toHaveLength(28);
  expect(new Set(tables).size).toBe(28);
});

test('databases that match no pattern are not asked for their tables', async () => {
  await using world = await openGlueWorld({ events: false });
  for (const name of ['sales', 'ops']) {
    world.writer.createDatabase(name);
    world.writer.create(name, 'orders');
  }
  expect(await listed(await world.connector({ databases: ['SALES'] }))).toEqual(['sales.orders present']);
  expect(world.stub.count('GetTables')).toBe(1);
  expect(await listed(await world.connector({ databases: ['lake*'] }))).toEqual([]);
  expect(world.events.map(({ event }) => event)).toContain('no-database-matches');
});

test('a database that may not be read is told of, and the others are listed', async () => {
  await using world = await openGlueWorld({ events: false });
  for (const name of ['sales', 'secret']) {
    world.writer.createDatabase(name);
    world.writer.create(name, 'orders');
  }
  world.stub.intercept(({ operation, input }) =>
    operation === 'GetTables' && input['DatabaseName'] === 'secret' ? grantMissing('secret') : 'pass',
  );
  expect(await listed(await world.connector())).toEqual(['sales.orders present']);
  const [line] = world.events.filter(({ event }) => event === 'database-not-listed');
  expect(line?.fields).toMatchObject({ database: 'secret', error: { code: 'GLUE_ACCESS_DENIED' } });
});

test('a list of which nothing could be read is an error', async () => {
  await using world = await openGlueWorld({ events: false });
  world.writer.createDatabase('sales');
  world.stub.deny('GetTables', 'table/sales/*');
  await expect(listed(await world.connector())).rejects.toMatchObject({ code: 'GLUE_ACCESS_DENIED' });
});

test('a list that breaks in the middle is an error, not a shorter list', async () => {
  await using world = await openGlueWorld({ events: false, stub: { pageSize: 2 } });
  world.writer.createDatabase('sales');
  for (let i = 0; i < 9; i++) world.writer.create('sales', `t${i}`);
  let calls = 0;
  world.stub.intercept(({ operation }) => (operation === 'GetTables' && ++calls > 2 ? throttling() : 'pass'));
  await expect(listed(await world.connector())).rejects.toMatchObject({ code: 'GLUE_THROTTLED' });
});

test('a database that is deleted while it is listed is no error', async () => {
  await using world = await openGlueWorld({ events: false });
  for (const name of ['sales', 'ops']) world.writer.createDatabase(name);
  world.writer.create('sales', 'orders');
  const gone = new GlueError('EntityNotFoundException', 'Database ops not found.');
  world.stub.intercept(({ operation, input }) =>
    operation === 'GetTables' && input['DatabaseName'] === 'ops' ? gone : 'pass',
  );
  expect(await listed(await world.connector())).toEqual(['sales.orders present']);
});

test('a federated database that fails is told of; S3 Tables, links, views and Hive tables are unsupported', async () => {
  await using world = await openGlueWorld({ events: false });
  const { stub, writer } = world;
  writer.createDatabase('sales');
  writer.create('sales', 'orders');
  writer.createView('sales', 'view');
  writer.createView('sales', 'materialized', { materialized: true });
  writer.createHive('sales', 'hive');
  writer.createInTwoSteps('sales', 'pending');
  stub.call('CreateDatabase', { DatabaseInput: { Name: 's3', FederatedDatabase: { ConnectionType: 'aws:s3tables' } } });
  stub.call('CreateDatabase', {
    DatabaseInput: { Name: 'redshift', FederatedDatabase: { ConnectionName: 'redshift' } },
  });
  writer.create('s3', 'events');
  stub.intercept(({ operation, input }) =>
    operation === 'GetTables' && input['DatabaseName'] === 'redshift'
      ? new GlueError('FederationSourceException', 'no answer')
      : 'pass',
  );
  expect(await listed(await world.connector())).toEqual([
    's3.events unsupported',
    'sales.hive unsupported',
    'sales.materialized unsupported',
    'sales.orders present',
    'sales.pending unsupported',
    'sales.view unsupported',
  ]);
  expect(world.events.filter(({ event }) => event === 'database-not-listed')).toHaveLength(1);
});

test('a nested catalog is asked for by its id', async () => {
  const nested = '123456789012:s3tablescatalog/bucket';
  await using world = await openGlueWorld({ events: false, stub: { otherCatalogs: [nested] } });
  world.stub.call('CreateDatabase', { CatalogId: nested, DatabaseInput: { Name: 'sales' } });
  const TableInput: Partial<Table> = {
    Name: 'orders',
    Parameters: { table_type: 'ICEBERG', metadata_location: 's3://m' },
  };
  world.stub.call('CreateTable', { CatalogId: nested, DatabaseName: 'sales', TableInput });
  const connector = await world.connector({ catalog_id: nested });
  expect(await listed(connector)).toEqual(['sales.orders present']);
  expect(connector.source).toBe(`glue:eu-west-1/${nested}`);
});

const of = (...values: string[]) =>
  async function* () {
    yield* values;
  };

async function* failing(): AsyncGenerator<string, void, undefined> {
  yield 'g';
  throw new Error('broke');
}

test('sources that run side by side come to their ends, and the first failure ends all', async () => {
  const collected: string[] = [];
  for await (const value of merged([of('a', 'b'), of(), of('c'), of('d', 'e', 'f')], 2)) collected.push(value);
  expect(collected.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  await expect(async () => {
    for await (const value of merged([of('a'), failing], 2)) collected.push(value);
  }).rejects.toThrow('broke');
});
