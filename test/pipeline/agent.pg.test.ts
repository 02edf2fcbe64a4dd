import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { showTable } from '../../src/core/table.ts';
import { openRequests } from '../../src/ledger/requests.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import type { AnsweredRequest, EmulatedRequest } from '../../src/polaris/emulator/options.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { CATALOG, eventually, openWorld, type World } from './world.ts';

let world: World;

/** Each topic has a metastore and a Polaris of its own, so that what one breaks stays with it. */
function newWorld(): void {
  beforeAll(async () => {
    world = await openWorld();
    await world.writer.createNamespace('sales');
  });
  afterAll(() => world[Symbol.asyncDispose]());
}

type Of<K extends PipelineEvent['kind']> = PipelineEvent & { kind: K };
const parked =
  (table: string) =>
  (event: PipelineEvent): event is Of<'parked'> =>
    event.kind === 'parked' && showTable(event.table) === table;
const notified =
  (table: string, type?: string) =>
  (event: PipelineEvent): event is Of<'notified'> =>
    event.kind === 'notified' &&
    showTable(event.notification.table) === table &&
    (type === undefined || event.notification.type === type);

const nameOf = ({ table }: EmulatedRequest): string => (table === undefined ? '' : showTable(table));
const names = (prefix: string, n: number) => Array.from({ length: n }, (_, i) => `sales.${prefix}${i}`);

/** Every notification but VALIDATE that is answered while the test runs. */
function heard(): AnsweredRequest[] & Disposable {
  const requests: AnsweredRequest[] = [];
  const stop = world.polaris.onRequest((request) => {
    if (request.kind === 'notification' && request.type !== 'VALIDATE') requests.push(request);
  });
  return Object.assign(requests, { [Symbol.dispose]: stop });
}

/** A request to Polaris as another client sends it. */
async function ask(method: string, path: string, body?: unknown): Promise<number> {
  const base = `${world.polaris.uri}/api/catalog/v1`;
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: 'root',
    client_secret: 's3cr3t',
    scope: 'PRINCIPAL_ROLE:ALL',
  });
  const token = await fetch(`${base}/oauth/tokens`, { method: 'POST', body: form });
  const { access_token: bearer } = (await token.json()) as { access_token: string };
  const response = await fetch(path.startsWith('/') ? `${world.polaris.uri}${path}` : `${base}/${path}`, {
    method,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  await response.text();
  return response.status;
}

const served = () =>
  new Set([...world.polaris.tables(CATALOG).keys()].map((key) => (JSON.parse(key) as string[]).join('.')));

async function confirmedLsn(): Promise<bigint> {
  const { rows } = await world.client.query<{ lsn: string }>(
    `SELECT (confirmed_flush_lsn - '0/0')::text AS lsn FROM pg_replication_slots WHERE slot_name = 'polaris_push'`,
  );
  return BigInt(rows[0]?.lsn ?? 0);
}

/** A view's metadata, as Polaris reads it to register the view. */
function viewFile(warehouse: string): string {
  const folder = join(warehouse, 'sales.db', 'a_view', 'metadata');
  const metadata = {
    'view-uuid': randomUUID(),
    'format-version': 1,
    location: `file:${join(warehouse, 'sales.db', 'a_view')}`,
    schemas: [{ type: 'struct', 'schema-id': 0, fields: [] }],
    'current-version-id': 1,
    versions: [],
    'version-log': [],
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'v.metadata.json'), JSON.stringify(metadata));
  return `file:${join(folder, 'v.metadata.json')}`;
}

/** The metadata location of a table in the metastore becomes this, as a broken writer would have it. */
const point = (table: string, location: string) =>
  world.client.query(
    `UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = $2 WHERE "PARAM_KEY" = 'metadata_location' AND "TBL_ID" =
       (SELECT "TBL_ID" FROM "TBLS" JOIN "DBS" USING ("DB_ID") WHERE "NAME" || '.' || "TBL_NAME" = $1)`,
    [table, location],
  );

const offBudget = { drops: { budget: 'off' } };
const ownLedger = (name: string) => ({ ledger: { path: join(world.warehouse, '..', name, 'ledger.db') } });

