import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { PushError } from '../../../src/errors/errors.ts';
import { eventually } from '../../pipeline/world.ts';
import { openGlueWorld, Watch, type GlueWorld } from './world.ts';

const event = (name: string, more: object = {}) => ({
  version: '0',
  id: `event-of-${name}`,
  'detail-type': 'Glue Data Catalog Table State Change',
  source: 'aws.glue',
  account: '123456789012',
  time: '2026-04-25T15:41:12Z',
  region: 'eu-west-1',
  resources: [],
  detail: { databaseName: 'sales', tableName: name, typeOfChange: 'UpdateTable', changedPartitions: [] },
  ...more,
});
const events = (count: number) => Array.from({ length: count }, (_, i) => event(`t${i}`));
const isEmpty = (world: GlueWorld) => async () => {
  const { visible, hidden } = world.counts();
  return visible + hidden === 0 ? undefined : `${visible} visible, ${hidden} hidden`;
};
const logged = ({ events: lines }: GlueWorld, name: string) => lines.filter((line) => line.event === name);

test('a message is deleted when its delivery is acknowledged, and not before', async () => {
  await using world = await openGlueWorld();
  await world.send(event('orders'));
  await using watch = new Watch(await world.connector());
  const delivery = await watch.take();
  expect(delivery.changes).toEqual([{ kind: 'upserted', table: { namespace: ['sales'], name: 'orders' } }]);
  expect(delivery.committedAt).toBe(Date.UTC(2026, 3, 25, 15, 41, 12));
  expect(delivery.position).toBeUndefined();
  expect(world.counts()).toEqual({ visible: 0, hidden: 1 });
  await delivery.ack();
  expect(world.counts()).toEqual({ visible: 0, hidden: 0 });
  await delivery.ack();
});

test('what waits is merged: many messages of one table are one change', async () => {
  await using world = await openGlueWorld();
  await world.send(...Array.from({ length: 95 }, (_, i) => event('hot', { id: `event-${i}` })), event('cold'));
  await using watch = new Watch(await world.connector({ linger: '2s', buffer: 96 }));
  const delivery = await watch.take();
  expect(delivery.changes.map(({ table }) => table.name).toSorted()).toEqual(['cold', 'hot']);
  await delivery.ack();
  await eventually(isEmpty(world));
});

test('messages are kept hidden while they wait here and while they are recorded, however long that takes', async () => {
  await using world = await openGlueWorld();
  await world.send(...events(25));
  const connector = await world.connector({ visibility_timeout: '2s' });
  await using watch = new Watch(connector);
  const first = await watch.take();
  await eventually(async () => (connector.figures().received === 25 ? undefined : 'not all received'));
  // Three times the visibility timeout, by what the heartbeat does.
  await eventually(async () => (connector.figures().extended >= 25 * 6 ? undefined : 'not extended yet'));
  expect(world.counts()).toEqual({ visible: 0, hidden: 25 });
  expect(new Set(world.receives())).toEqual(new Set([1]));
  await first.ack();
  await watch.untilTables(25);
  await eventually(isEmpty(world));
  expect(connector.figures()).toMatchObject({ received: 25, deleted: 25 });
});

test('a message that came again while it was held is deleted with its newest receipt', async () => {
  await using world = await openGlueWorld();
  await world.send(event('orders'));
  const connector = await world.connector({ visibility_timeout: '4s' });
  await using watch = new Watch(connector);
  const delivery = await watch.take();
  const inflight = world.sqs.inspectQueue('polaris-push')?.messages.inflight ?? [];
  // Somebody makes it visible by hand, so it is received once more.
  for (const { receiptHandle } of inflight) await world.show(receiptHandle);
  await eventually(async () => (connector.figures().received === 2 ? undefined : 'not received again'));
  await delivery.ack();
  await eventually(isEmpty(world));
  expect(connector.figures().deleted).toBe(1);
});

test('no more is received than the buffer holds', async () => {
  await using world = await openGlueWorld();
  await world.send(...events(60));
  const connector = await world.connector({ buffer: 20, pollers: 1 });
  await using watch = new Watch(connector);
  const first = await watch.take();
  await eventually(async () => (connector.figures().received >= 20 ? undefined : 'not full'));
  expect(world.counts().hidden).toBeLessThanOrEqual(29);
  await first.ack();
  expect(await watch.untilTables(60)).toHaveLength(60);
});

