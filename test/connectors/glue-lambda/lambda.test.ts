import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lambdaHandlers } from '../../../connectors/glue/lambda.ts';
import { systemClock, type Clock } from '../../../src/runtime/clock.ts';
import { seededRandom, systemRandom } from '../../../src/runtime/random.ts';
import { grantMissing, throttling } from '../../fixtures/glue-stub.ts';
import { batch, CATALOG, failedIds, invocation, openLambdaWorld, QUEUE_ARN } from './world.ts';

describe('A batch of messages', () => {
  test('brings Polaris to what Glue holds, and is done with', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    at.writer.create('sales', 'b');
    at.writer.commit('sales', 'b');
    const { handler } = at.function();
    expect(await handler(batch(at.events), invocation())).toEqual({ batchItemFailures: [] });
    expect(at.served()).toEqual(at.truth());
  });

  test('follows a rename and a drop, in whatever order their events come', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    at.writer.create('sales', 'b');
    const { handler } = at.function();
    await handler(batch(at.events.splice(0)), invocation());
    at.writer.rename(['sales', 'a'], ['sales', 'renamed']);
    at.writer.drop('sales', 'b');
    expect(failedIds(await handler(batch(at.events.toReversed()), invocation()))).toEqual([]);
    expect(Object.keys(at.served())).toEqual(['sales.renamed']);
    expect(at.served()).toEqual(at.truth());
  });

  test('of an empty list is done with', async () => {
    await using at = await openLambdaWorld();
    expect(await at.function().handler({ Records: [] }, invocation())).toEqual({ batchItemFailures: [] });
  });

  test('with a message that nobody can read fails for that message alone', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    const response = await at.function().handler(batch(['{not JSON', ...at.events, '{"no":"event"}']), invocation());
    expect(failedIds(response)).toEqual(['m0', 'm3']);
    expect(at.served()).toEqual(at.truth());
    expect(at.lines.filter(({ event }) => event === 'message-unreadable')).toMatchObject([
      { message: 'm0', detail: 'The body is not JSON.' },
      { message: 'm3' },
    ]);
  });

  test('with messages about nothing of ours is done with, and asks Glue for nothing', async () => {
    await using at = await openLambdaWorld();
    const other = at.stub.events.event('Glue Crawler State Change', { state: 'Succeeded' }, []);
    const foreign = {
      ...at.stub.events.event(
        'Glue Data Catalog Database State Change',
        {
          databaseName: 'sales',
          typeOfChange: 'CreateTable',
          changedTables: ['a'],
        },
        [],
      ),
      account: '999999999999',
    };
    expect(failedIds(await at.function().handler(batch([other, foreign]), invocation()))).toEqual([]);
    expect(at.stub.count()).toBe(0);
  });

  test('fails for the messages of a table that Polaris refuses, and delivers the others', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'good');
    at.writer.create('sales', 'bad');
    at.writer.point('sales', 'bad', 's3://elsewhere/metadata/1.metadata.json');
    const response = await at.function().handler(batch(at.events.slice(1)), invocation());
    expect(failedIds(response)).toEqual(['m1', 'm2']);
    expect(Object.keys(at.served())).toEqual(['sales.good']);
    expect(at.lines.filter(({ event }) => event === 'table-parked')).toMatchObject([
      { level: 'error', table: 'sales.bad', code: 'LOCATION_NOT_ALLOWED' },
    ]);
  });

  test('from a FIFO queue fails from the first failure on, so that the order stays', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    at.writer.create('sales', 'b');
    const [, a, b] = at.events;
    const response = await at.function().handler(batch([a!, 'poison', b!], `${QUEUE_ARN}.fifo`), invocation());
    expect(failedIds(response)).toEqual(['m1', 'm2']);
    expect(at.served()).toEqual(at.truth());
  });

  test('fails as a whole while Polaris is down, and is delivered when it comes again', async () => {
    await using at = await openLambdaWorld();
    for (const name of 'abcdef') at.writer.create('sales', name);
    await at.polaris.pause();
    const { handler } = at.function();
    const events = at.events.slice(1);
    expect(failedIds(await handler(batch(events), invocation(2000)))).toHaveLength(6);
    await at.polaris.resume();
    expect(failedIds(await handler(batch(events), invocation()))).toEqual([]);
    expect(at.served()).toEqual(at.truth());
  });

  test('fails for what there was no time for', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'quick');
    at.writer.create('sales', 'slow');
    const hold = at.stub.intercept(({ input }) =>
      input['Name'] === 'slow' ? systemClock.sleep(2000).then(() => 'pass' as const) : 'pass',
    );
    const { handler } = at.function();
    const quick = await handler(batch([at.events[1]!]), invocation(600));
    expect(failedIds(quick)).toEqual([]);
    const before = performance.now();
    expect(failedIds(await handler(batch([at.events[2]!]), invocation(600)))).toEqual(['m0']);
    expect(performance.now() - before).toBeLessThan(600);
    hold();
    expect(failedIds(await handler(batch([at.events[2]!]), invocation()))).toEqual([]);
    expect(at.served()).toEqual(at.truth());
  });

  test('begins nothing in the last moments that would be cut off', async () => {
    await using at = await openLambdaWorld();
    for (let i = 0; i < 20; i++) at.writer.create('sales', `t${i}`);
    // A table takes a few requests, which may all be made once it was begun.
    at.polaris.intercept(() => ({ delayMs: 25 }));
    let cut = 0;
    at.polaris.onRequest(({ status }) => void (status === undefined && cut++));
    const target = { name: 'main', uri: `${at.polaris.uri}/api/catalog`, catalog: CATALOG, concurrency: { max: 1 } };
    const targets = [{ ...target, auth: { client_id: 'root', client_secret: 's3cr3t' } }];
    const { handler } = at.function({ overrides: { targets } });
    const messages = batch(at.events.slice(1));
    expect(failedIds(await handler(messages, invocation(1600))).length).toBeGreaterThan(0);
    // What was delivered is not sent again.
    const delivered = Object.keys(at.served()).length;
    expect(delivered).toBeGreaterThan(0);
    let sent = 0;
    at.polaris.onRequest(({ type }) => void (type === 'CREATE' && sent++));
    expect(failedIds(await handler(messages, invocation()))).toEqual([]);
    expect(sent).toBe(20 - delivered);
    expect(cut).toBe(0);
  });

  test('never takes a denial for a drop', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    const { handler } = at.function();
    await handler(batch(at.events.splice(0)), invocation());
    at.stub.fail('GetTable', grantMissing('a'));
    at.writer.drop('sales', 'a');
    expect(failedIds(await handler(batch(at.events), invocation()))).toEqual(['m0']);
    expect(Object.keys(at.served())).toEqual(['sales.a']);
    expect(at.lines.at(-2)).toMatchObject({ event: 'table-unfinished', table: 'sales.a' });
    expect(String(at.lines.at(-2)?.['detail'])).toContain('Lake Formation');
  });

  test('with one table that may not be read fails for that table alone', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    at.writer.create('sales', 'denied');
    at.stub.intercept(({ input }) => (input['Name'] === 'denied' ? grantMissing('denied') : 'pass'));
    expect(failedIds(await at.function().handler(batch(at.events.slice(1)), invocation()))).toEqual(['m1']);
    expect(Object.keys(at.served())).toEqual(['sales.a']);
  });

  test('is tried again while Glue throttles, for as long as there is time', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    // One only: the SDK then keeps its calls apart by seconds.
    at.stub.fail('GetTable', throttling(), 1);
    expect(failedIds(await at.function().handler(batch(at.events), invocation()))).toEqual([]);
    expect(at.served()).toEqual(at.truth());
  });

  test('of a deleted database drops what Polaris holds of it', async () => {
    await using at = await openLambdaWorld();
    at.writer.createDatabase('other');
    for (const name of ['a', 'b']) at.writer.create('sales', name);
    at.writer.create('other', 'kept');
    const { handler } = at.function();
    await handler(batch(at.events.splice(0)), invocation());
    at.writer.dropDatabase('sales');
    expect(failedIds(await handler(batch(at.events), invocation()))).toEqual([]);
    expect(Object.keys(at.served())).toEqual(['other.kept']);
  });

  test('of a deleted database fails when Polaris cannot say what it holds of it', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    const { handler } = at.function();
    await handler(batch(at.events.splice(0)), invocation());
    at.writer.dropDatabase('sales');
    await at.polaris.pause();
    expect(failedIds(await handler(batch(at.events), invocation(1500)))).toEqual(['m0']);
    await at.polaris.resume();
    expect(failedIds(await handler(batch(at.events), invocation()))).toEqual([]);
    expect(at.served()).toEqual({});
  });

  test('that would drop more than the budget drops nothing, and fails', async () => {
    await using at = await openLambdaWorld({ overrides: { drops: { budget: { floor: 3 } } } });
    const names = ['a', 'b', 'c', 'd'];
    for (const name of names) at.writer.create('sales', name);
    await at.function().handler(batch(at.events.splice(0)), invocation());
    at.writer.dropMany('sales', names);
    expect(failedIds(await at.function().handler(batch(at.events), invocation()))).toEqual(['m0']);
    expect(Object.keys(at.served())).toHaveLength(4);
    const raised = at.function({ overrides: { drops: { budget: { floor: 4 } } } });
    expect(failedIds(await raised.handler(batch(at.events), invocation()))).toEqual([]);
    expect(at.served()).toEqual({});
  });

  test('that comes twice costs Polaris nothing the second time', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    const { handler } = at.function();
    await handler(batch(at.events), invocation());
    let notifications = 0;
    at.polaris.onRequest(({ kind }) => void (kind === 'notification' && notifications++));
    await handler(batch(at.events), invocation());
    expect(notifications).toBe(0);
  });
});

