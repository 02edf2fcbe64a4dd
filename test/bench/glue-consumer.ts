import { parseArgs } from 'node:util';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { systemClock } from '../../src/runtime/clock.ts';
import { openMirrorWorld } from '../connectors/glue/agent.ts';
import { openGlueWorld } from '../connectors/glue/world.ts';

/**
 * How fast the consumer empties a queue, and what it makes of a hot table:
 * `node test/bench/glue-consumer.ts [--messages 20000] [--tables 500] [--pollers 4]`. The queue lives in this process, so its
 * work is in the figures, too. Prints one line of JSON each.
 */
const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '20000' },
    tables: { type: 'string', default: '500' },
    pollers: { type: 'string', default: '4' },
  },
});
const messages = Number(values.messages);
const tables = Number(values.tables);

const body = (table: number, id: number) =>
  JSON.stringify({
    version: '0',
    id: `event-${id}`,
    'detail-type': 'Glue Data Catalog Table State Change',
    source: 'aws.glue',
    account: '123456789012',
    time: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    region: 'eu-west-1',
    resources: [],
    detail: { databaseName: 'sales', tableName: `t${table}`, typeOfChange: 'UpdateTable', changedPartitions: [] },
  });

/** Receives, decodes, merges, hands over and deletes: without a ledger, Glue and Polaris. */
async function consume(name: string, tableOf: (message: number) => number): Promise<void> {
  await using world = await openGlueWorld();
  for (let start = 0; start < messages; start += 10) {
    const Entries = Array.from({ length: 10 }, (_, i) => ({
      Id: String(i),
      MessageBody: body(tableOf(start + i), start + i),
    }));
    await world.client.send(new SendMessageBatchCommand({ QueueUrl: world.queueUrl, Entries }));
  }
  const connector = await world.connector({
    pollers: Number(values.pollers),
    linger: '250ms',
    visibility_timeout: '60s',
  });
  const stop = new AbortController();
  const before = performance.now();
  let deliveries = 0;
  let changes = 0;
  for await (const delivery of connector.watch(undefined, stop.signal)) {
    deliveries += 1;
    changes += delivery.changes.length;
    await delivery.ack();
    if (connector.figures().deleted >= messages) break;
  }
  const ms = performance.now() - before;
  const messagesPerSecond = Math.round((messages / ms) * 1000);
  console.log(JSON.stringify({ name, messages, messagesPerSecond, deliveries, changes, ms: Math.round(ms) }));
}

/** One table, committed as fast as it goes, with the whole agent behind it. */
async function hotTable(seconds: number): Promise<void> {
  await using world = await openMirrorWorld();
  world.writer.createDatabase('sales');
  world.writer.create('sales', 'hot');
  let notifications = 0;
  await using agent = await world.startAgent({
    source: { linger: '250ms' },
    onEvent: (event) => {
      if (event.kind === 'notified' && event.outcome.kind === 'admitted') notifications += 1;
    },
  });
  await agent.caughtUp();
  const [reads, sent] = [world.stub.count('GetTable'), notifications];
  const until = performance.now() + seconds * 1000;
  let commits = 0;
  while (performance.now() < until) {
    world.writer.commit('sales', 'hot');
    commits += 1;
    await systemClock.sleep(2);
  }
  await world.stub.events.flush();
  while (world.differences().length > 0) await systemClock.sleep(20);
  console.log(
    JSON.stringify({
      name: 'hot table',
      commits,
      getTable: world.stub.count('GetTable') - reads,
      notifications: notifications - sent,
      seconds,
    }),
  );
}

await consume('one table', () => 0);
await consume(`${tables} tables`, (message) => message % tables);
await hotTable(5);