test('a stop gives back at once what was not acknowledged, with the receive that it cost and no other', async () => {
  await using world = await openGlueWorld();
  await world.send(...events(30));
  const connector = await world.connector({ buffer: 30, pollers: 1 });
  {
    await using watch = new Watch(connector);
    await watch.take();
    // All are held: nothing waits at the queue any more.
    await eventually(async () => (connector.figures().received === 30 ? undefined : 'not all received'));
  }
  expect(world.counts()).toEqual({ visible: 30, hidden: 0 });
  expect(new Set(world.receives())).toEqual(new Set([1]));
  expect(connector.figures().released).toBe(30);
  await using again = new Watch(await world.connector());
  expect(await again.untilTables(30)).toHaveLength(30);
});

test('what a receive brings after the end of its watch is given back', async () => {
  await using world = await openGlueWorld();
  const connector = await world.connector({ wait_time: '5s', visibility_timeout: '60s' });
  {
    await using watch = new Watch(connector);
    const taking = watch.take();
    await world.send(event('first'));
    await (await taking).ack();
  }
  await world.send(event('late'));
  await eventually(async () => (connector.figures().released === 1 ? undefined : 'not given back'));
  expect(world.counts()).toEqual({ visible: 1, hidden: 0 });
});

test('copies of an event cost no read once its hint is recorded', async () => {
  await using world = await openGlueWorld();
  const connector = await world.connector();
  await using watch = new Watch(connector);
  await world.send(event('orders'));
  await (await watch.take()).ack();
  await world.send(event('orders'), event('orders'), event('returns'));
  expect(await watch.untilTables(2)).toEqual(['sales.orders', 'sales.returns']);
  expect(watch.changes.filter(({ table }) => table.name === 'orders')).toHaveLength(1);
  await eventually(isEmpty(world));
  expect(connector.figures().duplicates).toBe(2);
});

test('a copy of an event that is not recorded yet is not deleted before it', async () => {
  await using world = await openGlueWorld();
  const connector = await world.connector();
  {
    await using watch = new Watch(connector);
    await world.send(event('orders'));
    await watch.take();
    await world.send(event('orders'));
    await watch.take();
    expect(world.counts()).toEqual({ visible: 0, hidden: 2 });
  }
  await eventually(async () => (world.counts().visible === 2 ? undefined : 'not given back'));
  await using again = new Watch(connector);
  expect(await again.untilTables(1)).toEqual(['sales.orders']);
});

test('what isn’t an event is left to the redrive policy, told of, and blocks nothing', async () => {
  await using world = await openGlueWorld();
  const { queueArn } = world.sqs.createQueue('dead', { region: 'eu-west-1' });
  await world.redriveTo(queueArn, 2);
  const connector = await world.connector({ visibility_timeout: '2s', max_message_size: '4KiB' });
  await connector.prepare(new AbortController().signal);
  await using watch = new Watch(connector);
  await world.send('no JSON at all', JSON.stringify(event('big', { padding: 'x'.repeat(5_000) })), event('orders'));
  expect(await watch.untilTables(1)).toEqual(['sales.orders']);
  const dead = () => world.sqs.inspectQueue('dead')?.messages.ready.length ?? 0;
  await eventually(async () => (dead() === 2 ? undefined : `${dead()} dead`), 15_000);
  expect(connector.figures().deleted).toBe(1);
  const lines = logged(world, 'message-unreadable');
  expect(lines.map(({ fields }) => fields['detail'])).toEqual(
    expect.arrayContaining(['The body is not JSON.', expect.stringContaining('max_message_size is 4096')]),
  );
  expect(lines[0]?.fields['fix']).toContain('dead-letter queue');
});

test('events that say nothing to us are deleted, and told of once for each kind', async () => {
  await using world = await openGlueWorld();
  const connector = await world.connector({ accounts: ['123456789012'] });
  await using watch = new Watch(connector);
  const crawler = event('x', { 'detail-type': 'Glue Crawler State Change', detail: { crawlerName: 'c' } });
  const foreign = event('x', { account: '999999999999' });
  await world.send(crawler, crawler, foreign, foreign, event('orders'));
  expect(await watch.untilTables(1)).toEqual(['sales.orders']);
  await eventually(isEmpty(world));
  expect(connector.figures().ignored).toEqual({ 'other-type': 2, foreign: 2 });
  expect(logged(world, 'event-ignored')).toHaveLength(1);
  expect(logged(world, 'event-of-another-catalog')).toHaveLength(1);
});