describe('A read that is behind its event', () => {
  const source = { confirm_after: ['100ms', '200ms', '700ms'] };

  test('is made again before anything counts as unchanged', async () => {
    await using at = await openLambdaWorld({ source });
    at.writer.create('sales', 'a');
    const { handler } = at.function();
    await handler(batch(at.events.splice(0)), invocation());
    await systemClock.sleep(450); // so that a lagging read shows the table before its commit
    at.stub.readLagMs = 400;
    at.writer.commit('sales', 'a');
    expect(failedIds(await handler(batch(at.events), invocation()))).toEqual([]);
    expect(at.served()).toEqual(at.truth());
  });

  test('does not drop a table that an event has just told of', async () => {
    await using at = await openLambdaWorld({ source });
    at.writer.create('sales', 'a');
    const { handler } = at.function();
    await handler(batch(at.events.splice(0)), invocation());
    at.writer.drop('sales', 'a');
    await systemClock.sleep(450); // so that the drop is what a lagging read shows
    at.stub.readLagMs = 400;
    at.writer.create('sales', 'a');
    const types: unknown[] = [];
    at.polaris.onRequest(({ type }) => void (type !== undefined && types.push(type)));
    await handler(batch(at.events.slice(1)), invocation());
    expect(types).not.toContain('DROP');
    expect(at.served()).toEqual(at.truth());
  });
});

