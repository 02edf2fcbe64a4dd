import {
  BatchDeleteTableCommand,
  CreateDatabaseCommand,
  CreateTableCommand,
  DeleteTableCommand,
  GetDatabasesCommand,
  GetTableCommand,
  GlueClient,
  paginateGetTables,
  UpdateTableCommand,
} from '@aws-sdk/client-glue';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { startFauxqs } from 'fauxqs';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/runtime/random.ts';
import { toQueue, type GlueEvent } from '../../fixtures/glue-events.ts';
import { startGlueStub, type GlueStub, type GlueStubOptions } from '../../fixtures/glue-stub.ts';
import { GlueWriter } from '../../fixtures/glue-writer.ts';

const CREDENTIALS = { accessKeyId: 'AKIDTEST', secretAccessKey: 'secret' };

async function open(options: GlueStubOptions = {}) {
  const stack = new AsyncDisposableStack();
  const events: GlueEvent[] = [];
  const stub = stack.use(await startGlueStub({ deliver: (event) => void events.push(event), ...options }));
  const glue = stack.adopt(glueOf(stub), (client) => client.destroy());
  const writer = new GlueWriter({ call: stub.call, warehouse: 's3://lake/warehouse', inFiles: false });
  writer.createDatabase('sales');
  return { stub, glue, writer, events, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const glueOf = (stub: GlueStub) =>
  new GlueClient({ endpoint: stub.endpoint, region: stub.region, credentials: CREDENTIALS, maxAttempts: 1 });

const kinds = (events: readonly GlueEvent[]) =>
  events.map(
    ({ detail }) => `${String(detail['typeOfChange'])} ${String(detail['tableName'] ?? detail['changedTables'])}`,
  );

async function mistreated() {
  await using at = await open({ events: { loss: 0.2, duplication: 0.2, shuffle: 8 }, random: seededRandom(7) });
  for (let i = 0; i < 200; i++) at.writer.createHive('sales', `t${i}`);
  await at.stub.events.flush();
  return { order: kinds(at.events), counts: at.stub.events.counts };
}

describe('The Glue stub, asked by the AWS SDK,', () => {
  test('answers with a table as Iceberg wrote it', async () => {
    await using at = await open();
    const location = at.writer.create('sales', 'orders');
    const { Table } = await at.glue.send(new GetTableCommand({ DatabaseName: 'SALES', Name: 'Orders' }));
    expect(Table).toMatchObject({
      Name: 'orders',
      DatabaseName: 'sales',
      VersionId: '0',
      TableType: 'EXTERNAL_TABLE',
      Parameters: { table_type: 'ICEBERG', metadata_location: location },
    });
    expect(Table?.CreateTime).toBeInstanceOf(Date);
    expect(at.stub.truth()).toEqual(new Map([['sales.orders', location]]));
  });

  test.for([
    ['named', 'Table gone not found.', 'Database nowhere not found.'],
    ['bare', 'Entity Not Found', 'Entity Not Found'],
  ] as const)('says not found in the %s form', async ([notFound, table, database]) => {
    await using at = await open({ notFound });
    const get = (DatabaseName: string) => at.glue.send(new GetTableCommand({ DatabaseName, Name: 'gone' }));
    await expect(get('sales')).rejects.toMatchObject({ name: 'EntityNotFoundException', message: table });
    await expect(get('nowhere')).rejects.toMatchObject({ name: 'EntityNotFoundException', message: database });
  });

  test('lets one of two commits on the same version win', async () => {
    await using at = await open();
    at.writer.create('sales', 'orders');
    const update = () =>
      at.glue.send(new UpdateTableCommand({ DatabaseName: 'sales', TableInput: { Name: 'orders' }, VersionId: '0' }));
    await update();
    await expect(update()).rejects.toMatchObject({ name: 'ConcurrentModificationException' });
  });

  test('gives tables out in pages of a hundred', async () => {
    await using at = await open();
    for (let i = 0; i < 250; i++) at.writer.create('sales', `t${i}`);
    const pages: number[] = [];
    for await (const { TableList = [] } of paginateGetTables({ client: at.glue }, { DatabaseName: 'sales' }))
      pages.push(TableList.length);
    expect(pages).toEqual([100, 100, 50]);
    expect(at.stub.count('GetTables')).toBe(3);
  });

  test('refuses what is denied, injected, or over its rate', async () => {
    await using at = await open();
    at.writer.create('sales', 'orders');
    const get = () => at.glue.send(new GetTableCommand({ DatabaseName: 'sales', Name: 'orders' }));
    const allow = at.stub.deny('GetTable', 'table/sales/orders');
    await expect(get()).rejects.toMatchObject({ name: 'AccessDeniedException' });
    await expect(at.glue.send(new GetDatabasesCommand({}))).resolves.toMatchObject({
      DatabaseList: [{ Name: 'sales' }],
    });
    allow();
    await get();
    at.stub.requestsPerSecond = 1;
    const results = await Promise.allSettled([get(), get(), get()]);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(2);
    expect(at.stub.throttled).toBe(2);
  });

  test('shows readers the past for as long as it lags, and its own clock', async () => {
    await using at = await open();
    const first = at.writer.create('sales', 'orders');
    at.stub.readLagMs = 150;
    const seen = async () => {
      const { Table } = await at.glue.send(new GetTableCommand({ DatabaseName: 'sales', Name: 'orders' }));
      return Table?.Parameters?.['metadata_location'];
    };
    await expect.poll(() => seen().catch(() => undefined)).toBe(first);
    const second = at.writer.commit('sales', 'orders');
    expect(await seen()).toBe(first);
    await expect.poll(seen).toBe(second);
    at.stub.clockSkewMs = 3_600_000;
    const response = await fetch(at.stub.endpoint, { method: 'POST', body: '{}' });
    expect(Date.parse(response.headers.get('date') ?? '') - Date.now()).toBeGreaterThan(3_590_000);
  });
});

describe('The events of the Glue stub', () => {
  test('name tables where Glue names them', async () => {
    await using at = await open();
    at.writer.create('sales', 'orders');
    at.writer.commit('sales', 'orders');
    at.writer.rename(['sales', 'orders'], ['sales', 'sold']);
    at.writer.dropDatabase('sales');
    expect(kinds(at.events)).toEqual([
      'CreateDatabase ',
      'CreateTable orders',
      'UpdateTable orders',
      'CreateTable sold',
      'DeleteTable orders',
      'DeleteDatabase ',
    ]);
    expect(at.events[2]).toMatchObject({
      'detail-type': 'Glue Data Catalog Table State Change',
      resources: ['arn:aws:glue:eu-west-1:123456789012:table/sales/orders'],
      detail: { databaseName: 'sales', changedPartitions: [] },
    });
    expect(at.events[2]?.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  test('come of calls over HTTP, too, and not of failed ones', async () => {
    await using at = await open();
    await at.glue.send(new CreateDatabaseCommand({ DatabaseInput: { Name: 'Other' } }));
    await at.glue.send(new CreateTableCommand({ DatabaseName: 'other', TableInput: { Name: 'A' } }));
    const { Errors } = await at.glue.send(
      new BatchDeleteTableCommand({ DatabaseName: 'other', TablesToDelete: ['a', 'b'] }),
    );
    expect(Errors).toMatchObject([{ TableName: 'b', ErrorDetail: { ErrorCode: 'EntityNotFoundException' } }]);
    await expect(at.glue.send(new DeleteTableCommand({ DatabaseName: 'other', Name: 'a' }))).rejects.toMatchObject({
      name: 'EntityNotFoundException',
    });
    expect(kinds(at.events.slice(1))).toEqual(['CreateDatabase ', 'CreateTable a', 'BatchDeleteTable a,b']);
  });

  test('get lost, doubled and out of order as chosen, the same way for the same seed', async () => {
    const { order, counts } = await mistreated();
    expect(counts.lost).toBeGreaterThan(20);
    expect(counts.duplicated).toBeGreaterThan(15);
    expect(counts.delivered).toBe(counts.made - counts.lost + counts.duplicated);
    expect(order).not.toEqual(order.toSorted());
    expect((await mistreated()).order).toEqual(order);
  });

  test('reach a queue as the envelope', async () => {
    await using stack = new AsyncDisposableStack();
    const fauxqs = stack.adopt(await startFauxqs({ port: 0, logger: false }), (server) => server.stop());
    const { queueUrl } = fauxqs.createQueue('polaris-push');
    const sqs = stack.adopt(
      new SQSClient({ endpoint: fauxqs.address, region: 'us-east-1', credentials: CREDENTIALS }),
      (client) => client.destroy(),
    );
    await using at = await open({ deliver: toQueue(sqs, queueUrl) });
    for (let i = 0; i < 12; i++) at.writer.create('sales', `t${i}`);
    await at.stub.events.flush();
    const { messages } = fauxqs.inspectQueue('polaris-push') ?? {};
    expect(messages?.ready).toHaveLength(13);
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queueUrl }));
    expect(JSON.parse(Messages[0]?.Body ?? '')).toMatchObject({ source: 'aws.glue' });
  });
});
