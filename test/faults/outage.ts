import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from './world.ts';

export type OutageOptions = { readonly outageMs: number; readonly engines: number; readonly pauseMs: number };

/** What was seen of the slot and of the agent during an outage of Polaris. */
export type OutageResult = {
  /** What the engines did to the metastore during the outage, and how much WAL that made. */
  readonly operations: number;
  readonly writtenBytes: number;
  /** The most WAL that the agent had not yet confirmed, at any look. */
  readonly unconfirmedBytes: number;
  /** The most WAL that PostgreSQL kept for the slot, at any look. */
  readonly retainedBytes: number;
  /** The longest time between two looks that saw the confirmed position move, ms. */
  readonly longestStandstillMs: number;
  readonly agentRssBytes: number;
  /** Ledger entries are per table: notifications that reached Polaris after it had come back. */
  readonly notificationsAfter: number;
  /** From Polaris's return, while the engines still work, until the agent had delivered what was there when they stopped. */
  readonly convergedMs: number;
  readonly tables: number;
};

const LOOK_MS = 200;

type Look = {
  readonly confirmed: string;
  readonly current: string;
  readonly unconfirmed: number;
  readonly retained: number;
};

/** The agent under load, Polaris unreachable for a while, and then everything must converge. */
export async function outage(world: World, { outageMs, engines, pauseMs }: OutageOptions): Promise<OutageResult> {
  await using agent = world.agent();
  await agent.caughtUp();
  const work = await world.work({ engines, pauseMs });
  while (world.witness.notifications.length < 20) await sleep(20);

  await world.emulator.pause();
  const operations = world.operations.total;
  const first = await look(world);
  const until = performance.now() + outageMs;
  let [last, unconfirmedBytes, retainedBytes, longestStandstillMs] = [first, 0, 0, 0];
  let movedAt = performance.now();
  while (performance.now() < until) {
    await sleep(LOOK_MS);
    agent.check();
    const seen = await look(world);
    unconfirmedBytes = Math.max(unconfirmedBytes, seen.unconfirmed);
    retainedBytes = Math.max(retainedBytes, seen.retained);
    longestStandstillMs = Math.max(longestStandstillMs, performance.now() - movedAt);
    if (seen.confirmed !== last.confirmed) movedAt = performance.now();
    last = seen;
  }
  const done = { operations: world.operations.total - operations, agentRssBytes: rss(agent.process.pid) };
  const writtenBytes = await distance(world, last.current, first.current);

  const before = world.witness.notifications.length;
  const returned = performance.now();
  await world.emulator.resume();
  await work.stop();
  const { tables } = await world.equal(agent, 60_000);
  return {
    ...done,
    writtenBytes,
    unconfirmedBytes,
    retainedBytes,
    longestStandstillMs,
    notificationsAfter: world.witness.notifications.length - before,
    convergedMs: performance.now() - returned,
    tables,
  };
}

async function look(world: World): Promise<Look> {
  const { rows } = await world.admin.query<Look>(
    `SELECT confirmed_flush_lsn::text AS confirmed, pg_current_wal_lsn()::text AS current,
            pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float AS unconfirmed,
            pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float AS retained
     FROM pg_replication_slots WHERE slot_name = 'polaris_push'`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('The slot is gone.');
  return row;
}

async function distance(world: World, to: string, from: string): Promise<number> {
  const { rows } = await world.admin.query<{ bytes: number }>(`SELECT pg_wal_lsn_diff($1, $2)::float AS bytes`, [
    to,
    from,
  ]);
  return rows[0]?.bytes ?? 0;
}

/** Resident memory of a process, from /proc. */
export function rss(pid: number | undefined, field: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
}