describe('An event from EventBridge itself', () => {
  test('is delivered', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    expect(await at.function().handler(at.events[1], invocation())).toBeUndefined();
    expect(at.served()).toEqual(at.truth());
  });

  test('that is not delivered makes the invocation fail, so that Lambda tries again', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    at.stub.deny('GetTable', 'table/sales/a');
    await expect(at.function().eventBridgeHandler(at.events[1], invocation())).rejects.toMatchObject({
      code: 'LAMBDA_NOT_DELIVERED',
      message: expect.stringContaining('glue:GetTable') as string,
    });
  });
});

describe('A scheduled reconciliation', () => {
  test('finds what events have not told', async () => {
    await using at = await openLambdaWorld({ env: { POLARIS_PUSH_UNLISTED: 'drop' } });
    for (const name of ['a', 'b', 'c']) at.writer.create('sales', name);
    const { handler } = at.function();
    expect(await handler({ action: 'reconcile' }, invocation())).toEqual({
      tables: 3,
      targets: [{ target: 'main', differed: 3, unlisted: 0 }],
    });
    at.writer.commit('sales', 'b');
    at.writer.drop('sales', 'c');
    expect(await handler({ 'detail-type': 'Scheduled Event', source: 'aws.events', detail: {} }, invocation())).toEqual(
      {
        tables: 2,
        targets: [{ target: 'main', differed: 2, unlisted: 1 }],
      },
    );
    expect(at.served()).toEqual(at.truth());
  });

  test('only tells of tables that the source does not list, unless it may drop them', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    const { reconcileHandler } = at.function();
    await reconcileHandler({}, invocation());
    at.writer.drop('sales', 'a');
    expect(await reconcileHandler({}, invocation())).toMatchObject({ targets: [{ unlisted: 1 }] });
    expect(Object.keys(at.served())).toEqual(['sales.a']);
    expect(at.lines.find(({ event }) => event === 'unlisted-tables')).toMatchObject({ names: ['sales.a'] });
  });

  test('that could not mend everything fails', async () => {
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    at.writer.point('sales', 'a', 's3://elsewhere/metadata/1.metadata.json');
    await expect(at.function().reconcileHandler({}, invocation())).rejects.toMatchObject({
      code: 'LAMBDA_NOT_DELIVERED',
    });
  });
});

const ahead = (ms: number): Clock => ({ ...systemClock, now: () => systemClock.now() + ms });

