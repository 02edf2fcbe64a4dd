import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import { listed, openMetastore, OPS, rows, started } from './metastore.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres({ major: 18 });
});
afterAll(async () => postgres[Symbol.asyncDispose]());

test('a created, committed, renamed and dropped table gives one hint each', async () => {
  await using metastore = await openMetastore(postgres);
  const connector = await metastore.connector();
  await using watching = await started(connector);
  await metastore.transact(rows.create('orders'));
  expect(await watching.until('sales.orders')).toEqual(['sales.orders']);
  await metastore.transact(rows.commit('orders', 1));
  expect(await watching.until('sales.orders')).toEqual(['sales.orders']);
  await metastore.transact(rows.rename('orders', 'archive', OPS));
  expect(await watching.until('sales.orders>ops.archive')).toEqual(['sales.orders>ops.archive']);
  await metastore.transact(rows.drop('archive', OPS));
  expect(await watching.until('-ops.archive')).toEqual(['-ops.archive']);
  expect(await listed(connector)).toEqual([]);
});
