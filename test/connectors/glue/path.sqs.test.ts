import { expect, test } from 'vitest';
import type { PipelineEvent } from '../../../src/pipeline/events.ts';
import { eventually } from '../../pipeline/world.ts';
import { openMirrorWorld, type Agent, type MirrorWorld } from './agent.ts';

const equal = (world: MirrorWorld, withinMs?: number) =>
  eventually(async () => world.differences().join('\n') || undefined, withinMs);

const sent = (agent: Agent) =>
  agent.events.flatMap((event) =>
    event.kind === 'notified' && event.outcome.kind === 'admitted' && event.notification.type !== 'VALIDATE'
      ? [`${event.notification.type} ${event.notification.table.name}`]
      : [],
  );

test('tables of Glue show up in Polaris and follow every event', async () => {
  await using world = await openMirrorWorld();
  const { writer } = world;
  for (const database of ['sales', 'ops']) writer.createDatabase(database);
  writer.create('sales', 'before');
  writer.createHive('sales', 'hive');
  writer.createView('sales', 'view', { materialized: true });
  await using agent = await world.startAgent();
  await agent.caughtUp();
  await equal(world);

  writer.create('sales', 'orders');
  await equal(world);
  writer.commit('sales', 'orders');
  await equal(world);
  const setPointer = writer.createInTwoSteps('ops', 'governed');
  setPointer();
  await equal(world);
  writer.rename(['sales', 'orders'], ['ops', 'archive']);
  await equal(world);
  writer.renameInVain(['ops', 'archive'], ['ops', 'nowhere']);
  const back = writer.commit('ops', 'archive');
  writer.commit('ops', 'archive');
  writer.point('ops', 'archive', back);
  await equal(world);
  writer.drop('ops', 'archive');
  await equal(world);
  expect(agent.events.filter((event): event is PipelineEvent => event.kind === 'parked')).toEqual([]);
});

test('100 tables dropped at once, and a database deleted with all its tables, leave Polaris', async () => {
  await using world = await openMirrorWorld();
  const { writer } = world;
  for (const database of ['sales', 'ops']) writer.createDatabase(database);
  const names = Array.from({ length: 120 }, (_, i) => `t${i}`);
  for (const name of names) writer.create('sales', name);
  for (let i = 0; i < 50; i++) writer.create('ops', `run${i}`);
  await using agent = await world.startAgent({ sections: { drops: { budget: 'off' } } });
  await agent.caughtUp();
  await equal(world);
  expect(writer.dropMany('sales', names.slice(0, 100))).toEqual([]);
  writer.dropDatabase('ops');
  await equal(world);
  expect(sent(agent).filter((line) => line.startsWith('DROP'))).toHaveLength(150);
});

test('what an infrastructure tool strips stays in Polaris, and goes on when it is an Iceberg table again', async () => {
  await using world = await openMirrorWorld();
  const { writer } = world;
  writer.createDatabase('sales');
  const pointer = writer.create('sales', 'orders');
  await using agent = await world.startAgent();
  await agent.caughtUp();
  writer.strip('sales', 'orders');
  await eventually(async () =>
    agent.events.some((event) => event.kind === 'settled' && event.skipped?.startsWith('not an Iceberg table') === true)
      ? undefined
      : 'not noticed',
  );
  const [[, served] = []] = [...world.polaris.tables('glue_mirror')];
  expect(served?.metadataLocation).toBe(pointer);
  world.stub.call('UpdateTable', {
    DatabaseName: 'sales',
    TableInput: { Name: 'orders', Parameters: { table_type: 'ICEBERG', metadata_location: `${pointer}-2` } },
  });
  await equal(world);
  expect(sent(agent)).toEqual(['CREATE orders', 'UPDATE orders']);
});

test('what happened while no agent ran is made good by the start, though its events are gone', async () => {
  await using world = await openMirrorWorld();
  const { writer } = world;
  writer.createDatabase('sales');
  for (const name of ['gone', 'kept', 'committed']) writer.create('sales', name);
  {
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await equal(world);
  }
  world.stub.events.faults = { loss: 1 };
  writer.drop('sales', 'gone');
  writer.commit('sales', 'committed');
  writer.create('sales', 'come');
  await using agent = await world.startAgent();
  await agent.caughtUp();
  await equal(world);
  expect(sent(agent).toSorted()).toEqual(['CREATE come', 'DROP gone', 'UPDATE committed']);
});

test('while Polaris is away the queue is emptied all the same, one receive a message', async () => {
  await using world = await openMirrorWorld();
  const { writer } = world;
  writer.createDatabase('sales');
  for (let i = 0; i < 20; i++) writer.create('sales', `t${i}`);
  await using agent = await world.startAgent({ source: { visibility_timeout: '2s' } });
  await agent.caughtUp();
  await world.polaris.pause();
  for (let round = 0; round < 10; round++) for (let i = 0; i < 20; i++) writer.commit('sales', `t${i}`);
  await world.stub.events.flush();
  await eventually(async () => {
    const { visible, hidden } = world.counts();
    return visible + hidden === 0 ? undefined : `${visible} visible, ${hidden} hidden`;
  });
  const { received, deleted } = agent.connector.figures();
  expect(received).toBe(deleted);
  await world.polaris.resume();
  await equal(world, 20_000);
});