describe('Functions at the same time', () => {
  test.for(Array.from({ length: 12 }, (_, seed) => seed))(
    'on the same tables end at what Glue holds, with events doubled and out of order (seed %i)',
    async (seed) => {
      const random = seededRandom(seed);
      const upTo = (ms: number) => Math.floor(random() * ms);
      await using at = await openLambdaWorld({
        glue: { random, events: { duplication: 0.3, shuffle: 3 } },
        overrides: { log: { level: 'error' } },
      });
      at.polaris.intercept(() => (random() < 0.3 ? { delayMs: upTo(30) } : 'pass'));
      at.stub.intercept(async () => {
        if (random() < 0.3) await systemClock.sleep(upTo(20));
        return 'pass' as const;
      });
      const functions = [-15, 0, 15].map((ms) => at.function({ clock: ahead(ms), random }));
      const responses: Promise<unknown>[] = [];
      let taken = 0;
      const take = () => {
        const { handler } = functions[responses.length % functions.length]!;
        responses.push(handler(batch(at.events.slice(taken)), invocation()));
        taken = at.events.length;
      };
      const names = ['a', 'b', 'c', 'd'];
      for (let change = 0; change < 24; change++) {
        const name = names[upTo(names.length)]!;
        if (!at.stub.truth().has(`sales.${name}`)) at.writer.create('sales', name);
        else if (random() < 0.3) at.writer.drop('sales', name);
        else at.writer.commit('sales', name);
        if (random() < 0.7) take();
        await systemClock.sleep(upTo(6));
      }
      await at.stub.events.flush();
      take();
      expect((await Promise.all(responses)).flatMap(failedIds)).toEqual([]);
      expect(at.served()).toEqual(at.truth());
    },
  );
});

describe('The configuration of a function', () => {
  test('may be a file, and its secrets come from the environment and never into the log', async () => {
    await using at = await openLambdaWorld();
    const folder = mkdtempSync(join(tmpdir(), 'polaris-push-lambda-'));
    try {
      const text = `source: { kind: glue, region: eu-west-1, glue_endpoint: "${at.stub.endpoint}", confirm_after: [] }
targets: [{ name: main, uri: "${at.polaris.uri}/api/catalog", catalog: glue_mirror, auth: { client_id: root, client_secret: "\${SECRET}" } }]`;
      writeFileSync(join(folder, 'polaris-push.yaml'), text);
      const { handler } = at.function({
        env: { POLARIS_PUSH_CONFIG: join(folder, 'polaris-push.yaml'), SECRET: 's3cr3t' },
      });
      at.writer.create('sales', 'a');
      await handler(batch(at.events), invocation());
      expect(at.served()).toEqual(at.truth());
      expect(JSON.stringify(at.lines)).not.toContain('s3cr3t');
      await using inTaskRoot = lambdaHandlers({
        env: { LAMBDA_TASK_ROOT: folder, SECRET: 's3cr3t' },
        clock: systemClock,
        random: systemRandom,
        stream: { write: () => {} },
      });
      expect(await inTaskRoot.handler(batch(at.events), invocation())).toEqual({ batchItemFailures: [] });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.for([
    [{ POLARIS_PUSH_CONFIG: '/nowhere/polaris-push.yaml' }, 'CONFIG_UNREADABLE', 'it does not exist'],
    [{ POLARIS_PUSH_CONFIG: 'source: { kind: hive }\n' }, 'CONFIG_INVALID', 'no connector has this name'],
    [{ POLARIS_PUSH_UNLISTED: 'maybe' }, 'CONFIG_INVALID', 'neither drop nor report'],
    [{ POLARIS_CLIENT_SECRET: '' }, 'CONFIG_INVALID', 'client_secret'],
  ] as const)('%j ends every invocation with %s', async ([env, code, message]) => {
    await using at = await openLambdaWorld();
    const { handler } = at.function({ env });
    for (let i = 0; i < 2; i++)
      await expect(handler(batch([]), invocation())).rejects.toMatchObject({
        code,
        message: expect.stringContaining(message) as string,
      });
  });

  test('that needs a memory is refused', async () => {
    await using at = await openLambdaWorld({ overrides: { recreate: 'replace' } });
    await expect(at.function().handler(batch([]), invocation())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('that forwards events is refused: they would need a ledger', async () => {
    const forward = [{ kind: 'webhook', url: 'https://example.com/events', secret: 'a-secret-of-sixteen-or-more' }];
    await using at = await openLambdaWorld({ overrides: { forward } });
    await expect(at.function().handler(batch([]), invocation())).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      detail: expect.stringContaining('forward needs the ledger') as string,
    });
  });

  test('may change the case of names', async () => {
    await using at = await openLambdaWorld({ overrides: { tables: { namespace: { case: 'upper', prefix: 'lake' } } } });
    at.writer.create('sales', 'a');
    await at.function().handler(batch(at.events.splice(0)), invocation());
    expect(Object.keys(at.served())).toEqual(['lake.SALES.a']);
    at.writer.drop('sales', 'a');
    await at.function().handler(batch(at.events), invocation());
    expect(at.served()).toEqual({});
  });
});

test.for([[{ hello: 'world' }], [null], [{ Records: [{ Sns: {} }] }]])(
  'An invocation with %j is an error that says what it takes',
  async ([event]) => {
    await using at = await openLambdaWorld();
    await expect(at.function().handler(event, invocation())).rejects.toMatchObject({ code: 'LAMBDA_EVENT_UNKNOWN' });
  },
);
