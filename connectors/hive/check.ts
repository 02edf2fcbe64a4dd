import pg from 'pg';
import type { ConnectorDeps } from '../../src/connector/connector.ts';
import type { Finding } from '../../src/core/finding.ts';
import type { HiveConfig } from './config.ts';
import { hiveFailure } from './failure.ts';
import { qualified, readRelations, relationProblems, type Relation } from './metastore.ts';
import { connect, describeConnection, type Queryable } from './postgres.ts';
import { findingOf, type Problem } from './problem.ts';
import { createPublicationSql, publicationProblems, readPublication } from './publication.ts';
import { readServer, serverProblems, type Server } from './server.ts';
import { invalidatedSlotProblem, missingSlotProblem, readSlot, slotInUse, slotProblems } from './slot.ts';

const GIB = 1024 ** 3;

/** Looks at everything that the connector needs, changes nothing, and reports instead of throwing. */
export async function* checkSource(
  config: HiveConfig,
  _deps: ConnectorDeps,
  signal: AbortSignal,
): AsyncGenerator<Finding, void, undefined> {
  let connection: Awaited<ReturnType<typeof connect>> | undefined;
  try {
    const { host, port, database, user } = describeConnection(config);
    connection = await connect(config, { doing: 'connecting', timeoutMs: config.queryTimeoutMs, signal });
    yield ok('connection', `PostgreSQL at ${host}:${port}, database ${database}, role ${user}`);
    // Nothing can be written by accident.
    await connection.client.query('SET default_transaction_read_only = on');
    yield* inspect(connection.client, config, database);
  } catch (error) {
    if (signal.aborted) return;
    const { code, message, fix } = hiveFailure(error, 'checking the source', config);
    yield {
      level: 'error',
      subject: connection === undefined ? 'connection' : 'source',
      detail: message,
      fix,
      code,
    };
  } finally {
    await connection?.close();
  }
}

async function* inspect(
  client: Queryable,
  config: HiveConfig,
  database: string,
): AsyncGenerator<Finding, void, undefined> {
  const server = await readServer(client);
  const broken = serverProblems(server);
  yield* reported(broken, ok('server', `PostgreSQL ${server.versionText}, primary, wal_level = ${server.walLevel}`));
  if (server.standby) return;
  yield* role(client, server);
  yield* capacity(client, config);
  const relations = await readRelations(client, config.schema);
  const problems = relationProblems(relations, config.schema, server.user);
  yield* reported(
    problems,
    ok('tables', 'DBS, TBLS and TABLE_PARAMS are there, readable, and identified by their primary keys'),
  );
  if (!problems.some(({ code }) => code === 'HIVE_NOT_A_METASTORE' || code === 'HIVE_PRIVILEGE_MISSING'))
    yield* catalog(client, config, relations.get('CTLGS'));
  yield* publication(client, config, server.version);
  yield* slot(client, config, database);
}

function ok(subject: string, detail: string): Finding {
  return { level: 'ok', subject, detail };
}

function* reported(problems: readonly Problem[], otherwise: Finding): Generator<Finding, void, undefined> {
  if (problems.length === 0) yield otherwise;
  for (const problem of problems) yield findingOf(problem);
}

async function* role(client: Queryable, { user }: Server): AsyncGenerator<Finding, void, undefined> {
  const { rows } = await client.query<{ allowed: boolean }>(
    `SELECT rolsuper OR rolreplication OR EXISTS
       (SELECT FROM pg_roles r WHERE r.rolname = 'rds_replication' AND pg_has_role(r.oid, 'member')) AS allowed
     FROM pg_roles WHERE rolname = current_user`,
  );
  if (rows[0]?.allowed === true) return yield ok('role', `${user} may use replication slots`);
  yield {
    level: 'error',
    subject: 'role',
    code: 'HIVE_PRIVILEGE_MISSING',
    detail: `Role ${user} may not use replication slots.`,
    fix: `As a superuser: ALTER ROLE ${pg.escapeIdentifier(user)} REPLICATION; (Amazon RDS: GRANT rds_replication TO ${pg.escapeIdentifier(user)};)`,
  };
}

