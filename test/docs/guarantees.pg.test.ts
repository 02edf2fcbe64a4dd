import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { truth } from '../../examples/quickstart/truth.ts';
import { showTable, tableOf } from '../../src/core/table.ts';
import { tableEvent, type TableEvent } from '../../src/forward/cloud-event.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { startEmulator, type Emulator } from '../../src/polaris/emulator/emulator.ts';
import type { AnsweredRequest, EmulatedRequest, Fault } from '../../src/polaris/emulator/options.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { CATALOG, eventually, openWorld, type World } from '../pipeline/world.ts';
import { StandIn } from '../polaris/stand-in.ts';
import { agentProcesses } from './agent-process.ts';

let world: World;
beforeEach(async () => {
  world = await openWorld();
  await world.writer.createNamespace('sales');
});
afterEach(() => world[Symbol.asyncDispose]());

const tables = (count: number) => Array.from({ length: count }, (_, i) => `sales.t${i}`);
const createAll = async (names: readonly string[]) => {
  for (const name of names) await world.writer.createTable(name);
};
const nameOf = ({ table }: EmulatedRequest) => (table === undefined ? '' : showTable(table));
const versionOf = (metadataLocation: string) => Number(/(\d{5})-[^/]*$/.exec(metadataLocation)?.[1]);
const isNotification = ({ kind, type }: EmulatedRequest) => kind === 'notification' && type !== 'VALIDATE';
const admitted = ({ status }: AnsweredRequest) => status === 204;

/** Makes the source's clock show `sql`: a function of ours is found before PostgreSQL's own. Counts for new connections. */
async function setSourceClock(sql: string): Promise<void> {
  await world.client.query(
    `CREATE SCHEMA IF NOT EXISTS clock;
     CREATE OR REPLACE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT ${sql} $$;
     ALTER DATABASE postgres SET search_path = clock, pg_catalog, public`,
  );
}

/** The timestamps of one table's notifications, in the order of their arrival, strictly increase. */
function expectGrowing(requests: readonly EmulatedRequest[]): void {
  const timestamps = requests.map(({ timestamp = 0n }) => timestamp);
  expect(timestamps).toEqual([...new Set(timestamps)].toSorted((a, b) => (a < b ? -1 : 1)));
}

const target = (name: string, { uri }: Emulator) => ({
  name,
  uri: `${uri}/api/catalog`,
  catalog: CATALOG,
  auth: { client_id: 'root', client_secret: 's3cr3t' },
});

/** Every notification that Polaris answers from here on. */
function answers(): AnsweredRequest[] {
  const seen: AnsweredRequest[] = [];
  world.polaris.onRequest((request) => {
    if (isNotification(request)) seen.push(request);
  });
  return seen;
}

const isReconciled = (event: PipelineEvent): event is PipelineEvent & { kind: 'reconciled' } =>
  event.kind === 'reconciled';
const isParked = (event: PipelineEvent): event is PipelineEvent & { kind: 'parked' } => event.kind === 'parked';

