import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { COMMAND_LINE } from '../../examples/quickstart/child.ts';
import { createTables } from '../../examples/quickstart/workload.ts';
import type { Fault } from '../../src/polaris/emulator/options.ts';
import type { Line } from './agent.ts';
import { FaultProxy } from './fault-proxy.ts';
import { following } from './following.ts';
import { Hand } from './hand.ts';
import { recovered } from './recovery.ts';
import { eventually, World } from './world.ts';

const YEAR_MS = 365 * 86_400_000;

/** What an operator does after the repair. */
async function retry(world: World): Promise<void> {
  await promisify(execFile)(process.execPath, [COMMAND_LINE, 'retry', '--config', world.configure()]);
}

test('two agents on one target by mistake lose nothing, do not fight, and each other is noticed', async ({
  annotate,
}) => {
  await using world = await World.open({ seed: 9, senders: 'several' });
  const writer = world.writers.locking;
  await createTables(writer, world.operations);
  // The second one's way is longer, so that its notifications arrive after newer ones of the first.
  await using detour = await FaultProxy.start(Number(new URL(world.emulator.uri).port));
  detour.shape({ latencyMs: 30 });
  await using first = world.agent();
  await using second = world.agent({ name: 'second', polarisPort: detour.port });
  const agents = [first, second];
  await Promise.all(agents.map((agent) => agent.logged('stream-started')));

  const noticed = () => agents.some(({ log }) => log.some(({ event }) => event === 'foreign-sender'));
  await eventually('one has noticed the other', async () => {
    await writer.commit('sales.orders');
    return noticed();
  });
  const work = await world.work({ engines: 3, pauseMs: 5 });
  const until = world.operations.total + 150;
  await eventually('some work is done', () => world.operations.total >= until);
  await work.stop();
  await annotate(`equal ${await recovered(world, agents)} ms after the last commit`);

  // When nothing happens in the source, nobody says anything; and a commit is said a few times at most.
  await Promise.all(agents.map((agent) => agent.stop()));
  await using third = world.agent();
  await using fourth = world.agent({ name: 'second', polarisPort: detour.port });
  await Promise.all([third, fourth].map((agent) => agent.logged('stream-started')));
  await Promise.all([third, fourth].map((agent) => agent.caughtUp()));
  await world.equal([third, fourth]);
  const before = world.witness.notifications.length;
  await writer.createTable('sales.last');
  await Promise.all([third, fourth].map((agent) => agent.told('notification', ({ table }) => table === 'sales.last')));
  await world.equal([third, fourth]);
  await Promise.all([third, fourth].map((agent) => agent.stop()));
  const since = world.witness.notifications.slice(before);
  expect(since.every(({ table }) => table === 'sales.last')).toBe(true);
  expect(since.length).toBeLessThan(12);
  expect(world.witness.violations).toEqual([]);
}, 150_000);

const isLostRace = ({ outcome }: Line) => outcome === 'lost-race';

/** Lets the first CREATE of each table wait at Polaris's door for the second one, so that they meet; not for ever. */
function meetAtTheDoor({ emulator }: World): void {
  const doors = new Map<string, () => void>();
  emulator.intercept(async ({ type, table }): Promise<Fault> => {
    if (type !== 'CREATE' || table === undefined) return 'pass';
    const open = doors.get(table.name);
    if (open === undefined) await Promise.race([new Promise<void>((met) => doors.set(table.name, met)), sleep(1_000)]);
    else open();
    return 'pass';
  });
}

test('two agents that create the same tables at the same time lose races, and are at peace with that', async ({
  annotate,
}) => {
  // Between the look and the commit lies a pause, in which the other one creates the same table.
  await using world = await World.open({ seed: 10, senders: 'several', emulator: { latencyMs: { notification: 30 } } });
  const writer = world.writers.lockFree;
  await writer.createNamespace('sales');
  await using first = world.agent();
  await using second = world.agent({ name: 'second' });
  const agents = [first, second];
  await Promise.all(agents.map((agent) => agent.logged('stream-started')));
  meetAtTheDoor(world);
  await Promise.all(Array.from({ length: 20 }, (_, i) => writer.createTable(`sales.t${i}`)));
  await Promise.race(agents.map((agent) => agent.told('notification', isLostRace)));
  await annotate(`equal ${await recovered(world, agents)} ms after the first race was lost`);
  await Promise.all(agents.map((agent) => agent.stop()));
  expect(agents.flatMap(({ events }) => events.filter(({ event }) => event === 'parked'))).toEqual([]);
  expect(world.served().size).toBe(20);
});

