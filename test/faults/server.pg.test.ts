import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Postgres } from '../../examples/quickstart/postgres.ts';
import type { HiveWriter } from '../../examples/quickstart/writer.ts';
import { following } from './following.ts';
import { codeOf, recovered } from './recovery.ts';
import { eventually, type World } from './world.ts';

const SETTINGS = { wal_sender_timeout: '2s' };

/** The server's processes: the postmaster and all that it has started. */
function processesOf({ pid }: Postgres): number[] {
  const postmaster = pid();
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((id) => parentOf(id) === postmaster);
  return [postmaster, ...children];
}

/** Undefined for a process that has just ended. */
function parentOf(id: number): number | undefined {
  try {
    // The name in parentheses may hold anything; the parent comes after the state.
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${id}/stat`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

function signalAll(postgres: Postgres, signal: NodeJS.Signals): void {
  for (const id of processesOf(postgres)) process.kill(id, signal);
}

const slotActive = async (world: World): Promise<boolean> =>
  (await world.admin.query(`SELECT FROM pg_replication_slots WHERE active`)).rowCount === 1;

/** An engine, too, finds its connections gone. */
const commitWhenPossible = (writer: HiveWriter): Promise<void> =>
  eventually('a commit is possible', () =>
    writer.commit('sales.orders').then(
      () => true,
      () => false,
    ),
  );

/** A start finds the shared memory of a killed server in use until the last of its processes has gone. */
async function startAgain({ start }: Postgres): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (attempt === 50) throw error;
    }
  }
}

test('an agent that was stopped for longer than PostgreSQL waits goes on when it is continued', async ({
  annotate,
}) => {
  await using parts = await following({ settings: SETTINGS });
  const { world, agent, writer } = parts;
  agent.process.kill('SIGSTOP');
  await writer.commit('sales.orders');
  // PostgreSQL gives the silent agent up.
  await eventually('the slot is given up', async () => !(await slotActive(world)));
  await writer.createTable('sales.items');
  agent.process.kill('SIGCONT');
  await annotate(`equal ${await recovered(world, agent)} ms after it was continued`);
  await agent.logged('task-failed');
  expect(world.witness.violations).toEqual([]);
});

test('a PostgreSQL that hangs is noticed, and followed again when it goes on', async ({ annotate }) => {
  await using parts = await following({ settings: SETTINGS });
  const { world, agent, writer } = parts;
  const { postgres } = world.metastore;
  await writer.commit('sales.orders');
  signalAll(postgres, 'SIGSTOP');
  try {
    // Whichever notices first: the stream that hears nothing, or a query that gets no answer.
    expect(codeOf(await agent.logged('task-failed'))).toMatch(/^HIVE_(SERVER_SILENT|UNREACHABLE|TIMEOUT)$/);
  } finally {
    signalAll(postgres, 'SIGCONT');
  }
  await writer.commit('sales.orders');
  await annotate(`equal ${await recovered(world, agent)} ms after it went on`);
  expect(world.witness.violations).toEqual([]);
});

test('a PostgreSQL whose processes die by kill -9 recovers by itself, and the agent after it', async ({ annotate }) => {
  await using parts = await following({ settings: SETTINGS });
  const { world, agent, writer } = parts;
  await writer.commit('sales.orders');
  const { rows } = await world.admin.query<{ pid: number }>(
    `SELECT active_pid AS pid FROM pg_replication_slots WHERE active`,
  );
  const other = await world.admin.connect();
  // More than one error may come: the server's word, and the end of the connection.
  const ended = new Promise((resolve) => other.on('error', resolve));
  // The death of one process by a signal makes the postmaster end all of them, and replay the log.
  process.kill(rows[0]!.pid, 'SIGKILL');
  await ended;
  other.release(true);
  await agent.logged('task-failed');
  await commitWhenPossible(writer);
  await annotate(`equal ${await recovered(world, agent)} ms after the next commit`);
  expect(world.witness.violations).toEqual([]);
});

test('a PostgreSQL server that is killed as a whole, and started again, is followed again', async ({ annotate }) => {
  await using parts = await following({ settings: SETTINGS });
  const { world, agent, writer } = parts;
  const { postgres } = world.metastore;
  await writer.commit('sales.orders');
  const dying = processesOf(postgres);
  for (const id of dying) process.kill(id, 'SIGKILL');
  const failure = await agent.logged('task-failed');
  expect(codeOf(failure)).toMatch(/^HIVE_/);
  await startAgain(postgres);
  await commitWhenPossible(writer);
  await writer.createTable('sales.items');
  await annotate(`equal ${await recovered(world, agent)} ms after its start`);
  expect(agent.running).toBe(true);
  expect(world.witness.violations).toEqual([]);
});

test('a restart of PostgreSQL in the middle of a transaction delivers what was committed, and nothing else', async ({
  annotate,
}) => {
  await using parts = await following({ settings: SETTINGS });
  const { world, agent, writer } = parts;
  const { postgres } = world.metastore;
  const open = await world.admin.connect();
  open.on('error', () => {}); // its server stops
  await open.query('BEGIN');
  await open.query(`UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = 'file:/never' WHERE "PARAM_KEY" = 'metadata_location'`);
  await writer.createTable('sales.items');
  const stopMs = await postgres.stop('fast');
  await postgres.start();
  open.release(true);
  await annotate(`equal ${await recovered(world, agent)} ms after its start; its stop took ${Math.round(stopMs)} ms`);
  expect([...world.served().values()]).not.toContain('file:/never');
  expect([...world.served().keys()].toSorted()).toEqual(['sales.items', 'sales.orders']);
  // The attached agent doesn't hold the shutdown up.
  expect(stopMs).toBeLessThan(5_000);
  expect(world.witness.violations).toEqual([]);
});
