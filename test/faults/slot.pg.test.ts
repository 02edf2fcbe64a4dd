import { expect, test } from 'vitest';
import type { Agent } from './agent.ts';
import { following } from './following.ts';
import { codeOf, recovered } from './recovery.ts';
import { eventually, type World } from './world.ts';

const SLOT = 'polaris_push';

/** Ends whoever streams from the slot and drops it, before anybody can stream again. */
async function dropSlot({ admin }: World): Promise<void> {
  await eventually('the slot is dropped', async () => {
    await admin.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active`);
    return admin.query(`SELECT pg_drop_replication_slot('${SLOT}')`).then(
      () => true,
      () => false,
    );
  });
}

const created = (agent: Agent, from: number) => agent.logged('slot-created', undefined, from);

test('a slot that is dropped while the agent streams is created anew, and the list finds what it missed', async ({
  annotate,
}) => {
  await using parts = await following();
  const { world, agent, writer } = parts;
  const from = agent.log.length;
  // What is committed between the end of the stream and the new slot is in no stream.
  world.toSource.blackHole();
  await dropSlot(world);
  await writer.commit('sales.orders');
  await writer.createTable('sales.missed');
  world.toSource.heal();
  world.toSource.reset();
  await annotate(`equal ${await recovered(world, agent)} ms after its end`);
  await created(agent, from);
  await writer.commit('sales.orders');
  await world.equal(agent);
  expect(world.witness.violations).toEqual([]);
});

test('a slot that is dropped and created again by hand isn’t taken for the old one', async ({ annotate }) => {
  await using parts = await following();
  const { world, agent, writer } = parts;
  const from = agent.log.length;
  world.toSource.blackHole();
  await dropSlot(world);
  await writer.createTable('sales.missed');
  await world.admin.query(`SELECT pg_create_logical_replication_slot('${SLOT}', 'pgoutput')`);
  world.toSource.heal();
  world.toSource.reset();
  await annotate(`equal ${await recovered(world, agent)} ms after its creation`);
  await agent.logged('reconciled', ({ hints }) => Number(hints) > 0, from);
  await writer.commit('sales.orders');
  await world.equal(agent);
  expect(world.witness.violations).toEqual([]);
});

test('a slot that max_slot_wal_keep_size invalidates under an agent that hangs is replaced', async ({ annotate }) => {
  const settings = { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', wal_sender_timeout: '2s' };
  await using parts = await following({ settings });
  const { world, agent, writer } = parts;
  const from = agent.log.length;
  agent.process.kill('SIGSTOP');
  await writer.createTable('sales.missed');
  await world.admin.query('CREATE TABLE filler (text text)');
  await eventually('the slot is lost', async () => {
    await world.admin.query(`INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)`);
    await world.admin.query('CHECKPOINT');
    const { rows } = await world.admin.query<{ status: string }>(
      `SELECT wal_status AS status FROM pg_replication_slots`,
    );
    return rows[0]?.status === 'lost';
  });
  agent.process.kill('SIGCONT');
  await annotate(`equal ${await recovered(world, agent)} ms after the agent was continued`);
  await agent.logged('slot-invalidated', undefined, from);
  await agent.logged('slot-recreated', undefined, from);
  expect(world.witness.violations).toEqual([]);
});

test('a publication without one of its tables is noticed, told of with the SQL that mends it, and that SQL is all it needs', async ({
  annotate,
}) => {
  await using parts = await following();
  const { world, agent, writer } = parts;
  const from = agent.log.length;
  await world.admin.query(`ALTER PUBLICATION polaris_push DROP TABLE "TABLE_PARAMS"`);
  await writer.commit('sales.orders');
  const failure = await agent.logged('task-failed', undefined, from);
  expect(codeOf(failure)).toBe('HIVE_PUBLICATION_WRONG');
  const { fix } = failure['error'] as { fix: string };
  await world.admin.query(fix.replace(/^[^:]*: /, ''));
  await annotate(`equal ${await recovered(world, agent)} ms after the repair`);
  await agent.logged('task-recovered', undefined, from);
  expect(world.witness.violations).toEqual([]);
});

test('a publication that is dropped while the agent streams is told of with its SQL, and made good after it', async ({
  annotate,
}) => {
  await using parts = await following();
  const { world, agent, writer } = parts;
  const from = agent.log.length;
  await world.admin.query('DROP PUBLICATION polaris_push');
  await writer.commit('sales.orders');
  const failure = await agent.logged('task-failed', (line) => codeOf(line) === 'HIVE_PUBLICATION_MISSING', from);
  // The agent's role may not create publications, so somebody must.
  const { fix } = failure['error'] as { fix: string };
  expect(fix).toContain('CREATE PUBLICATION');
  await world.admin.query(fix.slice(fix.indexOf('CREATE PUBLICATION')));
  await annotate(`equal ${await recovered(world, agent)} ms after the repair`);
  await writer.commit('sales.orders');
  await world.equal(agent);
  expect(world.witness.violations).toEqual([]);
});

test('after a failover to a standby the agent follows the promoted server, and loses nothing', async ({ annotate }) => {
  await using parts = await following({ standby: true });
  const { world, agent, writer } = parts;
  const { postgres } = world.standby!;
  await eventually('the standby has everything', async () => {
    const { rows } = await world.admin.query<{ behind: string }>(
      `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS behind FROM pg_stat_replication
       WHERE application_name = 'walreceiver'`,
    );
    return rows[0]?.behind === '0';
  });
  const from = agent.log.length;
  await world.metastore.postgres.stop('immediate');
  // The name that everybody connects to leads to the standby from now on, which isn't promoted yet.
  for (const way of [world.toSource, world.door]) way.redirect(postgres.port);
  expect(codeOf(await agent.logged('task-failed', (line) => codeOf(line) === 'HIVE_STANDBY', from))).toBe(
    'HIVE_STANDBY',
  );
  const promoting = await postgres.client('metastore');
  await promoting.query('SELECT pg_promote()');
  await promoting.end();
  await writer.commit('sales.orders');
  await writer.createTable('sales.after');
  await annotate(`equal ${await recovered(world, agent)} ms after the first commits on the promoted server`);
  await created(agent, from);
  expect(world.witness.violations).toEqual([]);
}, 90_000);