test('a notification sent by hand, with a newer timestamp and another location, is noticed and overcome', async ({
  annotate,
}) => {
  await using parts = await following({ senders: 'several' });
  const { world, agent, writer } = parts;
  const hand = await Hand.of(world);
  const location = hand.foreignMetadata('orders');
  const timestamp = Date.now() + 30_000;
  expect(await hand.notify({ table: 'sales.orders', type: 'UPDATE', timestamp, location })).toBe(204);
  expect(world.served().get('sales.orders')).toBe(location);
  await writer.commit('sales.orders');
  await annotate(`equal ${await recovered(world, agent)} ms after the next commit`);
  expect(await agent.logged('foreign-sender')).toMatchObject({ level: 'warn', table: 'sales.orders', served: 'other' });
});

test('a DROP sent by hand is made good by the next commit of the table', async ({ annotate }) => {
  await using parts = await following({ senders: 'several' });
  const { world, agent, writer } = parts;
  const hand = await Hand.of(world);
  expect(await hand.notify({ table: 'sales.orders', type: 'DROP', timestamp: Date.now() })).toBe(204);
  expect(world.served().has('sales.orders')).toBe(false);
  await writer.commit('sales.orders');
  await annotate(`equal ${await recovered(world, agent)} ms after the next commit`);
});

test('a timestamp of a clock that is years ahead parks its table alone, and dropping that in Polaris is the way back', async ({
  annotate,
}) => {
  await using parts = await following({ senders: 'several' });
  const { world, agent, writer } = parts;
  const hand = await Hand.of(world);
  const timestamp = Date.now() + 5 * YEAR_MS;
  const location = hand.foreignMetadata('orders');
  await hand.notify({ table: 'sales.orders', type: 'UPDATE', timestamp, location });
  await writer.commit('sales.orders');
  expect(await agent.told('parked')).toMatchObject({
    table: 'sales.orders',
    code: 'TIMESTAMP_AHEAD',
    fix: expect.stringContaining('Dropping the table in Polaris clears its timestamp') as string,
  });
  await agent.logged('foreign-sender');
  await writer.createTable('sales.items');
  await eventually('others are delivered', () => world.served().has('sales.items'));
  expect(world.served().get('sales.orders')).toBe(location);
  await hand.dropTable('sales.orders');
  const since = performance.now();
  await retry(world);
  await annotate(`equal ${await recovered(world, agent, since)} ms after \`retry\` was started`);
});

/** Something else takes the name of a table that comes later. */
async function nameTaken(take: (hand: Hand) => Promise<void>, release: (hand: Hand) => Promise<void>): Promise<number> {
  await using parts = await following();
  const { world, agent, writer } = parts;
  const hand = await Hand.of(world);
  await take(hand);
  await writer.createTable('sales.taken');
  expect(await agent.told('parked')).toMatchObject({ table: 'sales.taken', code: 'NAME_TAKEN' });
  await writer.createTable('sales.items');
  await eventually('others are delivered', () => world.served().has('sales.items'));
  await release(hand);
  const since = performance.now();
  await retry(world);
  const ms = await recovered(world, agent, since);
  expect(world.witness.violations).toEqual([]);
  return ms;
}

test('a view that holds the name parks its table alone, until it is gone and the table tried again', async ({
  annotate,
}) => {
  const ms = await nameTaken(
    (hand) => hand.registerView('sales.taken'),
    (hand) => hand.dropView('sales.taken'),
  );
  await annotate(`equal ${ms} ms after \`retry\` was started`);
  expect(ms).toBeGreaterThan(0);
});

test('a generic table that holds the name parks its table alone, until it is gone and the table tried again', async ({
  annotate,
}) => {
  const ms = await nameTaken(
    (hand) => hand.createGenericTable('sales.taken'),
    (hand) => hand.dropGenericTable('sales.taken'),
  );
  await annotate(`equal ${ms} ms after \`retry\` was started`);
  expect(ms).toBeGreaterThan(0);
});
