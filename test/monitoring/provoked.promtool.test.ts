import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import type { Agent } from '../faults/agent.ts';
import { following, type Following } from '../faults/following.ts';
import { Hand } from '../faults/hand.ts';
import { eventually, type LifeOptions, type World, type WorldOptions } from '../faults/world.ts';
import { promtoolOnMetrics } from './promtool.ts';
import { alertsOf, scrape, type Scrape } from './scrape.ts';

// Each test brings one state about on a real agent, and asks Prometheus's engine which of the shipped alerts fire.

const TABLES = ['orders', 'items', 'clients', 'returns', 'prices', 'visits'].map((name) => `sales.${name}`);

type Watched = Following & {
  readonly port: number;
  /** As it was when all was well. */
  readonly before: Scrape;
  readonly now: () => Promise<Scrape | undefined>;
};

/** An agent that has delivered some tables and is asked for its metrics. */
async function watched(options: Partial<WorldOptions> = {}, { config, ...life }: LifeOptions = {}): Promise<Watched> {
  await using opened = new AsyncDisposableStack();
  const parts = opened.use(
    await following(options, { ...life, config: { http: { listen: '127.0.0.1:0' }, ...config } }),
  );
  const { world, agent, writer } = parts;
  for (const table of TABLES.slice(1)) await writer.createTable(table);
  await world.equal(agent);
  const port = Number((await agent.logged('listening'))['port']);
  const before = await seen(port, 'the slot is measured, and all is done', (values) => {
    const done = valueOf(values, 'pending_tables', 'target="main"') === 0;
    return done && valueOf(values, 'source_slot_active') === 1;
  });
  const kept = opened.move();
  return { ...parts, port, before, now: () => scrape(port), [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The value of the series whose labels hold this one; undefined if there is none. */
function valueOf(values: Scrape, name: string, label: string = ''): number | undefined {
  for (const [series, value] of values)
    if (new RegExp(`^polaris_push_${name}(?![a-z_])`).test(series) && series.includes(label)) return value;
  return undefined;
}

/** Asks until it is so; returns the scrape that said it. */
async function seen(port: number, what: string, holds: (values: Scrape) => boolean): Promise<Scrape> {
  let last: Scrape | undefined;
  await eventually(what, async () => {
    last = await scrape(port);
    return last !== undefined && holds(last);
  });
  if (last === undefined) throw new Error(`No scrape told that ${what}.`);
  return last;
}

const parked = (agent: Agent, code: string) => agent.logged('parked', (line) => line['code'] === code);

test('no alert fires of an agent that follows its source, and of one that is killed two do', async () => {
  await using parts = await watched();
  const { agent, before, now } = parts;
  expect(alertsOf(before, before)).toEqual([]);
  await agent.kill();
  expect(alertsOf(before, await now())).toEqual(['PolarisPushAbsent', 'PolarisPushDown']);
});

test('the exposition is one that Prometheus finds nothing wrong with', async () => {
  await using parts = await watched();
  const text = await (await fetch(`http://127.0.0.1:${parts.port}/metrics`)).text();
  const own = text.split(/^(?=# HELP )/m).filter((family) => family.startsWith('# HELP polaris_push_'));
  expect(own.length).toBeGreaterThan(40);
  expect(promtoolOnMetrics(own.join(''))).toEqual({ ok: true, said: '' });
});

test('a Polaris that is away makes its target’s alert fire', async () => {
  await using parts = await watched();
  const { world, agent, writer, port, before } = parts;
  await world.emulator.pause();
  for (const table of TABLES) await writer.commit(table);
  await agent.logged('target-down');
  const during = await seen(port, 'the target is down', (values) => valueOf(values, 'target_up') === 0);
  expect(alertsOf(before, during)).toEqual(['PolarisPushTargetDown main']);
});

test('a token that is refused from now on fires, and so does the target', async () => {
  await using parts = await watched({ emulator: { tokenLifetimeSeconds: 5 } });
  const { world, agent, writer, port, before } = parts;
  using _ = ending(world.emulator.intercept(({ kind }) => (kind === 'token' ? { status: 401, body: {} } : 'pass')));
  // A token is renewed when one is needed, and the last one is good until it ends.
  await eventually('the target works for nobody', async () => {
    for (const table of TABLES) await writer.commit(table);
    return agent.log.some(({ event }) => event === 'target-down');
  });
  await agent.logged('token-refused');
  const during = await seen(port, 'the target is down', (values) => valueOf(values, 'target_up') === 0);
  expect(alertsOf(before, during)).toEqual(['PolarisPushTargetDown main', 'PolarisPushTokenRenewalFailing main']);
});

const ending = (end: () => void): Disposable => ({ [Symbol.dispose]: end });

test('a metastore that can’t be reached makes the source’s alert fire', async () => {
  await using parts = await watched();
  const { world, port, before } = parts;
  await world.metastore.postgres.stop('fast');
  const during = await seen(port, 'the source is down', (values) => valueOf(values, 'source_up') === 0);
  expect(alertsOf(before, during)).toEqual(['PolarisPushSourceNotFollowed hive']);
});

test('a metadata file that isn’t there makes the alert of parked tables fire, with why', async () => {
  await using parts = await watched();
  const { world, agent, port, before } = parts;
  await world.admin.query(
    `UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = "PARAM_VALUE" || '.gone' WHERE "PARAM_KEY" = 'metadata_location'
     AND "TBL_ID" = (SELECT "TBL_ID" FROM "TBLS" WHERE "TBL_NAME" = 'items')`,
  );
  await parked(agent, 'METADATA_MISSING');
  const missing = 'code="METADATA_MISSING"';
  const during = await seen(port, 'one is parked', (values) => valueOf(values, 'parked_tables', missing) === 1);
  expect(alertsOf(before, during)).toEqual(['PolarisPushTablesParked METADATA_MISSING main']);
});

test('tables that vanish in masses make the alert of held DROPs fire', async () => {
  await using parts = await watched({}, { config: { drops: { budget: { floor: 1, share: 0, per: '10m' } } } });
  const { agent, writer, port, before } = parts;
  for (const table of TABLES.slice(0, 4)) await writer.dropTable(table);
  await parked(agent, 'DROP_HELD');
  const during = await seen(
    port,
    'three are held',
    (values) => valueOf(values, 'parked_tables', 'code="DROP_HELD"') === 3,
  );
  expect(alertsOf(before, during)).toEqual(['PolarisPushDropsHeld DROP_HELD main']);
});

test('a slot whose WAL comes near to its limit fires, and one beyond it fires twice', async () => {
  await using parts = await watched({ settings: { max_slot_wal_keep_size: '64MB' } });
  const { world, port, before } = parts;
  // A transaction that is open keeps the slot from moving on, however much the agent confirms.
  const holder = await world.admin.connect();
  using _ = ending(() => holder.release(true));
  await holder.query('BEGIN');
  await holder.query("SELECT pg_logical_emit_message(true, 'holder', '')");
  await writeWal(world, (safe) => safe < 12 * MIB);
  const near = await seen(port, 'a quarter of it is left', (values) => leftBytes(values) < 16 * MIB);
  expect(alertsOf(before, near)).toEqual(['PolarisPushSlotNearLimit hive']);
  await writeWal(world, (safe) => safe < -MIB);
  const beyond = await seen(
    port,
    'PostgreSQL says so',
    (values) => valueOf(values, 'source_slot_state', 'slot="unreserved"') === 1,
  );
  expect(alertsOf(before, beyond)).toEqual(['PolarisPushSlotAtRisk unreserved hive', 'PolarisPushSlotNearLimit hive']);
});

const MIB = 1024 * 1024;

/** Writes WAL until what may yet be written for the slot is as wanted. */
const writeWal = (world: World, isEnough: (safeBytes: number) => boolean) =>
  eventually('enough WAL is written', async () => {
    await world.admin.query(`SELECT pg_logical_emit_message(false, 'filler', repeat('x', ${MIB}))`);
    const { rows } = await world.admin.query<{ safe: string }>(
      'SELECT safe_wal_size AS safe FROM pg_replication_slots',
    );
    return isEnough(Number(rows[0]?.safe));
  });

const leftBytes = (values: Scrape): number => valueOf(values, 'source_slot_safe_bytes') ?? Number.POSITIVE_INFINITY;

test('a table that was dropped in Polaris by hand makes the audit’s alert fire', async () => {
  await using parts = await watched({}, { config: { reconcile: { audit: '5s' } } });
  const { world, agent, port, before } = parts;
  await (await Hand.of(world)).dropTable('sales.items');
  await agent.logged('audited', ({ missing }) => Number(missing) > 0);
  const during = await seen(
    port,
    'one is missing',
    (values) => valueOf(values, 'drift_tables', 'drift="missing"') === 1,
  );
  expect(alertsOf(before, during)).toEqual(['PolarisPushDriftFound missing main']);
});

test('events that a receiver refuses, or that find none, make the alerts of sinks fire', async () => {
  await using receiver = await refusingReceiver();
  const config = { forward: [webhook('refusing', receiver.port), webhook('absent', 9)] };
  await using parts = await watched({}, { config });
  const { agent, port, before } = parts;
  await agent.logged('sink-down');
  const during = await seen(
    port,
    'one refuses, the other is away',
    (values) =>
      valueOf(values, 'sink_up', 'sink="absent"') === 0 &&
      valueOf(values, 'sink_buried_events', 'sink="refusing"') === TABLES.length,
  );
  expect(alertsOf(before, during)).toEqual(
    expect.arrayContaining(['PolarisPushEventsBuried refusing', 'PolarisPushSinkDown absent']),
  );
});

/** Answers every event with a refusal that is about the event. */
async function refusingReceiver() {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(422).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return { port, [Symbol.asyncDispose]: close };
}

const webhook = (name: string, port: number) => ({
  kind: 'webhook',
  name,
  url: `http://127.0.0.1:${port}/`,
  secret: `whsec_${Buffer.from('of a receiver that never works.').toString('base64')}`,
});
