import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { openWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

type Notified = PipelineEvent & { kind: 'notified' };
const isNotified =
  (type: string) =>
  (event: PipelineEvent): event is Notified =>
    event.kind === 'notified' && event.notification.type === type && event.outcome.kind === 'admitted';

test('a table committed in the metastore shows up in Polaris, and follows what becomes of it', async () => {
  const { writer } = world;
  await writer.createNamespace('sales');
  await writer.createTable('sales.before');
  await using agent = await world.startAgent();
  await agent.caughtUp();
  await world.equal();

  await writer.createTable('sales.orders');
  await world.equal();
  const created = await agent.until(isNotified('CREATE'));
  expect(created.tookMs).toBeGreaterThan(0);

  await writer.commit('sales.orders');
  await world.equal();
  const updated = await agent.until(isNotified('UPDATE'));
  expect(updated.commitToVisibleMs).toBeGreaterThanOrEqual(0);

  await writer.renameTable('sales.orders', 'sales.archive');
  await world.equal();
  await writer.dropTable('sales.archive');
  await world.equal();
  await agent.stop();
});

test('what happened while no agent ran is made good by the start, in both directions', async () => {
  const { writer } = world;
  await writer.createTable('sales.gone');
  {
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await world.equal();
  }
  await writer.dropTable('sales.gone');
  await writer.createTable('sales.come');
  await writer.commit('sales.before');
  await using agent = await world.startAgent();
  await agent.caughtUp();
  await world.equal();
  expect(agent.events.filter(isNotified('DROP'))).toHaveLength(1);
});
