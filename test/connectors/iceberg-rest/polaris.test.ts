import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkSource } from '../../../connectors/iceberg-rest/check.ts';
import type { Connector } from '../../../src/connector/connector.ts';
import type { TableIdentifier } from '../../../src/core/types.ts';
import type { Finding } from '../../../src/core/finding.ts';
import type { PushError } from '../../../src/errors/errors.ts';
import { listAll, never, PolarisWorld, table } from './world.ts';

const orders = table('sales', 'orders');
const deep = table('ops', 'eu', 'west', 'trips');

const shown = (
  states: readonly { readonly table: { readonly namespace: readonly string[]; readonly name: string } }[],
) => states.map(({ table: { namespace, name } }) => [...namespace, name].join('/')).toSorted();

const loads = (requests: readonly string[]) => requests.filter((request) => request.includes('/tables/'));

describe('Another Polaris as the source', () => {
  test('is listed with namespaces of any depth, names of any characters, and with its views', async () => {
    await using world = await PolarisWorld.start();
    const tables = [orders, deep, table('ops', 'top'), table('a+b/c&d=e', 'dot.and/slash'), table('ops.eu', 'flat')];
    for (const one of tables) await world.create(one);
    await world.createView(table('sales', 'monthly'));
    await world.createNamespace(['empty', 'below']);
    const states = await listAll(await world.connector());
    expect(shown(states)).toEqual(
      shown([...tables.map((one) => ({ table: one })), { table: table('sales', 'monthly') }]),
    );
    expect(states.find(({ table: { name } }) => name === 'monthly')).toMatchObject({
      kind: 'unsupported',
      reason: 'an Iceberg view',
      incarnation: 'uuid-of-monthly',
    });
  });

  test('tells of a table where its metadata is, and by its uuid whether it is the same one', async () => {
    await using world = await PolarisWorld.start();
    const location = await world.create(orders);
    const before = Date.now();
    const [state] = await (await world.connector()).resolve([orders], never);
    expect(state).toMatchObject({ kind: 'present', table: orders, metadataLocation: location });
    if (state?.kind !== 'present') throw new Error('not present');
    expect(state.incarnation).toBe(state.tableUuid);
    expect(state.asOf).toBeGreaterThanOrEqual(before);
    expect(state.asOf).toBeLessThanOrEqual(Date.now());
  });

  test('answers 304 for what has not changed, which is cheap, and in full for what has', async () => {
    await using world = await PolarisWorld.start();
    await world.create(orders);
    const connector = await world.connector();
    const first = await connector.resolve([orders], never);
    const again = await connector.resolve([orders], never);
    expect(again.map((state) => ({ ...state, asOf: 0 }))).toEqual(first.map((state) => ({ ...state, asOf: 0 })));
    expect(connector.figures().unchanged).toBe(1);
    const location = await world.commit(orders);
    expect(await connector.resolve([orders], never)).toMatchObject([{ metadataLocation: location }]);
    expect(connector.figures()).toMatchObject({ unchanged: 1, requests: { load: 3, config: 1 } });
  });

  test('is not asked again about tables that a watch polls, but about all others', async () => {
    await using world = await PolarisWorld.start();
    for (const name of ['a', 'b', 'c']) await world.create(table('sales', name));
    const connector = await world.connector();
    const listed = async () => {
      let states: readonly unknown[] = [];
      const asked = loads(await world.asked(async () => (states = await listAll(connector))));
      return { states, asked };
    };
    expect((await listed()).asked).toHaveLength(3);
    // Nobody watches: what is known may be old.
    expect((await listed()).asked).toHaveLength(3);
    const stop = new AbortController();
    const watching = connector.watch(undefined, stop.signal)[Symbol.asyncIterator]().next();
    await world.create(table('sales', 'd'));
    const location = await world.commit(table('sales', 'a'));
    await connector.resolve([table('sales', 'a')], never);
    const { states, asked } = await listed();
    expect(asked.filter((request) => request.endsWith('/b'))).toEqual([]);
    expect(states).toContainEqual(expect.objectContaining({ table: table('sales', 'a'), metadataLocation: location }));
    expect(states).toHaveLength(4);
    stop.abort();
    await watching;
    await connector.watch(undefined, stop.signal)[Symbol.asyncIterator]().next();
  });

  test('does not list what was dropped, and says that it is absent', async () => {
    await using world = await PolarisWorld.start();
    await world.create(orders);
    await world.create(table('sales', 'other'));
    const connector = await world.connector();
    await listAll(connector);
    await world.drop(orders);
    expect(shown(await listAll(connector))).toEqual(['sales/other']);
    expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'absent', table: orders }]);
  });
});

