import { expect, test } from 'vitest';
import type { RestConnector } from '../../../connectors/iceberg-rest/connector.ts';
import { eventually } from '../../pipeline/world.ts';
import { Watching } from './hook-world.ts';
import { listAll, never, PolarisWorld, table } from './world.ts';

const orders = table('sales', 'orders');

async function watching(
  world: PolarisWorld,
  poll: Readonly<Record<string, unknown>> = {},
): Promise<[RestConnector, Watching]> {
  const connector = await world.connector({
    poll: { list: '100ms', requests_per_second: 1_000, max_age: '1s', ...poll },
  });
  await listAll(connector);
  return [connector, new Watching(connector)];
}

test('hints at commits, creations and drops, by conditional loads and by the names', async () => {
  await using world = await PolarisWorld.start();
  await world.create(orders);
  const [connector, watch] = await watching(world);
  await using _ = watch;
  await world.commit(orders);
  await watch.until('upserted sales.orders');
  await world.create(table('a', 'b.c', 'd'));
  await watch.until('upserted a."b.c".d');
  await world.drop(orders);
  await watch.until('dropped sales.orders');
  expect((await connector.resolve([orders], never)).map(({ kind }) => kind)).toEqual(['absent']);
});

test('asks with the etag that it has, and gets no body where nothing has changed', async () => {
  await using world = await PolarisWorld.start();
  await world.create(orders);
  const [connector, watch] = await watching(world);
  await using _ = watch;
  const next = watch.next();
  await eventually(async () => (connector.figures().unchanged >= 2 ? undefined : 'not yet'));
  const before = connector.figures();
  await world.commit(orders);
  await (await next).ack();
  const [state] = await connector.resolve([orders], never);
  expect(state).toMatchObject({
    kind: 'present',
    metadataLocation: world.emulator.tables('lake').get('["sales","orders"]' as never)?.metadataLocation,
  });
  // The poll brought what the read then has confirmed.
  expect(connector.figures().unchanged).toBeGreaterThan(before.unchanged);
});

test('hints once at what somebody who follows has read, as others who follow have not', async () => {
  await using world = await PolarisWorld.start();
  await world.create(orders);
  const [connector, watch] = await watching(world);
  await using _ = watch;
  await world.commit(orders);
  await connector.resolve([orders], never);
  await watch.until('upserted sales.orders');
  const next = watch.next();
  const { unchanged } = connector.figures();
  await eventually(async () => (connector.figures().unchanged > unchanged + 2 ? undefined : 'not polled yet'));
  await world.create(table('sales', 'other'));
  await (await next).ack();
  const hints = await watch.until('upserted sales.other');
  expect(hints.filter((hint) => hint.endsWith('orders'))).toHaveLength(1);
});

test('hints at a drop that somebody who follows has read before any poll did', async () => {
  await using world = await PolarisWorld.start();
  await world.create(orders);
  const [connector, watch] = await watching(world, { list: '1h' });
  await using _ = watch;
  await world.drop(orders);
  expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'absent' }]);
  await watch.until('dropped sales.orders');
});

test('hands over again, to the next watch, what was not acknowledged', async () => {
  await using world = await PolarisWorld.start();
  await world.create(orders);
  const [connector, watch] = await watching(world);
  await world.commit(orders);
  await watch.next();
  await watch[Symbol.asyncDispose]();
  await using again = new Watching(connector);
  expect(await again.until('upserted sales.orders')).toEqual(['upserted sales.orders']);
});

test('keeps within its budget of requests', async () => {
  await using world = await PolarisWorld.start();
  for (let i = 0; i < 30; i++) await world.create(table('sales', `t${i}`));
  const [connector, watch] = await watching(world, { list: '1s', requests_per_second: 20, max_age: '1s' });
  await using _ = watch;
  const all = () => Object.values(connector.figures().requests).reduce((sum, count) => sum + count, 0);
  void watch.next().catch(() => {});
  const [before, since] = [all(), performance.now()];
  await eventually(async () => (all() > before + 60 ? undefined : 'not yet'));
  // A second's worth may have been left over.
  expect((all() - before - 20) / ((performance.now() - since) / 1000)).toBeLessThan(21);
});

test('goes on after an outage, and tells of it', async () => {
  await using world = await PolarisWorld.start();
  await world.create(orders);
  const poll = { list: '100ms', requests_per_second: 1_000, max_age: '1s' };
  const timeouts = { connect: '500ms', headers: '500ms', body: '500ms', total: '500ms' };
  const connector = await world.connector({ poll, timeouts });
  await listAll(connector);
  await using watch = new Watching(connector);
  const next = watch.next();
  await world.emulator.pause();
  const told = () => world.log.lines.some(({ event }) => event === 'polls-paused' || event === 'names-not-listed');
  await eventually(async () => (told() ? undefined : 'no word of it'), 30_000);
  await world.emulator.resume();
  await world.commit(orders);
  await (await next).ack();
  expect(await watch.until('upserted sales.orders')).not.toContain('dropped sales.orders');
});

test('throws when it may not read any more, so that the watch is begun anew', async () => {
  await using world = await PolarisWorld.start();
  await world.create(orders);
  const [, watch] = await watching(world);
  await using _ = watch;
  world.emulator.intercept(({ kind }) =>
    kind === 'token'
      ? 'pass'
      : { status: 401, body: { error: { message: 'No', type: 'NotAuthorizedException', code: 401 } } },
  );
  await expect(watch.next()).rejects.toMatchObject({ code: 'REST_UNAUTHORIZED' });
});
