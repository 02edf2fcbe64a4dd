import { expect, test } from 'vitest';
import { PushError } from '../../src/errors/errors.ts';
import type { LoadTableOptions } from '../../src/polaris/load-table.ts';
import { containing, rejection } from './matchers.ts';
import { clientOf, PolicyServer } from './policy-server.ts';
import { type Answer, polaris, polarisError, StandIn, TOKEN } from './stand-in.ts';

const never = new AbortController().signal;
const ORDERS = { namespace: ['sales'], name: 'orders' };
const LOCATION = 's3://lake/sales/orders/metadata/1.metadata.json';

async function load(answer: Answer, options: LoadTableOptions = {}) {
  await using server = await StandIn.start(polaris(() => answer));
  await using client = await clientOf(`http://127.0.0.1:${server.port}/api/catalog`, { token: TOKEN });
  const outcome = await client.loadTable(ORDERS, options, never).catch((error: unknown) => error);
  return { outcome, request: server.seen.at(-1) };
}

test('a table is loaded with its location and metadata; access to its files is not asked for', async () => {
  await using server = await PolicyServer.open();
  await server.table(['sales'], 'orders');
  await using client = await server.client();
  const loaded = await client.loadTable(ORDERS, {}, never);
  expect(loaded).toMatchObject({
    metadataLocation: containing('/files/metadata/1.metadata.json'),
    metadata: { 'format-version': 2 },
    config: {},
    storageCredentials: [],
  });
  const { request } = await load({ status: 500 });
  expect(request?.headers['x-iceberg-access-delegation']).toBeUndefined();
});

test('no digit of a snapshot id is lost', async () => {
  const metadata =
    '{"current-snapshot-id":3055729675574597004,"refs":{"main":{"snapshot-id":-3055729675574597005}},"x":1.5e300}';
  const text = `{"metadata-location":"${LOCATION}","metadata":${metadata}}`;
  expect((await load({ status: 200, text })).outcome).toMatchObject({
    metadata: {
      'current-snapshot-id': 3055729675574597004n,
      refs: { main: { 'snapshot-id': -3055729675574597005n } },
      x: 1.5e300,
    },
  });
});

test.for(['vended-credentials', 'remote-signing'] as const)('%s is asked for in the header', async (delegation) => {
  const config = { 's3.access-key-id': 'AK', 'client.region': 'eu-west-1', odd: 1 };
  const { outcome, request } = await load(
    {
      status: 200,
      json: {
        'metadata-location': LOCATION,
        metadata: { 'format-version': 2 },
        config,
        'storage-credentials': [{ prefix: 's3://lake', config }, { config }, 'nonsense'],
      },
    },
    { delegation },
  );
  expect(request?.headers['x-iceberg-access-delegation']).toBe(delegation);
  expect(request?.path).toBe('/api/catalog/v1/ext/namespaces/sales/tables/orders');
  const texts = { 's3.access-key-id': 'AK', 'client.region': 'eu-west-1' };
  expect(outcome).toEqual({
    metadataLocation: LOCATION,
    metadata: { 'format-version': 2 },
    config: texts,
    storageCredentials: [{ prefix: 's3://lake', config: texts }],
  });
});

test('who may see a table may not have its credentials, and is told what is missing', async () => {
  await using server = await PolicyServer.open();
  await server.table(['sales'], 'orders');
  const auth = await server.principal('reader', ['TABLE_READ_PROPERTIES']);
  await using client = await server.client(auth);
  await client.loadTable(ORDERS, {}, never);
  const denied = (await rejection(client.loadTable(ORDERS, { delegation: 'vended-credentials' }, never))) as PushError;
  expect(denied).toMatchObject({ code: 'POLARIS_FORBIDDEN', spec: { exitCode: 4 } });
  expect(denied.message).toContain('principal reader lacks TABLE_READ_DATA on ext');
  expect(denied.fix).toContain('for privilege in TABLE_READ_DATA; do');
  expect(denied.fix).toContain('principal-roles/reader_role/catalog-roles/ext');
});

test('a table that is not there is said to be missing', async () => {
  await using server = await PolicyServer.open();
  await using client = await server.client();
  expect(await rejection(client.loadTable(ORDERS, {}, never))).toMatchObject({ code: 'POLARIS_NO_SUCH_TABLE' });
  const odd = { namespace: ['sales'], name: '..' };
  expect(await rejection(client.loadTable(odd, {}, never))).toMatchObject({ code: 'POLARIS_NO_SUCH_TABLE' });
});

test.for([
  [{ status: 200, text: '<html></html>' }, 'POLARIS_REFUSED', 'no metadata-location'],
  [{ status: 200, json: { metadata: {} } }, 'POLARIS_REFUSED', 'no metadata-location'],
  [{ status: 200, json: { 'metadata-location': LOCATION } }, 'POLARIS_REFUSED', 'no metadata'],
  [{ status: 503 }, 'POLARIS_UNAVAILABLE', 'Loading sales.orders failed'],
  [polarisError(404, 'NotFoundException', 'Location does not exist: x'), 'POLARIS_REFUSED', 'Location does not exist'],
] as const)('the answer %j is an error', async ([answer, code, message]) => {
  expect((await load(answer)).outcome).toMatchObject({ code, message: containing(message) });
});