test('a deleted database is a hint at every table that is known of it', async () => {
  await using world = await openGlueWorld({ events: false });
  const { writer, stub } = world;
  for (const database of ['sales', 'ops']) writer.createDatabase(database);
  for (let i = 0; i < 250; i++) writer.create('sales', `t${i}`);
  writer.create('ops', 'runs');
  const connector = await world.connector();
  for await (const page of connector.list(new AbortController().signal)) expect(page.length).toBeGreaterThan(0);
  await using watch = new Watch(connector);
  // One that came after the list.
  await world.send(event('late'));
  await watch.untilTables(1);
  const detail = { databaseName: 'sales', typeOfChange: 'DeleteDatabase', changedTables: [] };
  await world.send(stub.events.event('Glue Data Catalog Database State Change', detail, ['database/sales']));
  expect(await watch.untilTables(251)).toHaveLength(251);
  expect(watch.changes.filter(({ kind }) => kind === 'dropped')).toHaveLength(251);
});

test('databases that are left out give no hints', async () => {
  await using world = await openGlueWorld();
  const connector = await world.connector({ databases: ['ops*'] });
  await using watch = new Watch(connector);
  const detail = { databaseName: 'ops_eu', tableName: 'Runs', typeOfChange: 'UpdateTable' };
  await world.send(event('orders'), event('x', { detail }));
  expect(await watch.untilTables(1)).toEqual(['ops_eu.runs']);
});

test('a FIFO queue works: one group, ten at a time', async () => {
  await using world = await openGlueWorld({ fifo: true });
  await world.send(...events(35));
  const connector = await world.connector({ linger: '10s' });
  await connector.prepare(new AbortController().signal);
  await using watch = new Watch(connector);
  expect(await watch.untilTables(35)).toHaveLength(35);
  expect(world.counts()).toEqual({ visible: 0, hidden: 0 });
});

test('a message that can’t be understood doesn’t hold up its group for longer than its receives last', async () => {
  await using world = await openGlueWorld({ fifo: true });
  const { queueArn } = world.sqs.createQueue('dead.fifo', { region: 'eu-west-1', attributes: { FifoQueue: 'true' } });
  await world.redriveTo(queueArn, 3);
  await world.send('no JSON');
  await world.send(event('orders'));
  const connector = await world.connector({ visibility_timeout: '60s' });
  await connector.prepare(new AbortController().signal);
  await using watch = new Watch(connector);
  expect(await watch.untilTables(1)).toEqual(['sales.orders']);
  expect(logged(world, 'message-unreadable').map(({ fields }) => fields['receives'])).toEqual([1, 2, 3]);
});