describe('A target that can not be reached', () => {
  newWorld();

  test('holds back no WAL, and is made equal at its return', async () => {
    const { writer, polaris } = world;
    for (const name of names('down', 8)) await writer.createTable(name);
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await polaris.pause();
    await using afterwards = new AsyncDisposableStack();
    afterwards.defer(() => polaris.resume());
    const before = await confirmedLsn();
    for (const name of names('down', 8)) await writer.commit(name);
    await writer.dropTable('sales.down0');
    const { rows } = await world.client.query<{ lsn: string }>(`SELECT (pg_current_wal_lsn() - '0/0')::text AS lsn`);
    await eventually(async () => ((await confirmedLsn()) >= BigInt(rows[0]!.lsn) - 1n ? undefined : 'not confirmed'));
    expect(await confirmedLsn()).toBeGreaterThan(before);
    await agent.until((event): event is Of<'target-down'> => event.kind === 'target-down');
    await polaris.resume();
    await world.equal();
    await agent.stop();
  });

  test('delays nothing on another one', async () => {
    const { writer, polaris } = world;
    const { targets } = await world.config();
    const main = {
      name: 'main',
      uri: targets[0]!.uri,
      catalog: CATALOG,
      auth: { client_id: 'root', client_secret: 's3cr3t' },
    };
    const dead = { ...main, name: 'dead', uri: 'http://127.0.0.1:9/api/catalog' };
    await using agent = await world.startAgent({ overrides: { targets: [dead, main], ...ownLedger('two-targets') } });
    await agent.until((event): event is Of<'reconciled'> => event.kind === 'reconciled');
    await world.equal();
    for (const name of names('alive', 3)) {
      await writer.createTable(name);
      await eventually(async () => (served().has(name) ? undefined : `${name} is late`), 3000);
    }
    expect(polaris.tables(CATALOG).size).toBeGreaterThan(0);
    await agent.stop();
  });

  test('loses no change when it cuts connections after having done what it was told', async () => {
    const { writer } = world;
    let lost = 0;
    using during = new DisposableStack();
    during.defer(
      world.polaris.intercept(({ kind, type }) =>
        kind === 'notification' && type !== 'VALIDATE' && ++lost % 2 === 1 ? 'apply-then-reset' : 'pass',
      ),
    );
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await writer.createTable('sales.unanswered');
    await world.equal();
    await writer.commit('sales.unanswered');
    await world.equal();
    await writer.renameTable('sales.unanswered', 'sales.answered');
    await world.equal();
    await writer.dropTable('sales.answered');
    await world.equal();
    await eventually(async () => (agent.app.ledger.totals('main').pending === 0 ? undefined : 'work is left'));
    expect(lost).toBeGreaterThan(4);
    await agent.stop();
  });

  test('is obeyed when it limits the rate, and asked again when its restart made tokens void', async () => {
    const { writer, polaris } = world;
    await using agent = await world.startAgent();
    await agent.caughtUp();
    let refused = 0;
    {
      using during = new DisposableStack();
      during.defer(
        world.polaris.intercept(({ kind }) =>
          kind === 'notification' && refused++ < 6
            ? {
                status: 429,
                body: { error: { message: 'Rate exceeded', type: 'TooManyRequestsException', code: 429 } },
              }
            : 'pass',
        ),
      );
      for (const name of names('busy', 3)) await writer.createTable(name);
      await world.equal();
    }
    await polaris.restart();
    await writer.commit('sales.busy0');
    await world.equal();
    expect(agent.events.filter(({ kind }) => kind === 'parked')).toEqual([]);
    await agent.stop();
  });
});