describe('A table that the source answers 404 for', () => {
  test('is absent if the whole listing of its namespace lacks it, which is asked for once', async () => {
    await using world = await PolarisWorld.start();
    await world.create(orders);
    const gone = Array.from({ length: 20 }, (_, i) => table('sales', `gone-${i}`));
    const connector = await world.connector();
    const asked = await world.asked(async () => {
      const states = await connector.resolve([...gone, orders], never);
      expect(states.map(({ kind }) => kind)).toEqual([...gone.map(() => 'absent'), 'present']);
    });
    expect(asked.filter((request) => request.endsWith('/sales/tables'))).toHaveLength(1);
  });

  test('is absent if its namespace is missing, too, at whatever level', async () => {
    await using world = await PolarisWorld.start();
    await world.create(table('ops', 'eu', 'x'));
    const connector = await world.connector();
    const asked = [
      table('nowhere', 'a'),
      table('ops', 'us', 'a'),
      table('ops', 'us', 'west', 'a'),
      table('x', 'y', 'z', 'a'),
    ];
    expect((await connector.resolve(asked, never)).map(({ kind }) => kind)).toEqual(asked.map(() => 'absent'));
  });

  test('is a view if a view has the name, and its incarnation is that of no table', async () => {
    await using world = await PolarisWorld.start();
    await world.createView(table('sales', 'orders'));
    const connector = await world.connector();
    expect(await connector.resolve([orders], never)).toMatchObject([
      { kind: 'unsupported', reason: 'an Iceberg view', incarnation: 'uuid-of-orders' },
    ]);
    await world.send('DELETE', '/api/catalog/v1/lake/namespaces/sales/views/orders');
    expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'absent' }]);
  });

  test('is an error if it is listed all the same: then it is hidden, or its metadata is missing', async () => {
    await using world = await PolarisWorld.start();
    await world.create(orders);
    await world.create(table('sales', 'other'));
    world.emulator.intercept(({ kind, table: asked }) =>
      kind === 'load' && asked?.name === 'orders'
        ? { status: 404, body: { error: { message: 'Table does not exist', type: 'NoSuchTableException', code: 404 } } }
        : 'pass',
    );
    const connector = await world.connector();
    await expect(connector.resolve([orders], never)).rejects.toMatchObject({ code: 'REST_TABLE_HIDDEN' });
    // Beside others it delays none of them, and is never said to be gone.
    const states = await connector.resolve([orders, table('sales', 'other')], never);
    expect(states).toMatchObject([{ kind: 'unsupported', reason: /REST_TABLE_HIDDEN/ }, { kind: 'present' }]);
    expect(states[0]).not.toHaveProperty('incarnation');
  });

  test('is present if it was made between the two questions', async () => {
    await using world = await PolarisWorld.start();
    await world.create(table('sales', 'other'));
    let created = false;
    world.emulator.intercept(async ({ kind }): Promise<'pass'> => {
      if (kind === 'list' && !created) {
        created = true;
        await world.create(orders);
      }
      return 'pass';
    });
    expect(await (await world.connector()).resolve([orders], never)).toMatchObject([{ kind: 'present' }]);
  });

  const vouching = [
    ['the listing of its namespace', '/sales/tables', 403, 'REST_FORBIDDEN'],
    ['the listing of its namespace', '/sales/tables', 500, 'REST_UNAVAILABLE'],
    // The parent lists the namespace.
    ['the listing of its namespace', '/sales/tables', 404, 'REST_FORBIDDEN'],
    ['the look for a view', '/views/orders', 403, 'REST_FORBIDDEN'],
    ['the look for a view', '/views/orders', 500, 'REST_UNAVAILABLE'],
  ] as const;

  test.for(vouching)(
    'is an error if %s, which would vouch for its absence, at %s is answered %s',
    async ([, path, status, code]) => {
      await using world = await PolarisWorld.start();
      await world.create(table('sales', 'other'));
      world.emulator.intercept((request) => (request.path.endsWith(path) ? { status } : 'pass'));
      await expect((await world.connector()).resolve([orders], never)).rejects.toMatchObject({ code });
    },
  );

  test.for([
    [403, 'REST_FORBIDDEN'],
    [500, 'REST_UNAVAILABLE'],
    [404, 'REST_WAREHOUSE_UNKNOWN'],
  ] as const)(
    'is an error if its namespace is missing and the listing of namespaces is answered %s',
    async ([status, code]) => {
      await using world = await PolarisWorld.start();
      world.emulator.intercept(({ path }) => (path.endsWith('/namespaces') ? { status } : 'pass'));
      await expect((await world.connector()).resolve([orders], never)).rejects.toMatchObject({ code });
    },
  );

  test('is no question for a name that nobody can ask for', async () => {
    await using world = await PolarisWorld.start();
    const connector = await world.connector();
    const asked = await world.asked(async () => {
      const states = await connector.resolve([table('sales', '..'), table('a\u001Fb', 'x')], never);
      expect(states.map(({ kind }) => kind)).toEqual(['unsupported', 'unsupported']);
    });
    expect(loads(asked)).toEqual([]);
  });
});

