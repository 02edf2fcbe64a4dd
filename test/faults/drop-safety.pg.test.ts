import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { COMMAND_LINE } from '../../examples/quickstart/child.ts';
import { startMetastore, type EmbeddedMetastore } from '../../examples/quickstart/embedded.ts';
import { HiveWriter } from '../../examples/quickstart/writer.ts';
import type { Agent, Line } from './agent.ts';
import { following, type Following } from './following.ts';
import { codeOf, recovered } from './recovery.ts';
import { eventually, type World } from './world.ts';

/** More than two pages of a list. */
const MANY = 2_500;
/** As users have it: the other fault tests do without a budget. */
const CAREFUL = { drops: { mode: 'fenced' } };

/** An agent that has delivered `sales.orders`, `sales.items` and `sales.prices`. */
async function delivered(life: Parameters<typeof following>[1] = {}): Promise<Following> {
  await using opened = new AsyncDisposableStack();
  const parts = opened.use(await following({}, life));
  const { world, agent, writer } = parts;
  for (const table of ['sales.items', 'sales.prices']) await writer.createTable(table);
  await world.equal(agent);
  const kept = opened.move();
  return { ...parts, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const TABLES = ['sales.items', 'sales.orders', 'sales.prices'];

/** What must not have happened: tables that Polaris lacks, DROPs (also refused or unanswered ones), and broken rules. */
function harmTo(world: World): readonly unknown[] {
  const { witness } = world;
  const served = world.served();
  return [
    ...TABLES.filter((table) => !served.has(table)),
    ...witness.notifications.filter(({ type }) => type === 'DROP'),
    ...witness.violations,
  ];
}

const failedWith = (code: RegExp) => (line: Line) => code.test(codeOf(line) ?? '');

/** Hive tables that aren't mirrored, so that a list of the metastore takes its time. */
async function addHiveTables({ admin }: World): Promise<void> {
  await admin.query(
    `INSERT INTO "TBLS" ("TBL_ID", "CREATE_TIME", "DB_ID", "LAST_ACCESS_TIME", "RETENTION", "TBL_NAME", "TBL_TYPE", "IS_REWRITE_ENABLED")
     SELECT 1000000 + n, 0, "DB_ID", 0, 0, 'plain_' || n, 'EXTERNAL_TABLE', false
     FROM "DBS", generate_series(1, ${MANY}) n WHERE "NAME" = 'sales'`,
  );
}

/** Makes the agent list everything on a slow network, and resolves in the middle of it. */
async function inTheMiddleOfAList({ world }: Following): Promise<void> {
  world.toSource.shape({ latencyMs: 60 });
  world.toSource.reset();
  await eventually('a list is under way', async () => {
    const { rowCount } = await world.admin.query(
      `SELECT FROM pg_stat_activity WHERE usename = 'polaris_push' AND query LIKE 'FETCH % FROM polaris_push_list'`,
    );
    return rowCount === 1;
  });
}

/** The agent has noticed that its list failed, and has not taken a part of it for the whole. */
async function listFailed(agent: Agent, from: number): Promise<void> {
  await agent.logged('task-failed', failedWith(/^HIVE_UNREACHABLE$/), from);
  expect(agent.log.slice(from).filter(({ event }) => event === 'reconciled')).toEqual([]);
}

/** Another metastore with these tables, at an address of its own until the name leads there. */
async function otherMetastore(world: World, tables: readonly string[]): Promise<EmbeddedMetastore> {
  await using opened = new AsyncDisposableStack();
  const metastore = opened.use(await startMetastore());
  await using writer = new HiveWriter({ connectionString: metastore.url, warehouse: world.warehouse });
  if (tables.length > 0) await writer.createNamespace('sales');
  for (const table of tables) await writer.createTable(table);
  // Its transactions are numbered further than ours, so that it seems to have seen all of them.
  const client = await metastore.client();
  await client.query('DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$');
  await client.end();
  const kept = opened.move();
  return { ...metastore, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const leadTo = (world: World, { postgres }: Pick<EmbeddedMetastore, 'postgres'>) =>
  world.toSource.redirect(postgres.port);

/** The tables whose DROPs are held, as `drops list` has them. */
async function held(world: World): Promise<readonly string[]> {
  const args = [COMMAND_LINE, 'drops', 'list', '--json', '--config', world.configure({ config: CAREFUL })];
  const told = await promisify(execFile)(process.execPath, args).catch((error: unknown) => error as { stdout: string });
  const lines = told.stdout.split('\n').filter((line) => line !== '');
  return lines
    .map((line) => JSON.parse(line) as Line)
    .filter(({ event }) => event === 'held')
    .map(({ table }) => String(table))
    .toSorted((a, b) => a.localeCompare(b));
}

const areHeld = (agent: Agent, tables: readonly string[]) =>
  Promise.all(
    tables.map((table) => agent.logged('parked', (line) => line['table'] === table && line['code'] === 'DROP_HELD')),
  );

test('a metastore that is stopped is waited for: what was to be read meanwhile is kept', async ({ annotate }) => {
  await using parts = await delivered();
  const { world, agent, writer } = parts;
  const { postgres } = world.metastore;
  world.toPolaris.blackHole();
  for (const table of TABLES) await writer.commit(table);
  await agent.logged('not-admitted');
  await postgres.stop('fast');
  // Whoever is tried again is read again first.
  world.toPolaris.heal();
  world.toPolaris.reset();
  expect(codeOf(await agent.logged('resolve-failed'))).toBe('HIVE_UNREACHABLE');
  // A start that finds no metastore is no other.
  await agent.kill();
  await using next = world.agent();
  await next.logged('task-failed', failedWith(/^HIVE_UNREACHABLE$/));
  expect(harmTo(world)).toEqual([]);
  await postgres.start();
  await annotate(`equal ${await recovered(world, next)} ms after its start`);
  expect(harmTo(world)).toEqual([]);
});

test('a metastore that is stopped in the middle of a list says nothing of the tables that were still to come', async ({
  annotate,
}) => {
  await using parts = await delivered();
  const { world, agent } = parts;
  const { postgres } = world.metastore;
  await addHiveTables(world);
  const from = agent.log.length;
  await inTheMiddleOfAList(parts);
  await postgres.stop('immediate');
  await listFailed(agent, from);
  expect(harmTo(world)).toEqual([]);
  world.toSource.heal();
  await postgres.start();
  await agent.logged('reconciled', undefined, from);
  await annotate(`equal ${await recovered(world, agent)} ms after the next list`);
  expect(harmTo(world)).toEqual([]);
});

test('a list whose connection breaks in the middle says nothing of the tables that were still to come', async ({
  annotate,
}) => {
  await using parts = await delivered();
  const { world, agent } = parts;
  await addHiveTables(world);
  const from = agent.log.length;
  await inTheMiddleOfAList(parts);
  world.toSource.reset();
  await listFailed(agent, from);
  expect(harmTo(world)).toEqual([]);
  world.toSource.heal();
  const since = performance.now();
  expect(await agent.logged('reconciled', undefined, from)).toMatchObject({ tables: MANY + TABLES.length });
  await annotate(`equal ${await recovered(world, agent, since)} ms after the network was mended`);
  expect(harmTo(world)).toEqual([]);
});

test('rows that row-level security hides from the agent are no absence', async ({ annotate }) => {
  await using parts = await delivered();
  const { world, agent, writer } = parts;
  await world.admin.query(
    `ALTER TABLE "TBLS" ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON "TBLS" USING ("TBL_NAME" < 'o')`,
  );
  // Of this one the agent is told, and can't see it any more.
  await writer.commit('sales.prices');
  expect(codeOf(await agent.logged('resolve-failed'))).toBe('HIVE_PRIVILEGE_MISSING');
  world.toSource.reset();
  const { error } = await agent.logged('task-failed', failedWith(/^HIVE_PRIVILEGE_MISSING$/));
  expect(harmTo(world)).toEqual([]);
  const { fix } = error as { fix: string };
  await world.admin.query(fix.slice(fix.indexOf('ALTER ROLE')));
  await annotate(`equal ${await recovered(world, agent)} ms after the repair`);
  expect(harmTo(world)).toEqual([]);
});

test('a privilege that is revoked while the agent runs is no absence, and granting it again is all that is needed', async ({
  annotate,
}) => {
  await using parts = await delivered();
  const { world, agent, writer } = parts;
  await world.admin.query(`REVOKE ALL ("TBL_ID", "DB_ID", "TBL_NAME", "TBL_TYPE") ON "TBLS" FROM polaris_push`);
  await writer.commit('sales.orders');
  expect(codeOf(await agent.logged('resolve-failed'))).toBe('HIVE_PRIVILEGE_MISSING');
  world.toSource.reset();
  const { error } = await agent.logged('task-failed', failedWith(/^HIVE_PRIVILEGE_MISSING$/));
  expect(harmTo(world)).toEqual([]);
  const { fix } = error as { fix: string };
  await world.admin.query(fix.slice(fix.indexOf('GRANT')));
  await annotate(`equal ${await recovered(world, agent)} ms after the repair`);
  expect(harmTo(world)).toEqual([]);
});

test('another database under the same address drops nothing: what it lacks is held, and void once the right one is back', async ({
  annotate,
}) => {
  await using parts = await delivered({ config: CAREFUL });
  const { world, agent } = parts;
  await using other = await otherMetastore(world, ['sales.orders']);
  leadTo(world, other);
  world.toSource.reset();
  expect(await agent.logged('source-replaced')).toMatchObject({ level: 'error' });
  await areHeld(agent, ['sales.items', 'sales.prices']);
  expect(await held(world)).toEqual(['sales.items', 'sales.prices']);
  expect(harmTo(world)).toEqual([]);
  leadTo(world, world.metastore);
  world.toSource.reset();
  await annotate(`equal ${await recovered(world, agent)} ms after the right one was back`);
  await eventually('nothing is held any more', async () => (await held(world)).length === 0);
  expect(harmTo(world)).toEqual([]);
});

test('an empty metastore under the same address drops nothing, as everything is held', async ({ annotate }) => {
  await using parts = await delivered({ config: CAREFUL });
  const { world, agent, writer } = parts;
  await using empty = await otherMetastore(world, []);
  leadTo(world, empty);
  world.toSource.reset();
  await agent.logged('source-replaced');
  await areHeld(agent, TABLES);
  expect(harmTo(world)).toEqual([]);
  await writer.commit('sales.orders');
  leadTo(world, world.metastore);
  world.toSource.reset();
  await annotate(`equal ${await recovered(world, agent)} ms after the right one was back`);
  expect(harmTo(world)).toEqual([]);
});

test('a metastore that is only about to be restored, without a database in its catalog, is no source at all', async ({
  annotate,
}) => {
  await using parts = await delivered({ config: CAREFUL });
  const { world, agent, writer } = parts;
  // Under another name for the catalog, all is there but nothing is found.
  await world.admin.query(`INSERT INTO "CTLGS" SELECT 99, 'elsewhere', "DESC", "LOCATION_URI" FROM "CTLGS" LIMIT 1`);
  await world.admin.query(`UPDATE "DBS" SET "CTLG_NAME" = 'elsewhere'`);
  expect(codeOf(await agent.logged('resolve-failed'))).toBe('HIVE_CATALOG_UNKNOWN');
  world.toSource.reset();
  await agent.logged('task-failed', failedWith(/^HIVE_CATALOG_UNKNOWN$/));
  expect(harmTo(world)).toEqual([]);
  expect(agent.log.filter(({ event }) => event === 'parked')).toEqual([]);
  await world.admin.query(`UPDATE "DBS" SET "CTLG_NAME" = 'hive'`);
  await writer.commit('sales.orders');
  await annotate(`equal ${await recovered(world, agent)} ms after the databases were back`);
  expect(harmTo(world)).toEqual([]);
});

test('an agent that starts on another database, with work left undone, holds what that lacks', async ({ annotate }) => {
  await using parts = await delivered({ config: CAREFUL });
  const { world, agent, writer } = parts;
  world.toPolaris.blackHole();
  for (const table of TABLES) await writer.commit(table);
  await agent.logged('not-admitted');
  await agent.kill();
  world.toPolaris.heal();
  world.toPolaris.reset();
  await using other = await otherMetastore(world, ['sales.orders']);
  leadTo(world, other);
  await using next = world.agent({ config: CAREFUL });
  await next.logged('source-replaced');
  await areHeld(next, ['sales.items', 'sales.prices']);
  expect(harmTo(world)).toEqual([]);
  leadTo(world, world.metastore);
  world.toSource.reset();
  await annotate(`equal ${await recovered(world, next)} ms after the right one was back`);
  expect(harmTo(world)).toEqual([]);
});

test('a name that begins to lead to another database while the old stream lives on drops nothing', async ({
  annotate,
}) => {
  await using parts = await delivered({ config: CAREFUL });
  const { world, agent, writer } = parts;
  await using other = await otherMetastore(world, ['sales.orders']);
  leadTo(world, other);
  // The stream stays where it is; what the agent reads comes by connections that are made from now on.
  await world.admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'polaris_push' AND backend_type = 'client backend'`,
  );
  await writer.commit('sales.prices');
  await agent.logged('source-replaced');
  await areHeld(agent, ['sales.items', 'sales.prices']);
  expect(harmTo(world)).toEqual([]);
  leadTo(world, world.metastore);
  world.toSource.reset();
  await annotate(`equal ${await recovered(world, agent)} ms after the right one was back`);
  expect(harmTo(world)).toEqual([]);
});
