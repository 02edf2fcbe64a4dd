import { describe, expect, test } from 'vitest';
import type { TableIdentifier } from '../../../src/core/types.ts';
import { PushError } from '../../../src/errors/errors.ts';
import { GlueError } from '../../fixtures/glue-catalog.ts';
import { encryptionRefused, federationFailed, grantMissing, throttling } from '../../fixtures/glue-stub.ts';
import { ManualClock } from '../../runtime/manual-clock.ts';
import { eventually } from '../../pipeline/world.ts';
import { openGlueWorld, Watch, type GlueWorld } from './world.ts';

const never = new AbortController().signal;
const table = (name: string, database = 'sales'): TableIdentifier => ({ namespace: [database], name });

async function openSales(options: Parameters<typeof openGlueWorld>[0] = {}): Promise<GlueWorld> {
  const world = await openGlueWorld(options);
  world.writer.createDatabase('sales');
  return world;
}

const listAll = async (world: GlueWorld, connector: Awaited<ReturnType<GlueWorld['connector']>>) => {
  const states = [];
  for await (const page of connector.list(never)) states.push(...page);
  expect(world.stub.count('GetDatabases')).toBeGreaterThan(0);
  return states;
};

describe('Absence', () => {
  test.each(['named', 'bare'] as const)(
    'is Glue’s word on the table, vouched for by its database (%s)',
    async (notFound) => {
      await using world = await openSales({ stub: { notFound } });
      const connector = await world.connector();
      expect(await connector.resolve([table('gone'), table('too')], never)).toMatchObject([
        { kind: 'absent' },
        { kind: 'absent' },
      ]);
      expect(world.stub.count('GetDatabase')).toBe(1);
    },
  );

  test.each(['named', 'bare'] as const)('of a table whose database is gone, too (%s)', async (notFound) => {
    await using world = await openSales({ stub: { notFound } });
    const connector = await world.connector();
    expect(await connector.resolve([table('orders', 'nowhere')], never)).toMatchObject([{ kind: 'absent' }]);
  });

  test('is never concluded from a catalog that doesn’t exist', async () => {
    await using world = await openSales({ stub: { notFound: 'bare' } });
    const connector = await world.connector({ catalog_id: '999999999999', accounts: ['123456789012'] });
    await expect(connector.resolve([table('orders')], never)).rejects.toMatchObject({ code: 'GLUE_CATALOG_UNKNOWN' });
  });

  test('is never concluded where the database may not be read', async () => {
    await using world = await openSales();
    world.stub.deny('GetDatabase');
    const connector = await world.connector();
    await expect(connector.resolve([table('gone')], never)).rejects.toMatchObject({
      code: 'GLUE_ACCESS_DENIED',
      fix: expect.stringContaining('"glue:GetDatabase"') as string,
    });
  });

  test.each<[string, GlueError, string]>([
    ['a denial', grantMissing('orders'), 'GLUE_ACCESS_DENIED'],
    ['throttling', throttling(), 'GLUE_THROTTLED'],
    ['encryption', encryptionRefused(), 'GLUE_ENCRYPTION'],
    ['a federated source for good', federationFailed(false), 'GLUE_FEDERATION'],
    ['a federated source for now', federationFailed(true), 'GLUE_FEDERATION'],
    [
      'a federated source that finds nothing',
      new GlueError('EntityNotFoundException', 'gone', { more: { FromFederationSource: true } }),
      'GLUE_FEDERATION',
    ],
    ['an error of the service', new GlueError('InternalServiceException', 'oops', { status: 500 }), 'GLUE_UNREACHABLE'],
    ['an input that Glue refuses', new GlueError('InvalidInputException', 'odd name'), 'GLUE_FAILED'],
  ])('is never concluded from %s', async (_name, error, code) => {
    await using world = await openSales();
    world.writer.create('sales', 'orders');
    world.stub.fail('GetTable', error);
    const connector = await world.connector();
    const thrown: unknown = await connector.resolve([table('orders')], never).catch((reason: unknown) => reason);
    expect(thrown).toBeInstanceOf(PushError);
    expect(thrown).toMatchObject({ code });
  });

  test('is never concluded from a connection that breaks', async () => {
    await using world = await openSales();
    world.stub.intercept(({ operation }) => (operation === 'GetTable' ? 'reset' : 'pass'));
    const connector = await world.connector();
    await expect(connector.resolve([table('orders')], never)).rejects.toMatchObject({ code: 'GLUE_UNREACHABLE' });
  });
});