/** Is there room for our slot and our connection, and does anything bound what an unused slot retains? */
async function* capacity(client: Queryable, config: HiveConfig): AsyncGenerator<Finding, void, undefined> {
  const { rows } = await client.query<
    Record<'slots' | 'maxSlots' | 'senders' | 'maxSenders' | 'keep', number> & { ours: boolean; standbys: string }
  >(
    `SELECT (SELECT count(*)::int FROM pg_replication_slots) AS slots, current_setting('max_replication_slots')::int AS "maxSlots",
            (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'walsender') AS senders,
            current_setting('max_wal_senders')::int AS "maxSenders",
            (SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep,
            EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1) AS ours,
            current_setting('synchronous_standby_names') AS standbys`,
    [config.slot],
  );
  const [row] = rows;
  if (row === undefined) return;
  if (!row.ours && row.slots >= row.maxSlots) yield full('max_replication_slots', row.slots, row.maxSlots);
  else yield ok('max_replication_slots', `${row.slots} of ${row.maxSlots} in use`);
  if (row.senders >= row.maxSenders) yield full('max_wal_senders', row.senders, row.maxSenders);
  else yield ok('max_wal_senders', `${row.senders} of ${row.maxSenders} in use`);
  if (row.keep === -1)
    yield {
      level: 'warning',
      subject: 'max_slot_wal_keep_size',
      detail: 'No limit: while the agent is stopped, PostgreSQL keeps all WAL for it, until the disk is full.',
      fix: "As a superuser: ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf(); (a slot that falls further behind is invalidated, created anew at the next start, and the list finds what was missed)",
    };
  else yield ok('max_slot_wal_keep_size', `${row.keep} MB`);
  if (/\*|polaris-push/.test(row.standbys))
    yield {
      level: 'warning',
      subject: 'synchronous_standby_names',
      detail: `"${row.standbys}" can make the metastore's commits wait for this agent.`,
      fix: 'As a superuser: name the real standbys in synchronous_standby_names instead of *.',
    };
}

function full(subject: string, used: number, max: number): Finding {
  return {
    level: 'error',
    subject,
    code: 'HIVE_SLOTS_EXHAUSTED',
    detail: `All ${max} are in use (${used}).`,
    fix: `As a superuser: ALTER SYSTEM SET ${subject} = ${max + 5}; then restart PostgreSQL.`,
  };
}

/** The list of catalogs needs a grant of its own, which is not needed for anything else. */
async function* catalog(
  client: Queryable,
  config: HiveConfig,
  catalogs: Relation | undefined,
): AsyncGenerator<Finding, void, undefined> {
  const databases = await client.query<{ name: string; count: number }>(
    `SELECT "CTLG_NAME" AS name, count(*)::int AS count FROM ${qualified(config.schema, 'DBS')} GROUP BY 1 ORDER BY 1`,
  );
  const found = databases.rows.find(({ name }) => name === config.catalog);
  if (found !== undefined) return yield ok('catalog', `${config.catalog}, with ${found.count} databases`);
  const known = databases.rows.map(({ name }) => name);
  if (catalogs?.readable.includes('NAME') === true) {
    const { rows } = await client.query<{ name: string }>(
      `SELECT "NAME" AS name FROM ${qualified(config.schema, 'CTLGS')} ORDER BY 1`,
    );
    known.push(...rows.map(({ name }) => name).filter((name) => !known.includes(name)));
  }
  yield {
    level: 'error',
    subject: 'catalog',
    code: 'HIVE_CATALOG_UNKNOWN',
    detail: known.includes(config.catalog)
      ? `The catalog ${config.catalog} has no database.`
      : `The metastore has no catalog ${config.catalog}; it has ${known.join(', ') || 'none'}.`,
    fix: `Set \`catalog\` to one of: ${known.join(', ') || 'none exist'}.`,
  };
}

async function* publication(
  client: Queryable,
  config: HiveConfig,
  version: number,
): AsyncGenerator<Finding, void, undefined> {
  const naming = { publication: config.publication, schema: config.schema, version };
  const found = await readPublication(client, config.publication, version);
  if (found === undefined && config.create) {
    const { rows } = await client.query<{ owner: boolean }>(
      `SELECT has_database_privilege(current_database(), 'CREATE') AND coalesce(bool_and(pg_has_role(c.relowner, 'USAGE')), false) AS owner
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname IN ('DBS', 'TBLS', 'TABLE_PARAMS')`,
      [config.schema],
    );
    if (rows[0]?.owner === true)
      return yield ok('publication', `${config.publication} will be created: ${createPublicationSql(naming, version)}`);
  }
  const problems = await publicationProblems(client, found, naming);
  const tables = found?.tables.map(({ name }) => name).join(', ');
  yield* reported(problems, ok('publication', `${config.publication}: ids and names of ${tables}`));
}

async function* slot(
  client: Queryable,
  config: HiveConfig,
  database: string,
): AsyncGenerator<Finding, void, undefined> {
  const found = await readSlot(client, config.slot);
  if (found === undefined) {
    if (config.create) return yield ok('slot', `${config.slot} will be created`);
    return yield findingOf(missingSlotProblem(config.slot));
  }
  const wrong = slotProblems(found, config.slot, database);
  if (wrong.length > 0) return yield* wrong.map(findingOf);
  if (found.invalidated !== undefined)
    return yield {
      ...findingOf(invalidatedSlotProblem(config.slot, found.invalidated)),
      level: config.create ? 'warning' : 'error',
    };
  const kept = `${((found.retainedBytes ?? 0) / GIB).toFixed(2)} GiB of WAL retained, wal_status ${found.walStatus}`;
  if (found.activePid === undefined) return yield ok('slot', `${config.slot}: free, ${kept}`);
  const { detail, fix } = await slotInUse(client, config.slot, found.activePid);
  yield { level: 'warning', subject: 'slot', detail: `${detail} ${kept}.`, fix };
}