describe('A table that Polaris refuses', () => {
  newWorld();

  test('is parked alone with its reason, while all others flow', async () => {
    const { writer, warehouse } = world;
    const outside = join(warehouse, '..', 'outside');
    mkdirSync(outside, { recursive: true });
    for (const name of ['garbage', 'outside', 'missing', 'fine']) await writer.createTable(`sales.${name}`);
    writeFileSync(join(warehouse, 'sales.db', 'garbage', 'metadata', '00009-garbage.metadata.json'), '{"no": "table"}');
    await point(
      'sales.garbage',
      `file:${join(warehouse, 'sales.db', 'garbage', 'metadata', '00009-garbage.metadata.json')}`,
    );
    await point('sales.outside', `file:${outside}/00001.metadata.json`);
    await point(
      'sales.missing',
      `file:${join(warehouse, 'sales.db', 'missing', 'metadata', '00009-gone.metadata.json')}`,
    );
    await writer.createNamespace('my sales');
    await writer.createTable('sales.blank');
    await writer.renameTable('sales.blank', 'my sales.orders');
    await using agent = await world.startAgent();
    const codes = await Promise.all(
      ['sales.garbage', 'sales.outside', 'sales.missing', '"my sales".orders'].map(
        async (table) => (await agent.until(parked(table))).parked.code,
      ),
    );
    expect(codes).toEqual(['METADATA_INVALID', 'LOCATION_NOT_ALLOWED', 'METADATA_MISSING', 'NAME_NOT_ADDRESSABLE']);
    await agent.caughtUp();
    await writer.commit('sales.fine');
    await agent.until(notified('sales.fine', 'UPDATE'));
    expect(served()).toContain('sales.fine');
    for (const table of ['sales.garbage', 'sales.outside', 'sales.missing', 'my sales.orders'])
      await writer.dropTable(table);
    await world.equal();
    await eventually(async () => (agent.app.ledger.totals('main').parked === 0 ? undefined : 'still parked'));
    await agent.stop();
  });

  test('because a view or a generic table has its name is mirrored once that is gone', async () => {
    const { writer, warehouse } = world;
    await writer.createTable('sales.first');
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await world.equal();
    const view = { name: 'held_by_view', 'metadata-location': viewFile(warehouse) };
    expect(await ask('POST', `${CATALOG}/namespaces/sales/register-view`, view)).toBe(200);
    const generic = `/api/catalog/polaris/v1/${CATALOG}/namespaces/sales/generic-tables`;
    expect(await ask('POST', generic, { name: 'held_by_generic', format: 'delta' })).toBe(200);
    for (const name of ['sales.held_by_view', 'sales.held_by_generic']) {
      await writer.createTable(name);
      expect((await agent.until(parked(name))).parked.code).toBe('NAME_TAKEN');
    }
    expect(await ask('DELETE', `${CATALOG}/namespaces/sales/views/held_by_view`)).toBe(204);
    expect(await ask('DELETE', `${generic}/held_by_generic`)).toBe(204);
    await writer.commit('sales.held_by_view');
    // The other one is put back to work by an operator, in a process of his own.
    const { ledger } = await world.config();
    using requests = openRequests(ledger.path, { clock: systemClock });
    requests.submit({ kind: 'retry' });
    await world.equal();
    expect(agent.app.ledger.totals('main').parked).toBe(0);
    await agent.stop();
  });

  test('because of a foreign timestamp is climbed over when that is near, and parked when it is far', async () => {
    const { writer } = world;
    for (const name of ['sales.near', 'sales.far']) await writer.createTable(name);
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await world.equal();
    const foreign = async (name: string, aheadMs: number) => {
      const location = [...world.polaris.tables(CATALOG)].find(([key]) => key === `["sales","${name}"]`)![1]
        .metadataLocation;
      const payload = { 'table-name': name, timestamp: Date.now() + aheadMs, 'metadata-location': location };
      const body = { 'notification-type': 'UPDATE', payload };
      expect(await ask('POST', `${CATALOG}/namespaces/sales/tables/${name}/notifications`, body)).toBe(204);
    };
    await foreign('near', 3_000_000);
    await foreign('far', 1e12);
    await writer.commit('sales.near');
    await writer.commit('sales.far');
    const { code, detail } = (await agent.until(parked('sales.far'))).parked;
    expect(code).toBe('TIMESTAMP_AHEAD');
    expect(detail).toMatch(/another sender/);
    await agent.until(notified('sales.near', 'UPDATE'));
    await writer.dropTable('sales.far');
    await world.equal();
    await agent.stop();
  });
});