/** Between the connector and its queue: answers some calls itself. */
async function proxy(
  world: GlueWorld,
  answer: (operation: string, input: Record<string, unknown>) => { status: number; body: object } | undefined,
): Promise<{ endpoint: string } & AsyncDisposable> {
  const server: Server = createServer((request, response) => {
    const serve = async (text: string) => {
      const operation = String(request.headers['x-amz-target']).replace('AmazonSQS.', '');
      const own = answer(operation, JSON.parse(text) as Record<string, unknown>);
      if (own !== undefined) {
        response.writeHead(own.status, { 'content-type': 'application/x-amz-json-1.0' });
        return response.end(JSON.stringify(own.body));
      }
      const { host: _host, ...headers } = request.headers as Record<string, string>;
      const answered = await fetch(world.sqs.address, { method: 'POST', headers, body: text });
      response.writeHead(answered.status, { 'content-type': 'application/x-amz-json-1.0' });
      return response.end(await answered.text());
    };
    // A long poll outlives the queue at the end of a test.
    read(request)
      .then(serve)
      .catch(() => request.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const refusal = (type: string, message: string, status = 400) => ({
  status,
  body: { __type: `com.amazonaws.sqs#${type}`, message },
});

test('messages of a batch that SQS fails to delete are deleted at another try', async () => {
  await using world = await openGlueWorld();
  let failures = 2;
  await using between = await proxy(world, (operation, { Entries }) => {
    if (operation !== 'DeleteMessageBatch' || failures === 0) return undefined;
    failures -= 1;
    const all = Entries as readonly { readonly Id: string }[];
    const Failed = all.map(({ Id }) => ({ Id, Code: 'InternalError', SenderFault: false }));
    return { status: 200, body: { Successful: [], Failed } };
  });
  await world.send(...events(3));
  const connector = await world.connector({ sqs_endpoint: between.endpoint });
  await using watch = new Watch(connector);
  await watch.untilTables(3);
  await eventually(isEmpty(world));
  expect(failures).toBe(0);
  expect(connector.figures().deleted).toBe(3);
});

test('a message that SQS never deletes is told of, and comes again', async () => {
  await using world = await openGlueWorld();
  await using between = await proxy(world, (operation, { Entries }) => {
    if (operation !== 'DeleteMessageBatch') return undefined;
    const [{ Id }] = Entries as readonly [{ readonly Id: string }];
    const Failed = [{ Id, Code: 'ReceiptHandleIsInvalid', SenderFault: true }];
    return { status: 200, body: { Successful: [], Failed } };
  });
  await world.send(event('orders'));
  const connector = await world.connector({ sqs_endpoint: between.endpoint });
  await using watch = new Watch(connector);
  await watch.untilTables(1);
  expect(logged(world, 'messages-not-deleted')).toMatchObject([{ fields: { code: 'ReceiptHandleIsInvalid' } }]);
  await eventually(async () => (connector.figures().duplicates > 0 ? undefined : 'not received again'));
});

test('a queue that can’t be reached for a while is waited for, and nothing is lost', async () => {
  await using world = await openGlueWorld();
  let failures = 3;
  await using between = await proxy(world, (operation) => {
    if (operation !== 'ReceiveMessage' || failures === 0) return undefined;
    failures -= 1;
    return refusal('RequestThrottled', 'Slow down', failures === 1 ? 503 : 400);
  });
  await world.send(event('orders'));
  await using watch = new Watch(await world.connector({ sqs_endpoint: between.endpoint }));
  expect(await watch.untilTables(1)).toEqual(['sales.orders']);
  expect(logged(world, 'queue-not-reached')).toHaveLength(3);
  expect(logged(world, 'queue-recovered')).toHaveLength(1);
});

test.each([
  ['AccessDeniedException', 'not authorized to perform: sqs:receivemessage', 'SQS_ACCESS_DENIED', 'sqs:ReceiveMessage'],
  ['ExpiredTokenException', 'The security token included in the request is expired', 'GLUE_CREDENTIALS_EXPIRED', ''],
  ['KmsAccessDenied', 'The ciphertext refers to a key', 'SQS_ENCRYPTION', 'kms:Decrypt'],
  ['QueueDoesNotExist', 'The specified queue does not exist.', 'SQS_QUEUE_MISSING', 'queue_url'],
])('%s ends the watch with its fix, for the supervisor to wait', async (type, message, code, fix) => {
  await using world = await openGlueWorld();
  await using between = await proxy(world, (operation) =>
    operation === 'ReceiveMessage' ? refusal(type, message) : undefined,
  );
  await using watch = new Watch(await world.connector({ sqs_endpoint: between.endpoint }));
  const error: unknown = await watch.take().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PushError);
  expect(error).toMatchObject({ code, fix: expect.stringContaining(fix) as string });
});

test('visibility that may not be extended is told of, with its statement, and messages are consumed all the same', async () => {
  await using world = await openGlueWorld();
  await using between = await proxy(world, (operation) =>
    operation === 'ChangeMessageVisibilityBatch' ? refusal('AccessDeniedException', 'no', 403) : undefined,
  );
  await world.send(event('orders'));
  await using watch = new Watch(await world.connector({ sqs_endpoint: between.endpoint }));
  const delivery = await watch.take();
  await eventually(async () => (logged(world, 'visibility-not-extended').length > 0 ? undefined : 'not told'));
  expect(logged(world, 'visibility-not-extended')[0]?.fields['fix']).toContain('sqs:ChangeMessageVisibility');
  await delivery.ack();
});

test('without a queue nothing is watched, and prepare says which key is missing', async () => {
  await using world = await openGlueWorld();
  const connector = await world.connector({ queue_url: undefined });
  await expect(connector.prepare(new AbortController().signal)).rejects.toMatchObject({ code: 'SQS_QUEUE_NOT_SET' });
  await expect(connector.prepare(new AbortController().signal)).rejects.toThrow('list alone');
});

test('a queue that doesn’t exist, or not there, is refused by prepare', async () => {
  await using world = await openGlueWorld();
  const connector = await world.connector({ queue_url: `${world.queueUrl}-x` });
  const error: unknown = await connector.prepare(new AbortController().signal).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'SQS_QUEUE_MISSING', fix: expect.stringContaining('another region') as string });
});