test('one table that may not be read keeps no other from being read, and says so', async () => {
  await using world = await openSales();
  for (const name of ['a', 'b']) world.writer.create('sales', name);
  world.stub.intercept(({ operation, input }) =>
    operation === 'GetTable' && input['Name'] === 'a' ? grantMissing('a') : 'pass',
  );
  const connector = await world.connector();
  const [a, b] = await connector.resolve([table('a'), table('b')], never);
  expect(a).toMatchObject({
    kind: 'unsupported',
    reason: expect.stringMatching(/GLUE_ACCESS_DENIED.*Lake Formation/) as string,
  });
  // Without an incarnation it can never be taken for another table, so nothing is dropped by it.
  expect(a).not.toHaveProperty('incarnation');
  expect(b).toMatchObject({ kind: 'present' });
});

test('a burst on one database is read by pages, and names that no page has are asked for', async () => {
  await using world = await openSales();
  for (let i = 0; i < 150; i++) world.writer.create('sales', `t${i}`);
  const connector = await world.connector();
  await listAll(world, connector);
  world.stub.requests.clear();
  const asked = [...Array.from({ length: 60 }, (_, i) => table(`t${i}`)), table('gone')];
  const states = await connector.resolve(asked, never);
  expect(states.map(({ table: { name } }) => name)).toEqual(asked.map(({ name }) => name));
  expect(states.filter(({ kind }) => kind === 'present')).toHaveLength(60);
  expect(states.at(-1)?.kind).toBe('absent');
  expect(Object.fromEntries(world.stub.requests)).toEqual({ GetTables: 2, GetTable: 1 });
});

test('a few tables of a large database are asked for one by one', async () => {
  await using world = await openSales({ stub: { pageSize: 2 } });
  for (let i = 0; i < 30; i++) world.writer.create('sales', `t${i}`);
  const connector = await world.connector();
  await listAll(world, connector);
  world.stub.requests.clear();
  await connector.resolve([table('t1'), table('t2')], never);
  expect(Object.fromEntries(world.stub.requests)).toEqual({ GetTable: 2 });
});

test('no more calls are made at the same time, nor in a second, than configured', async () => {
  await using world = await openSales();
  for (let i = 0; i < 30; i++) world.writer.create('sales', `t${i}`);
  let inside = 0;
  let most = 0;
  world.stub.intercept(async () => {
    most = Math.max(most, (inside += 1));
    await new Promise((resolve) => setTimeout(resolve, 5));
    inside -= 1;
    return 'pass' as const;
  });
  const connector = await world.connector({
    burst: 1000,
    concurrency: { events: 3 },
    calls_per_second: { events: 20 },
  });
  const before = performance.now();
  await connector.resolve(
    Array.from({ length: 30 }, (_, i) => table(`t${i}`)),
    never,
  );
  expect(most).toBe(3);
  // 30 tables and their database; 20 at once, 11 more at 20 a second.
  expect(performance.now() - before).toBeGreaterThan(500);
});