describe('Renames', () => {
  newWorld();

  test('of a table are seamless: it is never missing under both names', async () => {
    const { writer, polaris } = world;
    for (const name of names('from', 6)) await writer.createTable(name);
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await world.equal();
    const missing: string[] = [];
    using watching = new DisposableStack();
    watching.defer(
      polaris.onRequest(() => {
        const now = served();
        for (const name of names('from', 6))
          if (!now.has(name) && !now.has(name.replace('from', 'to'))) missing.push(name);
      }),
    );
    // Some CREATEs are slow, some are refused at first.
    let refused = 0;
    using during = new DisposableStack();
    during.defer(
      world.polaris.intercept(({ type, kind }) => {
        if (kind !== 'notification' || type !== 'CREATE') return 'pass';
        return refused++ < 4 ? { status: 503, body: {} } : { delayMs: 20 };
      }),
    );
    await Promise.all(names('from', 6).map((name) => writer.renameTable(name, name.replace('from', 'to'))));
    await world.equal();
    expect(missing).toEqual([]);
    expect(refused).toBeGreaterThan(6);
    await agent.stop();
  });

  test('of a whole database move all its tables, and none of them is held', async () => {
    const { writer, client } = world;
    await writer.createNamespace('old_home');
    for (let i = 0; i < 25; i++) await writer.createTable(`old_home.t${i}`);
    await using agent = await world.startAgent({ overrides: { drops: { budget: { floor: 2, share: 0 } } } });
    await agent.caughtUp();
    await world.equal();
    await client.query(`UPDATE "DBS" SET "NAME" = 'new_home' WHERE "NAME" = 'old_home'`);
    await world.equal();
    expect([...served()].filter((name) => name.startsWith('new_home.'))).toHaveLength(25);
    expect(agent.events.filter(({ kind }) => kind === 'parked')).toEqual([]);
    await agent.stop();
  });

  test('that swap two tables through a third name end with each under its new name', async () => {
    const { writer } = world;
    for (const name of ['sales.a', 'sales.b']) await writer.createTable(name);
    await using agent = await world.startAgent({ overrides: offBudget });
    await agent.caughtUp();
    await world.equal();
    for (let round = 0; round < 3; round++) {
      await writer.renameTable('sales.a', 'sales.swap');
      await writer.renameTable('sales.b', 'sales.a');
      await writer.renameTable('sales.swap', 'sales.b');
    }
    await world.equal();
    expect([...served()].filter((name) => name.length === 'sales.a'.length).toSorted()).toEqual(['sales.a', 'sales.b']);
    await agent.stop();
  });
});

