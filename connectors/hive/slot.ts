import pg from 'pg';
import { PushError } from '../../src/errors/errors.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { codeOf } from './failure.ts';
import { parseLsn, type Lsn } from './lsn.ts';
import type { Queryable } from './postgres.ts';
import type { Problem } from './problem.ts';

const PLUGIN = 'pgoutput';

const RELEASE_PAUSE_MS = 50;
const RELEASE_ATTEMPTS = 40;

export type Slot = {
  readonly plugin: string | undefined;
  readonly database: string | undefined;
  /** The backend that streams from it now. */
  readonly activePid: number | undefined;
  /** `reserved`, `extended`, `unreserved` or `lost`. */
  readonly walStatus: string | undefined;
  /** Why PostgreSQL gave it up for good; undefined: it didn't. */
  readonly invalidated: string | undefined;
  readonly confirmedFlush: Lsn | undefined;
  /** WAL that PostgreSQL keeps for it, bytes. */
  readonly retainedBytes: number | undefined;
};

export async function readSlot(client: Queryable, name: string): Promise<Slot | undefined> {
  // Columns that newer versions have are read by way of JSON, where a missing one is null.
  const { rows } = await client.query<Record<string, string | null>>(
    `SELECT s.plugin, s.database, s.active_pid::text AS active_pid, s.wal_status,
            s.confirmed_flush_lsn::text AS confirmed_flush,
            to_jsonb(s) ->> 'invalidation_reason' AS invalidation_reason, to_jsonb(s) ->> 'conflicting' AS conflicting,
            CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::text END AS retained
     FROM pg_replication_slots s WHERE s.slot_name = $1`,
    [name],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const lost = row['wal_status'] === 'lost' ? 'max_slot_wal_keep_size exceeded' : undefined;
  return {
    plugin: row['plugin'] ?? undefined,
    database: row['database'] ?? undefined,
    activePid: mapped(row['active_pid'], Number),
    walStatus: row['wal_status'] ?? undefined,
    invalidated: row['invalidation_reason'] ?? (row['conflicting'] === 'true' ? 'conflict with recovery' : lost),
    confirmedFlush: mapped(row['confirmed_flush'], parseLsn),
    retainedBytes: mapped(row['retained'], Number),
  };
}

function mapped<Value>(text: string | null | undefined, read: (text: string) => Value): Value | undefined {
  return text === null || text === undefined ? undefined : read(text);
}

/** What is wrong with an existing slot beyond repair by us: another's plugin or database. */
export function slotProblems(slot: Slot, name: string, database: string): readonly Problem[] {
  const wrong =
    slot.plugin !== PLUGIN
      ? `is ${slot.plugin === undefined ? 'a physical slot' : `of plugin ${slot.plugin}`}, not of ${PLUGIN}`
      : slot.database !== database
        ? `belongs to database ${slot.database}; slot names are unique in a whole server`
        : undefined;
  if (wrong === undefined) return [];
  return [
    {
      level: 'error',
      subject: 'slot',
      code: 'HIVE_SLOT_WRONG',
      detail: `Replication slot ${name} ${wrong}.`,
      fix: `Give another name as \`slot\`, or, if nobody needs it: ${dropSlotSql(name)}`,
    },
  ];
}

export function missingSlotProblem(name: string): Problem {
  return {
    level: 'error',
    subject: 'slot',
    code: 'HIVE_SLOT_MISSING',
    detail: `There is no replication slot ${name}.`,
    fix: `With a role that has REPLICATION: ${createSlotSql(name)}`,
  };
}

export function invalidatedSlotProblem(name: string, reason: string): Problem {
  return {
    level: 'error',
    subject: 'slot',
    code: 'HIVE_SLOT_INVALIDATED',
    detail: `PostgreSQL has invalidated replication slot ${name} (${reason}); what changed since is found by the list.`,
    fix: `${dropSlotSql(name)} ${createSlotSql(name)}`,
  };
}

export function createSlotSql(name: string): string {
  return `SELECT pg_create_logical_replication_slot(${pg.escapeLiteral(name)}, '${PLUGIN}');`;
}

export function dropSlotSql(name: string): string {
  return `SELECT pg_drop_replication_slot(${pg.escapeLiteral(name)});`;
}

/**
 * Creates the slot and returns where it begins. PostgreSQL first waits for the end of every transaction that is writing;
 * if that takes longer than the statement may, the error names those that are in the way.
 */
export async function createSlot(client: Queryable, name: string): Promise<Lsn> {
  try {
    const { rows } = await client.query<{ lsn: string }>(
      `SELECT lsn::text AS lsn FROM pg_create_logical_replication_slot($1, $2)`,
      [name, PLUGIN],
    );
    return parseLsn(rows[0]?.lsn ?? '');
  } catch (error) {
    const code = codeOf(error);
    if (code === '57014')
      throw new PushError('HIVE_TIMEOUT', `Creating replication slot ${name} waits for ${await writers(client)}.`, {
        fix: 'Wait for those transactions to end, or end them with pg_terminate_backend().',
        cause: error,
      });
    if (code === '42501')
      throw new PushError('HIVE_PRIVILEGE_MISSING', `The role may not create replication slot ${name}.`, {
        fix: 'As a superuser: ALTER ROLE … REPLICATION; (Amazon RDS: GRANT rds_replication TO …;) or create the slot for it and set `create: false`.',
        cause: error,
      });
    throw error;
  }
}

/** Visible to every role, unlike `backend_xid`. */
async function writers(client: Queryable): Promise<string> {
  const { rows } = await client.query<{ pid: number; application: string | null }>(
    `SELECT l.pid, a.application_name AS application FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
     ORDER BY a.xact_start NULLS LAST LIMIT 5`,
  );
  if (rows.length === 0) return 'transactions that have ended meanwhile, or are prepared (pg_prepared_xacts)';
  return `the transactions of ${rows.map(({ pid, application }) => `process ${pid}${application ? ` (${application})` : ''}`).join(', ')}`;
}

/**
 * Reads the slot once nobody but `ownPid` streams from it. PostgreSQL notices a moment after a connection was closed that
 * its slot is free, so a new start right after an old one asks again for a while. Throws `HIVE_SLOT_IN_USE`.
 */
export async function readFreeSlot(
  client: Queryable,
  name: string,
  {
    ownPid,
    clock,
    signal,
  }: { readonly ownPid?: number | undefined; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Slot | undefined> {
  for (let attempt = 0; ; attempt++) {
    const slot = await readSlot(client, name);
    if (slot?.activePid === undefined || slot.activePid === ownPid) return slot;
    if (attempt >= RELEASE_ATTEMPTS) throw await slotInUse(client, name, slot.activePid);
    await clock.sleep(RELEASE_PAUSE_MS, signal);
    signal.throwIfAborted();
  }
}

export async function dropSlot(client: Queryable, name: string): Promise<void> {
  await client.query('SELECT pg_drop_replication_slot($1)', [name]);
}

/** The error for a slot from which another process streams, naming it as far as the role may see it. */
export async function slotInUse(client: Queryable, name: string, pid: number): Promise<PushError> {
  const { rows } = await client.query<{ application: string | null; address: string | null }>(
    'SELECT application_name AS application, host(client_addr) AS address FROM pg_stat_activity WHERE pid = $1',
    [pid],
  );
  const who = [
    rows[0]?.application && `application ${rows[0].application}`,
    rows[0]?.address && `from ${rows[0].address}`,
  ]
    .filter(Boolean)
    .join(' ');
  return new PushError(
    'HIVE_SLOT_IN_USE',
    `Process ${pid}${who === '' ? '' : ` (${who})`} streams from slot ${name}.`,
    {
      fix: `Stop the other agent, or give this one a slot of its own. A dead one is noticed after wal_sender_timeout; at once: SELECT pg_terminate_backend(${pid});`,
    },
  );
}