describe('guaranteed', () => {
  test('at least once from source commit to Polaris', async () => {
    const { writer, polaris } = world;
    const names = tables(5);
    await createAll(names);
    const faults = seededRandom(1);
    const cut = new Set<Fault>();
    polaris.intercept((request): Fault => {
      if (!isNotification(request) || faults() > 0.4) return 'pass';
      const fault = faults() < 0.5 ? 'reset' : 'apply-then-reset';
      cut.add(fault);
      return fault;
    });
    for (let round = 0; round < 3; round++) {
      await using agent = await world.startAgent();
      await agent.caughtUp();
      await Promise.all(names.map((name) => writer.commit(name)));
      await polaris.restart();
      await Promise.all(names.map((name) => writer.commit(name)));
      // Stopped in the middle: what is left over is the next one's.
      await agent.stop();
      await Promise.all(names.map((name) => writer.commit(name)));
    }
    await using agent = await world.startAgent();
    await world.equal();
    await agent.stop();
    expect(cut.size).toBe(2);
  });

  test('order per table', async () => {
    const { writer, polaris } = world;
    const names = tables(3);
    await createAll(names);
    const random = seededRandom(2);
    const under = new Map<string, number>();
    let overtaken = 0;
    polaris.intercept((request): Fault => {
      if (!isNotification(request)) return 'pass';
      const open = (under.get(nameOf(request)) ?? 0) + 1;
      under.set(nameOf(request), open);
      if (open > 1) overtaken += 1;
      return { delayMs: Math.floor(random() * 20) };
    });
    const seen = answers();
    polaris.onRequest((request) => {
      if (isNotification(request)) under.set(nameOf(request), (under.get(nameOf(request)) ?? 0) - 1);
    });
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await Promise.all(
      names.map(async (name) => {
        for (let i = 0; i < 40; i++) await writer.commit(name);
      }),
    );
    await world.equal();
    await agent.stop();
    expect(overtaken).toBe(0);
    for (const requests of Map.groupBy(seen.filter(admitted), nameOf).values()) {
      const versions = requests.map(({ metadataLocation = '' }) => versionOf(metadataLocation));
      expect(versions).toEqual(versions.toSorted((a, b) => a - b));
      expect(versions.at(-1)).toBe(40);
    }
  });

  test('timestamps strictly increase per table through restarts, clock steps, DROP and re-creation', async () => {
    const { writer } = world;
    const seen = answers();
    // Both clocks go back by a day for the second agent, and forth by one for the third.
    for (const days of [0, -1, 1]) {
      await setSourceClock(`pg_catalog.now() + interval '${days} day'`);
      await writer.createTable('sales.orders');
      const clock = { ...systemClock, now: () => systemClock.now() + days * 86_400_000 };
      await using agent = await world.startAgent({ clock });
      await agent.caughtUp();
      for (let i = 0; i < 3; i++) {
        await writer.commit('sales.orders');
        await world.equal();
      }
      await writer.dropTable('sales.orders');
      await world.equal();
      await agent.stop();
    }
    expect(new Set(seen.map(({ type }) => type))).toEqual(new Set(['CREATE', 'UPDATE', 'DROP']));
    expectGrowing(seen);
  });

  test('convergence to the source within one reconcile interval, even if every event is lost', async () => {
    const { writer, client } = world;
    const [kept = '', gone = ''] = tables(2);
    await createAll([kept, gone]);
    const overrides = {
      source: { kind: 'hive', connection: world.postgres.url(), inspect: '1h' },
      reconcile: { every: '3s' },
    };
    await using agent = await world.startAgent({ overrides });
    await agent.caughtUp();
    const before = agent.events.length;
    // PostgreSQL decodes a change by the publication as it was then: this one hides all of them, and nobody is told.
    await client.query('ALTER PUBLICATION polaris_push SET TABLE "CTLGS"');
    await writer.commit(kept);
    await writer.dropTable(gone);
    await writer.createTable('sales.come');
    // A change that the stream had told would be delivered long before the list, which then finds no difference.
    const found = () =>
      agent.events.slice(before).reduce((sum, event) => sum + (isReconciled(event) ? event.hints : 0), 0);
    await agent.until((event): event is PipelineEvent => isReconciled(event) && found() >= 3);
    await world.equal();
    // No new start healed it.
    expect(agent.events.slice(before).filter(({ kind }) => kind === 'caught-up')).toEqual([]);
    await agent.stop();
  });

  test('never a DROP of a table that the source has', async () => {
    const { writer, client, postgres } = world;
    const [busy = '', stripped = '', doomed = ''] = tables(3);
    await createAll([busy, stripped, doomed]);
    const seen = answers();
    await using agent = await world.startAgent();
    await agent.caughtUp();
    // The source can't say; it says that the table is no Iceberg table any more; it says what it says, and goes away.
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'polaris-push%'`,
    );
    await client.query(
      `DELETE FROM "TABLE_PARAMS" WHERE "PARAM_KEY" IN ('table_type', 'metadata_location')
       AND "TBL_ID" = (SELECT "TBL_ID" FROM "TBLS" WHERE "TBL_NAME" = $1)`,
      [stripped.split('.')[1]],
    );
    await postgres.stop('fast');
    await postgres.start();
    await writer.commit(busy);
    await writer.dropTable(doomed);
    const reader = await postgres.client();
    await eventually(async () => {
      const served = world.polaris.tables(CATALOG).size;
      return served === 2 ? undefined : `${served} tables are served`;
    });
    expect([...(await truth(reader)).keys()]).toEqual([busy]);
    await reader.end();
    await agent.stop();
    expect(seen.filter(({ type }) => type === 'DROP').map(nameOf)).toEqual([doomed]);
  });

  test('nothing is acknowledged to the source that is not durable', async () => {
    const { writer, client } = world;
    await createAll(tables(1));
    const config = await world.config();
    const overrides = { source: { kind: 'hive', connection: world.postgres.url(), keepalive: '50ms' } };
    await using agent = await world.startAgent({ overrides });
    await agent.caughtUp();
    const slot = async () => {
      const { rows } = await client.query<{ received: boolean; confirmed: boolean; replied: boolean }>(
        `SELECT r.write_lsn >= $1::pg_lsn OR r.sent_lsn >= $1::pg_lsn AS received, s.confirmed_flush_lsn >= $1::pg_lsn AS confirmed,
                r.reply_time > now() - interval '1 second' AS replied
         FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid`,
        [lsn],
      );
      return rows[0];
    };
    // Somebody else's transaction keeps the ledger from committing.
    const blocker = new DatabaseSync(config.ledger.path);
    blocker.exec('BEGIN IMMEDIATE');
    await writer.commit('sales.t0');
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    const lsn = rows[0]?.lsn ?? '';
    const repliesAfter = async (count: number) => {
      const times = new Set<string>();
      await eventually(async () => {
        const found = await client.query<{ at: string; sent: boolean }>(
          'SELECT reply_time::text AS at, sent_lsn >= $1::pg_lsn AS sent FROM pg_stat_replication',
          [lsn],
        );
        if (found.rows[0]?.sent === true) times.add(found.rows[0].at);
        return times.size > count ? undefined : `${times.size} replies`;
      });
    };
    await repliesAfter(5);
    expect(await slot()).toMatchObject({ received: true, confirmed: false });
    blocker.exec('ROLLBACK');
    blocker.close();
    await eventually(async () => ((await slot())?.confirmed === true ? undefined : 'not confirmed yet'));
    await world.equal();
    await agent.stop();
  });

  test('one bad table or target delays nobody else', async () => {
    const { writer, client } = world;
    const [bad = '', ...good] = tables(5);
    await createAll([bad, ...good]);
    const warehouse = (await truth(client)).get(bad)?.replace(/\/sales\.db\/.*/, '') ?? '';
    await using second = await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: warehouse }] });
    const overrides = { targets: [target('main', world.polaris), target('other', second)] };
    await using agent = await world.startAgent({ overrides });
    await agent.caughtUp();
    await second.pause();
    await client.query(
      `UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = "PARAM_VALUE" || '.gone' WHERE "PARAM_KEY" = 'metadata_location'
       AND "TBL_ID" = (SELECT "TBL_ID" FROM "TBLS" WHERE "TBL_NAME" = $1)`,
      [bad.split('.')[1]],
    );
    await Promise.all(good.map((name) => writer.commit(name)));
    const behind = async (polaris: Emulator) => {
      const served = new Map([...polaris.tables(CATALOG)].map(([key, table]) => [showTable(tableOf(key)), table]));
      const source = await truth(client);
      return good.filter((name) => served.get(name)?.metadataLocation !== source.get(name));
    };
    await eventually(async () => (await behind(world.polaris)).join() || undefined);
    expect(await behind(second)).toEqual(good);
    expect((await agent.until(isParked)).parked.code).toBe('METADATA_MISSING');
    await second.resume();
    await eventually(async () => (await behind(second)).join() || undefined, 20_000);
    await agent.stop();
  });

  test('a restart from any crash point needs no operator', async () => {
    const { writer, polaris } = world;
    const names = tables(8);
    await createAll(names);
    // With a clock that stands still, only what the ledger remembers makes timestamps grow.
    await setSourceClock(`timestamptz '2026-01-01'`);
    using agents = agentProcesses(world);
    const sent: EmulatedRequest[] = [];
    const commits = new AbortController();
    const load = (async () => {
      while (!commits.signal.aborted) for (const name of names) await writer.commit(name);
    })();
    // Killed when its nth notification has arrived: before that has an effect, or after, without an answer.
    for (const [nth, fault] of [
      [1, 'reset'],
      [2, 'apply-then-reset'],
      [5, 'pass'],
      [11, 'apply-then-reset'],
      [20, 'reset'],
    ] as const) {
      await using agent = agents.start();
      const killed = Promise.withResolvers<void>();
      let count = 0;
      const release = polaris.intercept((request): Fault => {
        if (!isNotification(request)) return 'pass';
        sent.push(request);
        if (++count !== nth) return 'pass';
        agent.kill().then(killed.resolve, killed.reject);
        return fault;
      });
      await killed.promise;
      release();
    }
    commits.abort();
    await load;
    await using agent = agents.start();
    await agent.printed('Caught up');
    await world.equal();
    expect(await agent.stop()).toBe(0);
    // What was sent right before a crash is remembered: nothing used its timestamp again, or a lower one.
    for (const requests of Map.groupBy(sent, nameOf).values()) expectGrowing(requests);
    expect(sent.filter(({ type }) => type === 'DROP')).toEqual([]);
  });

  test('at least once from Polaris to every sink of events', async () => {
    const events: TableEvent[] = [];
    let requests = 0;
    await using receiver = await StandIn.start((seen) => {
      requests += 1;
      if (requests % 3 === 0) return { status: 503 };
      events.push(tableEvent.parse(JSON.parse(seen.body)));
      // It has the event, but the agent doesn't learn that.
      if (requests % 4 === 0) seen.cut();
      return { status: 204 };
    });
    const url = `http://127.0.0.1:${receiver.port}/`;
    const overrides = { forward: [{ kind: 'webhook', url, secret: 'a-secret-of-sixteen-or-more', timeout: '1s' }] };
    const names = tables(10);
    for (let life = 0; life < 3; life++) {
      await using agent = await world.startAgent({ overrides });
      await agent.caughtUp();
      if (life === 0) await createAll(names);
      for (const name of names) await world.writer.commit(name);
      if (life === 1) await world.writer.dropTable(names.pop() ?? '');
      await world.equal();
    }
    await using _ = await world.startAgent({ overrides });
    await eventually(async () => {
      const last = new Map<string, TableEvent['data']>();
      for (const { subject, data } of events) last.set(subject, data);
      const served = new Map(
        [...world.polaris.tables(CATALOG)].map(([key, table]) => [showTable(tableOf(key)), table.metadataLocation]),
      );
      const untold = [...last].filter(([name, data]) => data['metadata-location'] !== served.get(name));
      return untold.length === 0 && last.size === 10
        ? undefined
        : `not told of ${untold.map(([name]) => name).join(', ')}`;
    }, 20_000);
    expect(events.length).toBeGreaterThan(new Set(events.map(({ id }) => id)).size);
    for (const one of Map.groupBy(events, ({ subject }) => subject).values()) {
      const timestamps = one.map(({ data }) => data.timestamp);
      expect(timestamps).toEqual(timestamps.toSorted((a, b) => a - b));
    }
  });

  test('memory is bounded by the number of tables', async () => {
    const { writer, polaris } = world;
    const names = tables(10);
    await createAll(names);
    await using agent = await world.startAgent();
    await agent.caughtUp();
    const seen = answers();
    await polaris.pause();
    await Promise.all(
      names.map(async (name) => {
        for (let i = 0; i < 50; i++) await writer.commit(name);
      }),
    );
    await eventually(async () => {
      const { pending } = agent.app.ledger.totals('main');
      return pending === names.length ? undefined : `${pending} tables are pending`;
    });
    expect(agent.app.ledger.totals('main').entries).toBe(names.length);
    await polaris.resume();
    await world.equal();
    await agent.stop();
    // 500 commits; each table's is one notification, or one more where a read came between.
    expect(seen.filter(admitted).length).toBeLessThanOrEqual(2 * names.length);
  });
});