describe('One table that may not be read', () => {
  test('is told of among the others, which are read', async () => {
    await using world = await PolarisWorld.start();
    for (const name of ['a', 'b']) await world.create(table('sales', name));
    world.emulator.intercept(({ kind, table: asked }) =>
      kind === 'load' && asked?.name === 'a' ? { status: 403 } : 'pass',
    );
    const connector = await world.connector();
    const both = [table('sales', 'a'), table('sales', 'b')];
    expect(await connector.resolve(both, never)).toMatchObject([
      { kind: 'unsupported', reason: /REST_FORBIDDEN/ },
      { kind: 'present' },
    ]);
    expect((await listAll(connector)).toSorted((x, y) => (x.table.name < y.table.name ? -1 : 1))).toMatchObject([
      { kind: 'unsupported', reason: /REST_FORBIDDEN/ },
      { kind: 'present' },
    ]);
    await expect(connector.resolve(both.slice(0, 1), never)).rejects.toMatchObject({ code: 'REST_FORBIDDEN' });
  });

  test('is left out of a list, and not told of as gone, while the source stumbles over it', async () => {
    await using world = await PolarisWorld.start();
    for (const name of ['a', 'b']) await world.create(table('sales', name));
    world.emulator.intercept(({ kind, table: asked }) =>
      kind === 'load' && asked?.name === 'a' ? { status: 503 } : 'pass',
    );
    const connector = await world.connector();
    expect(shown(await listAll(connector))).toEqual(['sales/b']);
    expect(world.log.lines).toContainEqual(expect.objectContaining({ level: 'warn', event: 'table-not-read' }));
    await expect(connector.resolve([table('sales', 'a'), table('sales', 'b')], never)).rejects.toMatchObject({
      code: 'REST_UNAVAILABLE',
    });
  });

  test('is in a namespace that may not be listed: the others are, unless there is no other', async () => {
    await using world = await PolarisWorld.start();
    await world.create(orders);
    await world.create(deep);
    world.emulator.intercept(({ path }) => (path.endsWith('/sales/tables') ? { status: 403 } : 'pass'));
    const connector = await world.connector();
    expect(shown(await listAll(connector))).toEqual(['ops/eu/west/trips']);
    expect(world.log.lines).toContainEqual(expect.objectContaining({ level: 'warn', event: 'namespace-not-listed' }));
    await world.drop(deep);
    await expect(listAll(connector)).rejects.toMatchObject({ code: 'REST_FORBIDDEN' });
  });
});

const codeOf = (error: unknown) => (error as PushError).code;