test('an abort ends the wait for the call budget', async () => {
  await using world = await openSales();
  const connector = await world.connector({ calls_per_second: { events: 1 }, burst: 1000 });
  const stop = new AbortController();
  const reading = connector.resolve(
    Array.from({ length: 60 }, (_, i) => table(`t${i}`)),
    stop.signal,
  );
  await eventually(async () => (world.stub.count('GetTable') > 0 ? undefined : 'nothing read yet'));
  const before = performance.now();
  stop.abort(new Error('stopped by the test'));
  await expect(reading).rejects.toThrow('stopped by the test');
  expect(performance.now() - before).toBeLessThan(1_000);
});

test('throttling is waited out, and counted', async () => {
  await using world = await openSales();
  world.writer.create('sales', 'orders');
  world.stub.fail('GetTable', throttling(), 2);
  const connector = await world.connector({ max_attempts: 5 });
  expect(await connector.resolve([table('orders')], never)).toMatchObject([{ kind: 'present' }]);
  expect(connector.figures()).toMatchObject({ throttled: 2, calls: { GetTable: 3 } });
});

test('a name in another case than Glue’s is no table of its own', async () => {
  await using world = await openSales();
  world.writer.create('sales', 'orders');
  const connector = await world.connector();
  expect(await connector.resolve([table('Orders'), table('orders')], never)).toMatchObject([
    { kind: 'unsupported', reason: expect.stringContaining('Glue names this table orders') as string },
    { kind: 'present' },
  ]);
});

test('odd names are asked for as they are', async () => {
  await using world = await openSales();
  const names = ['größe', 'a b', 'a"b', 'a/b', 'ä\u{1F600}'];
  for (const name of names) world.writer.create('sales', name);
  const connector = await world.connector();
  const states = await connector.resolve(
    names.map((name) => table(name)),
    never,
  );
  expect(states.map(({ kind, table: { name } }) => [kind, name])).toEqual(names.map((name) => ['present', name]));
});

test('namespaces that Glue can’t have, and databases that are left out, are not asked for', async () => {
  await using world = await openSales();
  const connector = await world.connector({ databases: ['sales'] });
  world.stub.requests.clear();
  expect(
    await connector.resolve(
      [{ namespace: ['a', 'b'], name: 't' }, { namespace: [], name: 't' }, table('t', 'ops')],
      never,
    ),
  ).toMatchObject([
    { kind: 'unsupported', reason: 'Glue has no databases within databases' },
    { kind: 'unsupported', reason: 'Glue has no databases within databases' },
    { kind: 'unsupported', reason: 'its database is left out by source.databases' },
  ]);
  expect(world.stub.count()).toBe(0);
});

test('a table whose Iceberg markers were stripped is unsupported, warned of, and still the same table', async () => {
  await using world = await openSales();
  world.writer.create('sales', 'orders');
  const connector = await world.connector();
  const [before] = await connector.resolve([table('orders')], never);
  world.writer.strip('sales', 'orders');
  const [after] = await connector.resolve([table('orders')], never);
  expect(after?.kind).toBe('unsupported');
  expect(after).toMatchObject({ incarnation: before?.kind === 'present' ? before.incarnation : '' });
  await connector.resolve([table('orders')], never);
  expect(world.events.filter(({ event }) => event === 'iceberg-markers-gone')).toHaveLength(1);
});

test('tables of a resource link say so, also before the first list', async () => {
  await using world = await openSales();
  world.writer.create('sales', 'orders');
  const TargetDatabase = { CatalogId: '123456789012', DatabaseName: 'sales' };
  world.stub.call('CreateDatabase', { DatabaseInput: { Name: 'link', TargetDatabase } });
  const connector = await world.connector();
  expect(await connector.resolve([table('orders', 'link')], never)).toMatchObject([
    { kind: 'unsupported', reason: expect.stringContaining('resource link to database sales') as string },
  ]);
  expect(await listAll(world, connector)).toMatchObject([
    { kind: 'unsupported', table: table('orders', 'link') },
    { kind: 'present', table: table('orders') },
  ]);
});