describe('Drops', () => {
  newWorld();

  test('of many tables at once are held until they are released', async () => {
    const { writer } = world;
    await writer.createNamespace('doomed');
    for (let i = 0; i < 8; i++) await writer.createTable(`doomed.t${i}`);
    const drops = { budget: { floor: 3, share: 0, per: '1h' } };
    await using agent = await world.startAgent({ overrides: { drops } });
    await agent.caughtUp();
    await world.equal();
    const { ledger } = await world.config();
    // What tests before dropped counts, too: a human lets all of it go.
    await writer.dropNamespaceCascade('doomed', 'server');
    await eventually(async () => (agent.app.ledger.totals('main').parked >= 5 ? undefined : 'not held yet'));
    expect([...served()].filter((name) => name.startsWith('doomed.')).length).toBeGreaterThanOrEqual(5);
    using requests = openRequests(ledger.path, { clock: systemClock });
    requests.submit({ kind: 'release' });
    await world.equal();
    expect(agent.app.ledger.totals('main').parked).toBe(0);
    await agent.stop();
  });

  test.for(['client', 'server'] as const)('of a database with its tables, cascaded by the %s, follow', async (by) => {
    const { writer } = world;
    await writer.createNamespace(`cascade_${by}`);
    for (let i = 0; i < 5; i++) await writer.createTable(`cascade_${by}.t${i}`);
    await using agent = await world.startAgent({ overrides: offBudget });
    await agent.caughtUp();
    await world.equal();
    await writer.dropNamespaceCascade(`cascade_${by}`, by);
    await world.equal();
    expect([...served()].filter((name) => name.startsWith(`cascade_${by}.`))).toEqual([]);
    await agent.stop();
  });

  test.for([
    ['keep', ['UPDATE']],
    ['replace', ['DROP', 'CREATE']],
  ] as const)('with recreate: %s, a table dropped and created again gets %s', async ([recreate, expected]) => {
    const { writer, polaris } = world;
    await writer.createTable('sales.nightly');
    await using agent = await world.startAgent({ overrides: { recreate, ...offBudget } });
    await agent.caughtUp();
    await world.equal();
    using requests = heard();
    // Polaris is away, so both changes are hints for one read.
    await polaris.pause();
    await writer.dropTable('sales.nightly');
    await writer.createTable('sales.nightly');
    await eventually(async () => {
      const { rows } = await world.client.query<{ n: string }>(
        'SELECT "TBL_ID"::text AS n FROM "TBLS" WHERE "TBL_NAME" = \'nightly\'',
      );
      return rows[0] === undefined ? 'not created' : undefined;
    });
    await polaris.resume();
    await world.equal();
    const kinds = requests.filter((request) => nameOf(request) === 'sales.nightly').map(({ type }) => type);
    expect(kinds.slice(-expected.length)).toEqual(expected);
    await agent.stop();
    await writer.dropTable('sales.nightly');
  });
});

describe('Bursts and losses', () => {
  newWorld();

  test('200 commits of one table become a few notifications', async () => {
    const { writer } = world;
    await writer.createTable('sales.hot');
    await using agent = await world.startAgent({ overrides: offBudget });
    await agent.caughtUp();
    await world.equal();
    using requests = heard();
    using during = new DisposableStack();
    during.defer(world.polaris.intercept(({ kind }) => (kind === 'notification' ? { delayMs: 100 } : 'pass')));
    for (let i = 0; i < 200; i++) await writer.commit('sales.hot');
    await world.equal();
    expect(requests.length).toBeGreaterThan(0);
    expect(requests.length).toBeLessThan(60);
    await agent.stop();
  });

  test('a lost ledger costs questions, not notifications', async () => {
    {
      await using agent = await world.startAgent({ overrides: offBudget });
      await agent.caughtUp();
      await world.equal();
    }
    expect(served().size).toBeGreaterThan(0);
    const { ledger } = await world.config();
    rmSync(join(ledger.path, '..'), { recursive: true, force: true });
    using requests = heard();
    await using agent = await world.startAgent({ overrides: offBudget });
    await agent.caughtUp();
    await world.equal();
    expect(requests).toHaveLength(0);
    expect(agent.app.ledger.totals('main').delivered).toBe(world.polaris.tables(CATALOG).size);
    // From here on it is as if nothing had happened.
    await world.writer.commit('sales.hot');
    await world.equal();
    await agent.stop();
  });
});

describe('A second agent', () => {
  newWorld();

  test('on the same ledger is refused, and the first goes on', async () => {
    await world.writer.createTable('sales.hot');
    await using agent = await world.startAgent({ overrides: offBudget });
    await agent.caughtUp();
    await expect(world.startAgent({ overrides: offBudget })).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    await world.writer.commit('sales.hot');
    await world.equal();
    await agent.stop();
  });

  test('on the same slot says so for as long as it lasts, and takes over afterwards', async () => {
    const first = await world.startAgent({ overrides: offBudget });
    await first.caughtUp();
    await using second = await world.startAgent({ overrides: { ...offBudget, ...ownLedger('second') } });
    await eventually(async () => (second.logged('task-failed').length > 0 ? undefined : 'nothing was said'));
    expect(String(second.logged('task-failed')[0]?.['error'])).toMatch(/slot polaris_push/);
    await world.writer.commit('sales.hot');
    await world.equal();
    await first.stop();
    await second.caughtUp();
    await world.writer.commit('sales.hot');
    await world.equal();
    await second.stop();
  });
});
