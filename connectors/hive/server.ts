import pg from 'pg';
import { PushError } from '../../src/errors/errors.ts';
import { parseLsn, type Lsn } from './lsn.ts';
import type { Queryable } from './postgres.ts';
import type { Problem } from './problem.ts';

/** Column lists and row filters of publications came with PostgreSQL 15. */
export const COLUMN_LISTS_SINCE = 150_000;
const OLDEST = 140_000;

export type Server = {
  /** As `server_version_num`: 150018 is 15.18. */
  readonly version: number;
  readonly versionText: string;
  readonly walLevel: string;
  readonly standby: boolean;
  /** Undefined on a standby. */
  readonly walLsn: Lsn | undefined;
  /** 0: off. */
  readonly walSenderTimeoutMs: number;
  readonly user: string;
};

export async function readServer(client: Queryable): Promise<Server> {
  const { rows } = await client.query<{
    version: number;
    version_text: string;
    wal_level: string;
    standby: boolean;
    wal_lsn: string | null;
    timeout: number;
    user: string;
  }>(`
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_text,
           current_setting('wal_level') AS wal_level, pg_is_in_recovery() AS standby,
           CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_lsn()::text END AS wal_lsn,
           (SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout') AS timeout,
           current_user::text AS user`);
  const [row] = rows;
  if (row === undefined) throw new PushError('HIVE_QUERY_FAILED', 'PostgreSQL gave no row about itself.');
  return {
    version: row.version,
    versionText: row.version_text,
    walLevel: row.wal_level,
    standby: row.standby,
    walLsn: row.wal_lsn === null ? undefined : parseLsn(row.wal_lsn),
    walSenderTimeoutMs: row.timeout,
    user: row.user,
  };
}

/** What a log sequence number belongs to: after a failover or a restore it names other transactions. */
export type Incarnation = {
  readonly system: string;
  /** The oid of the database: another one under the same name is a restored one. */
  readonly database: string;
  readonly timeline: number;
};

/** Insufficient privilege, no such function, not supported; and a standby, which has no current WAL file. */
const REFUSES_TO_TELL = new Set(['42501', '42883', '0A000', '55000']);

/** Where a hosted PostgreSQL refuses to tell, all is taken for one and the same: the list at every start heals. */
export async function readIncarnation(client: Queryable): Promise<Incarnation> {
  try {
    const { rows } = await client.query<{ system: string; database: string; timeline: string }>(`
      SELECT system_identifier::text AS system,
             (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS database,
             substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline
      FROM pg_control_system()`);
    const [row] = rows;
    const { system = '', database = '', timeline = '0' } = row ?? {};
    return { system, database, timeline: Number.parseInt(timeline, 16) };
  } catch (error) {
    // Any other failure is no answer: to take it for "the same" would open the fence before another database.
    if (error instanceof pg.DatabaseError && REFUSES_TO_TELL.has(error.code ?? ''))
      return { system: '', database: '', timeline: 0 };
    throw error;
  }
}

/** Which database of which cluster it is, the same after a failover; undefined where PostgreSQL refuses to tell. */
export function identityOf({ system, database }: Incarnation): string | undefined {
  return system === '' ? undefined : `${system}/${database}`;
}

export function serverProblems(server: Server): readonly Problem[] {
  const problems: Problem[] = [];
  if (server.version < OLDEST)
    problems.push({
      level: 'error',
      subject: 'server version',
      code: 'HIVE_VERSION',
      detail: `The metastore's PostgreSQL is ${server.versionText}.`,
      fix: 'Upgrade it to PostgreSQL 14 or later.',
    });
  if (server.standby)
    problems.push({
      level: 'error',
      subject: 'primary',
      code: 'HIVE_STANDBY',
      detail: 'The connection leads to a standby, which lags behind and can not tell that a table is absent.',
      fix: 'Let `connection` name the primary.',
    });
  if (server.walLevel !== 'logical')
    problems.push({
      level: 'error',
      subject: 'wal_level',
      code: 'HIVE_WAL_LEVEL',
      detail: `wal_level is ${server.walLevel}.`,
      fix: "As a superuser: ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL. (Hosted: rds.logical_replication = 1, cloudsql.logical_decoding = on, azure.replication_support = logical.)",
    });
  return problems;
}