describe('The privileges that the guide asks for', () => {
  const PRIVILEGES = ['NAMESPACE_LIST', 'TABLE_READ_PROPERTIES', 'VIEW_READ_PROPERTIES'];

  test('are in the guide', () => {
    const guide = readFileSync(new URL('../../../docs/iceberg-rest.md', import.meta.url), 'utf8');
    for (const privilege of PRIVILEGES) expect(guide).toContain(`\`${privilege}\``);
  });

  test('are enough to list, resolve and check', async () => {
    await using world = await PolarisWorld.start();
    await world.create(orders);
    await world.createView(table('sales', 'monthly'));
    const auth = await world.principal('reader', PRIVILEGES);
    const connector = await world.connector({ auth });
    const kinds = (await listAll(connector)).map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(['present', 'unsupported']);
    const asked = [orders, table('sales', 'gone'), table('nowhere', 'x'), table('sales', 'monthly')];
    expect((await connector.resolve(asked, never)).map(({ kind }) => kind)).toEqual([
      'present',
      'absent',
      'absent',
      'unsupported',
    ]);
    const found: Finding[] = [];
    for await (const finding of checkSource(world.config({ auth }), world.deps, never)) found.push(finding);
    expect(found.filter(({ level }) => level !== 'ok')).toEqual([]);
  });

  test.for([
    ['NAMESPACE_LIST', ['present', 'REST_FORBIDDEN', 'unsupported'], 'REST_FORBIDDEN'],
    ['TABLE_READ_PROPERTIES', ['REST_FORBIDDEN', 'absent', 'REST_FORBIDDEN'], 'REST_FORBIDDEN'],
    ['VIEW_READ_PROPERTIES', ['present', 'absent', 'REST_FORBIDDEN'], 1],
  ] as const)(
    'are all needed: without %s a table, one nowhere and a view are %j',
    async ([lacking, expected, listed]) => {
      await using world = await PolarisWorld.start();
      await world.create(orders);
      await world.createView(table('sales', 'monthly'));
      const granted = PRIVILEGES.filter((privilege) => privilege !== lacking);
      const connector = await world.connector({ auth: await world.principal('reader', granted) });
      const ask = (one: TableIdentifier) => connector.resolve([one], never).then(([state]) => state?.kind, codeOf);
      const outcomes = await Promise.all([orders, table('nowhere', 'x'), table('sales', 'monthly')].map(ask));
      const listing = await listAll(connector).then((states) => states.length, codeOf);
      expect({ outcomes, listing }).toEqual({ outcomes: expected, listing: listed });
    },
  );
});

describe('A source that is down', () => {
  test('is found to be so after few requests, however many tables were asked for', async () => {
    await using world = await PolarisWorld.start();
    const many = Array.from({ length: 100 }, (_, i) => table('sales', `t${i}`));
    for (const one of many) await world.create(one);
    let asked = 0;
    world.emulator.intercept(({ kind }) => {
      if (kind !== 'load') return 'pass';
      asked++;
      return 'reset';
    });
    for (const question of [
      (connector: Connector) => connector.resolve(many, never),
      (connector: Connector) => listAll(connector),
    ]) {
      asked = 0;
      await expect(question(await world.connector({ poll: { requests_per_second: 40 } }))).rejects.toMatchObject({
        code: 'REST_UNREACHABLE',
      });
      // Asked for one after the other, all of them would have been tried three times before the first is given up.
      expect(asked).toBeLessThan(200);
    }
  });
});

describe('A source under load', () => {
  test('is never asked more than the budget allows', async () => {
    await using world = await PolarisWorld.start();
    for (let i = 0; i < 30; i++) await world.create(table('sales', `t${i}`));
    const connector = await world.connector({ poll: { requests_per_second: 40 } });
    const startedMs = performance.now();
    await listAll(connector);
    const { requests } = connector.figures();
    const sent = Object.values(requests).reduce((sum, count) => sum + count, 0);
    expect(sent).toBeGreaterThan(30);
    await listAll(connector);
    await listAll(connector);
    const all = Object.values(connector.figures().requests).reduce((sum, count) => sum + count, 0);
    // A burst of one second's worth, then the rate.
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(((all - 40) / 40) * 1000 - 50);
  });

  test('is left alone for as long as it asks, and asked again', async () => {
    await using world = await PolarisWorld.start();
    await world.create(orders);
    let refused = 0;
    world.emulator.intercept(({ kind }) =>
      kind === 'load' && refused++ < 2 ? { status: 429, headers: { 'retry-after': '0' } } : 'pass',
    );
    const connector = await world.connector();
    expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'present' }]);
    expect(connector.figures()).toMatchObject({ throttled: 2, retried: 2 });
  });

  test('that restarts is asked again until it is there, with a new token', async () => {
    await using world = await PolarisWorld.start();
    await world.create(orders);
    const connector = await world.connector();
    await connector.resolve([orders], never);
    await world.emulator.pause();
    const reading = connector.resolve([orders], never);
    await world.emulator.restart();
    expect(await reading).toMatchObject([{ kind: 'present' }]);
  });
});