describe('Reads that lag behind events', () => {
  test('a living table that reads as missing right after a commit is read again, and never absent', async () => {
    await using world = await openSales();
    world.writer.create('sales', 'orders');
    await world.stub.events.flush();
    const connector = await world.connector({ confirm_after: ['50ms', '100ms', '10s'] });
    await listAll(world, connector);
    await using watch = new Watch(connector);
    await watch.untilTables(1);
    world.writer.commit('sales', 'orders');
    world.stub.clockSkewMs += 1_000;
    world.writer.drop('sales', 'orders');
    world.writer.create('sales', 'orders');
    for (let hints = watch.changes.length; watch.changes.length === hints;) await (await watch.take()).ack();
    // Two reads show the moment between the drop and the creation.
    const stop = world.stub.fail('GetTable', new GlueError('EntityNotFoundException', 'Table orders not found.'), 2);
    const [state] = await connector.resolve([table('orders')], never);
    stop();
    expect(state?.kind).toBe('present');
    expect(connector.figures().reread).toBeGreaterThanOrEqual(2);
  });

  test('a commit that a read doesn’t show yet comes to light by itself', async () => {
    await using world = await openSales();
    world.writer.create('sales', 'orders');
    const createdMs = performance.now();
    await world.stub.events.flush();
    const connector = await world.connector({ confirm_after: ['50ms', '150ms', '500ms'] });
    await listAll(world, connector);
    await using watch = new Watch(connector);
    await watch.untilTables(1);
    const [before] = await connector.resolve([table('orders')], never);
    expect(before?.kind).toBe('present');
    const beforeMs = performance.now();
    const pointer = world.writer.commit('sales', 'orders');
    await (await watch.take()).ack();
    const stop = world.stub.intercept(() => {
      // Halfway between the table's creation and the commit, as the read itself comes a moment later.
      world.stub.readLagMs = performance.now() - (createdMs + beforeMs) / 2;
      return 'pass';
    });
    const [stale] = await connector.resolve([table('orders')], never);
    expect(stale).toMatchObject({ metadataLocation: before?.kind === 'present' ? before.metadataLocation : '' });
    stop();
    world.stub.readLagMs = 0;
    // No further event comes; what does is the connector's own doing.
    for (;;) {
      await (await watch.take()).ack();
      const [now] = await connector.resolve([table('orders')], never);
      if (now?.kind === 'present' && now.metadataLocation === pointer) break;
    }
    expect(connector.figures().reread).toBeGreaterThanOrEqual(1);
  });

  test('an abort ends the wait for another read', async () => {
    await using world = await openSales();
    world.writer.create('sales', 'orders');
    await world.stub.events.flush();
    const connector = await world.connector({ confirm_after: ['1h'] });
    await listAll(world, connector);
    await using watch = new Watch(connector);
    await watch.untilTables(1);
    world.writer.commit('sales', 'orders');
    await (await watch.take()).ack();
    world.stub.fail('GetTable', new GlueError('EntityNotFoundException', 'Table orders not found.'));
    const stop = new AbortController();
    const reading = connector.resolve([table('orders')], stop.signal);
    await eventually(async () => (connector.figures().reread === 1 ? undefined : 'not doubted'));
    stop.abort(new Error('stopped by the test'));
    await expect(reading).rejects.toThrow('stopped by the test');
  });
});

test('a clock that differs from AWS’s is measured and warned of, and states keep our own time', async () => {
  await using world = await openSales({ stub: { clockSkewMs: 120_000 } });
  world.writer.create('sales', 'orders');
  const clock = new ManualClock(Date.now());
  const connector = await world.connector({}, clock);
  const [state] = await connector.resolve([table('orders')], never);
  expect(state?.asOf).toBe(clock.now());
  expect(Math.abs((connector.figures().clockSkewMs ?? 0) - 120_000)).toBeLessThan(2_000);
  expect(world.events.filter(({ event }) => event === 'clock-skewed')).toHaveLength(1);
});
