import { expect, test } from 'vitest';
import { freePort } from '../../examples/quickstart/postgres.ts';
import { openLedgerReader } from '../../src/ledger/reader.ts';
import { following } from './following.ts';
import { summary, takeovers } from './takeover.ts';
import { eventually, World } from './world.ts';

/** Of what a standby promises; on a machine that does much else at the same time, a single round may take longer. */
const GAP_MS = 1_000;

const STANDBY = { options: ['--standby'] };

test('a standby takes over from an agent that `kill -9` ends, within a second and with nothing lost or sent out of order', async ({
  annotate,
}) => {
  await using world = await World.open({ seed: 20_260_101 });
  const rounds = await takeovers(world, { rounds: 20, end: 'kill' });
  const first = summary(rounds.map(({ firstMs }) => firstMs));
  const gap = summary(rounds.map(({ gapMs }) => gapMs));
  await annotate(`kill -9 to the standby's first notification: p50 ${first.p50} ms, max ${first.max} ms`);
  await annotate(`between two notifications: p50 ${gap.p50} ms, max ${gap.max} ms; ${rounds.length} rounds`);
  expect(rounds).toHaveLength(20);
  expect(first.p50).toBeLessThan(GAP_MS);
  expect(world.witness.violations).toEqual([]);
}, 180_000);

test('an agent that is stopped for an upgrade hands over to its standby within a second', async ({ annotate }) => {
  await using world = await World.open({ seed: 20_260_102 });
  // Both have the same configuration, and so the same port; who works has it.
  const http = { listen: `127.0.0.1:${await freePort()}` };
  const rounds = await takeovers(world, { rounds: 6, end: 'stop', life: { config: { http } } });
  const gap = summary(rounds.map(({ gapMs }) => gapMs));
  await annotate(`between two notifications: p50 ${gap.p50} ms, max ${gap.max} ms; ${rounds.length} rounds`);
  expect(gap.p50).toBeLessThan(GAP_MS);
  expect(world.witness.violations).toEqual([]);
}, 120_000);

test('a standby waits for the slot, too, when the active one has vanished with its host', async ({ annotate }) => {
  await using parts = await following({ settings: { wal_sender_timeout: '2s' } });
  const { world, agent, writer } = parts;
  await using standby = world.agent(STANDBY);
  await standby.told('standby');
  // The server isn't told that the other end of the connection is gone.
  world.toSource.freeze();
  await agent.kill();
  const killedAt = performance.now();
  await standby.told('took-over');
  await writer.commit('sales.orders');
  await world.equal(standby);
  await annotate(`equal ${Math.round(performance.now() - killedAt)} ms after the end, with wal_sender_timeout at 2 s`);
  await writer.commit('sales.orders');
  await world.equal(standby);
  expect(world.witness.violations).toEqual([]);
});

test('a notification under way when the drain is over stays in the ledger as an intent, and the standby settles it', async () => {
  await using parts = await following({}, { config: { shutdown: { drain: '300ms' } } });
  const { world, agent, writer } = parts;
  await using standby = world.agent({ ...STANDBY, config: { shutdown: { drain: '300ms' } } });
  await standby.told('standby');
  const held = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const stop = world.emulator.intercept(async ({ kind, type }) => {
    if (kind === 'notification' && type === 'UPDATE') {
      held.resolve();
      await release.promise;
    }
    return 'pass' as const;
  });
  await writer.commit('sales.orders');
  await held.promise;
  // The standby's own notifications pass.
  stop();
  using ledger = openLedgerReader(`${world.folder}/polaris_push/ledger.db`);
  const stoppedAt = performance.now();
  expect(await agent.stop()).toBe(0);
  expect(performance.now() - stoppedAt).toBeLessThan(5_000);
  const [unfinished] = [...ledger.unfinished('main')];
  const firstIntent = unfinished?.open?.timestamp ?? 0;
  expect(firstIntent).toBeGreaterThan(0);
  await world.equal(standby);
  // What had been under way arrives after all, and changes nothing: the later notification had a greater timestamp.
  release.resolve();
  await eventually('the old notification is answered', () =>
    world.witness.notifications.some(({ timestamp, status }) => Number(timestamp) === firstIntent && status !== 204),
  );
  await writer.commit('sales.orders');
  await world.equal(standby);
});

test('a standby that is stopped while it waits ends with 0 and leaves the active one alone', async () => {
  await using parts = await following();
  const { world, agent, writer } = parts;
  const standby = world.agent(STANDBY);
  await standby.told('standby', ({ active }) => (active as { pid?: unknown }).pid === agent.process.pid);
  expect(await standby.stop()).toBe(0);
  await writer.commit('sales.orders');
  await world.equal(agent);
  expect(world.witness.violations).toEqual([]);
});

test('without --standby a second agent on the same ledger is refused and told who owns it', async () => {
  await using parts = await following();
  const { world, agent } = parts;
  const second = world.agent();
  expect(await second.ended()).toBe(2);
  // The lines are as wide as a terminal.
  expect(second.tail().replaceAll(/\s+/g, ' ')).toContain(`is owned by process ${agent.process.pid}`);
});
