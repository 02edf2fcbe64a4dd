import { describe, expect, test } from 'vitest';
import type { PushError } from '../../../src/errors/errors.ts';
import type { Seen } from '../../polaris/stand-in.ts';
import {
  CONFIG,
  html,
  icebergError,
  json,
  loaded,
  PATHS,
  ScriptedWorld,
  SMALL,
  TOKEN,
  type Script,
} from './scripted.ts';
import { listAll, never, table } from './world.ts';

const orders = table('sales', 'orders');

async function failing(script: Script, changes: Readonly<Record<string, unknown>> = {}): Promise<PushError> {
  await using world = await ScriptedWorld.start({ ...SMALL, ...script });
  const connector = await world.connector(changes);
  const error: unknown = await listAll(connector).catch((reason: unknown) => reason);
  if (!(error instanceof Error)) throw new Error(`It listed ${JSON.stringify(error)}.`);
  return error as PushError;
}

describe('A server that is no catalog', () => {
  test.for([
    ['a web page', html(200, 'Welcome')],
    ['a web page that is not found', html(404, 'Not here')],
    ['nothing', { status: 404 }],
    ['something else in JSON', json({ hello: 'world' })],
    ['a list', json([])],
    ['half a JSON', { status: 200, text: '{"overrides": {' }],
    ['a configuration that never ends', { status: 200, text: `{"overrides": {"x": "${'x'.repeat(2 ** 21)}"}}` }],
  ] as const)('is told from one when it answers %s', async ([, answer]) => {
    expect(await failing({ [PATHS.config]: answer })).toMatchObject({
      code: 'REST_NOT_A_CATALOG',
      message: expect.stringContaining('/v1/config') as string,
    });
  });

  test('shows the title of its page, and not the page', async () => {
    const { message } = await failing({ [PATHS.config]: html(404, 'Not   here') });
    expect(message).toContain('a web page titled "Not here"');
    expect(message).not.toContain('xxxx');
  });

  test('is told from one that lacks the warehouse', async () => {
    const answer = icebergError(404, 'NotFoundException', 'Unable to find warehouse lake');
    expect(await failing({ [PATHS.config]: answer })).toMatchObject({ code: 'REST_WAREHOUSE_UNKNOWN' });
    expect(await failing({ [PATHS.config]: { status: 404 } })).toMatchObject({ code: 'REST_NOT_A_CATALOG' });
  });

  test.for([
    ['the namespaces', PATHS.namespaces],
    ['the tables', PATHS.tables],
    ['a table', PATHS.orders],
  ] as const)('is not taken for an empty one where it answers a web page for %s', async ([, path]) => {
    expect(await failing({ [path]: html(200, 'Log in') })).toMatchObject({ code: 'REST_NOT_A_CATALOG' });
  });
});

describe('A catalog in trouble', () => {
  test.for([500, 502, 503, 504])('that answers %s is asked again some times, and then told of', async (status) => {
    await using world = await ScriptedWorld.start({ ...SMALL, [PATHS.namespaces]: html(status, 'Bad gateway') });
    await expect(listAll(await world.connector())).rejects.toMatchObject({
      code: 'REST_UNAVAILABLE',
      message: expect.stringContaining(`HTTP ${status}`) as string,
    });
    expect(world.paths.filter((path) => path.startsWith(PATHS.namespaces))).toHaveLength(4);
  });

  test('that recovers is read as if nothing had been', async () => {
    let asked = 0;
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.orders]: () => (asked++ === 0 ? { status: 503 } : loaded()),
    });
    expect(await listAll(await world.connector())).toMatchObject([{ kind: 'present' }]);
  });

  test('that cuts connections is unreachable, and asked again before', async () => {
    const cut = await failing({
      [PATHS.namespaces]: (seen) => {
        seen.cut();
        return { status: 200 };
      },
    });
    expect(cut).toMatchObject({ code: 'REST_UNREACHABLE' });
  });

  test('that wants to be left alone for an hour is not waited for', async () => {
    const throttled = await failing({ [PATHS.namespaces]: { status: 429, headers: { 'retry-after': '3600' } } });
    expect(throttled).toMatchObject({ code: 'REST_THROTTLED' });
  });

  test('that says when by a date is asked again then', async () => {
    let asked = 0;
    const due = new Date(Date.now() - 1000).toUTCString();
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.orders]: () => (asked++ === 0 ? { status: 503, headers: { 'retry-after': due } } : loaded()),
    });
    expect(await listAll(await world.connector())).toHaveLength(1);
  });

  test('ends every question soon after an abort, whatever it waits for', async () => {
    await using world = await ScriptedWorld.start({ ...SMALL, [PATHS.orders]: { status: 503 } });
    const connector = await world.connector();
    const stop = new AbortController();
    const reading = connector.resolve([orders], stop.signal);
    setTimeout(() => stop.abort(new Error('stopped by the test')), 100);
    await expect(reading).rejects.toThrow('stopped by the test');
  });
});

describe('Redirections', () => {
  test('within the catalog are followed, with the credentials', async () => {
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.config]: { status: 308, headers: { location: '/api/catalog/v1/other' } },
      'v1/other': { status: 302, headers: { location: 'configuration?warehouse=lake' } },
      'v1/configuration': CONFIG,
    });
    expect(await listAll(await world.connector())).toHaveLength(1);
    for (const { headers } of world.server.seen) expect(headers.authorization).toBe(`Bearer ${TOKEN}`);
  });

  test('in a circle are an error at once', async () => {
    const looping = await failing({
      [PATHS.config]: { status: 307, headers: { location: '/api/catalog/v1/a' } },
      'v1/a': { status: 307, headers: { location: '/api/catalog/v1/b' } },
      'v1/b': { status: 307, headers: { location: '/api/catalog/v1/a' } },
    });
    expect(looping).toMatchObject({
      code: 'REST_REDIRECTED',
      message: expect.stringContaining('in a circle') as string,
    });
  });

  test('without an end are followed five times', async () => {
    let asked = 0;
    const endless = await failing({
      [PATHS.config]: (_seen, query) => {
        asked++;
        return { status: 307, headers: { location: `/api/catalog/v1/config?n=${Number(query.get('n') ?? 0) + 1}` } };
      },
    });
    expect(endless).toMatchObject({ code: 'REST_REDIRECTED', message: expect.stringContaining('after 5') as string });
    expect(asked).toBe(6);
  });

  test('to another host are not followed, as the credentials have no business there', async () => {
    await using elsewhere = await ScriptedWorld.start(SMALL);
    const location = `http://127.0.0.1:${elsewhere.server.port}/login?token=${TOKEN}`;
    const led = await failing({ [PATHS.config]: { status: 302, headers: { location } } });
    expect(led).toMatchObject({ code: 'REST_REDIRECTED' });
    expect(led.message).toContain(`http://127.0.0.1:${elsewhere.server.port}`);
    expect(led.message).not.toContain(TOKEN);
    expect(elsewhere.server.seen).toEqual([]);
  });
});

const named = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ namespace: ['sales'], name: `t${from + i}` }));

const offer = (...endpoints: string[]) => json({ overrides: { prefix: 'ws' }, endpoints });

describe('A listing', () => {
  const anyTable: Script = Object.fromEntries(named(0, 50).map(({ name }) => [`${PATHS.tables}/${name}`, loaded()]));

  test('in pages is followed to its end, and each name told once', async () => {
    const pages: Readonly<Record<string, [number, string?]>> = { '': [0, 'a/b+c'], 'a/b+c': [15, 'last'], last: [30] };
    await using world = await ScriptedWorld.start({
      ...SMALL,
      ...anyTable,
      [PATHS.tables]: (_seen, query) => {
        const [from, next] = pages[query.get('pageToken') ?? ''] ?? [0];
        return json({ identifiers: named(from, 20), 'next-page-token': next ?? null });
      },
    });
    const states = await listAll(await world.connector());
    expect(new Set(states.map((state) => state.table.name)).size).toBe(50);
    expect(states).toHaveLength(50);
    expect(world.paths.filter((path) => path.startsWith(`${PATHS.tables}?`))).toHaveLength(3);
  });

  test('whose cursor leads back is an error, not a list', async () => {
    const circling = await failing({
      ...anyTable,
      [PATHS.tables]: (_seen, query) =>
        json({ identifiers: named(0, 5), 'next-page-token': query.get('pageToken') === 'a' ? 'b' : 'a' }),
    });
    expect(circling).toMatchObject({ code: 'REST_LISTING_ENDLESS' });
  });

  test('whose cursor always changes and brings nothing new is an error after some pages', async () => {
    let pages = 0;
    const endless = await failing({
      [PATHS.namespaces]: () => json({ namespaces: [['sales']], 'next-page-token': `${++pages}` }),
    });
    expect(endless).toMatchObject({
      code: 'REST_LISTING_ENDLESS',
      message: expect.stringContaining('nothing new') as string,
    });
    expect(pages).toBe(11);
  });

  test.for([2, { after: 't4' }, ['t4'], true])(
    'whose cursor is no text, such as %j, is an error, not its end',
    async (next) => {
      // The table is on the next page, and denied: cut here, the listing would say that it is gone.
      await using world = await ScriptedWorld.start({
        ...SMALL,
        [PATHS.tables]: json({ identifiers: named(0, 5), 'next-page-token': next }),
        [PATHS.orders]: icebergError(404, 'NoSuchTableException', 'Table does not exist'),
      });
      const connector = await world.connector();
      await expect(connector.resolve([orders], never)).rejects.toMatchObject({ code: 'REST_NOT_A_CATALOG' });
    },
  );

  test('may have empty pages in between', async () => {
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.namespaces]: (_seen, query) => {
        if (query.has('parent')) return json({ namespaces: [] });
        const page = Number(query.get('pageToken') ?? 0);
        return json({ namespaces: page === 5 ? [['sales']] : [], 'next-page-token': page < 5 ? `${page + 1}` : '' });
      },
    });
    expect(await listAll(await world.connector())).toHaveLength(1);
  });

  test('of a catalog that overlooks `parent` does not lead around in circles', async () => {
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.namespaces]: json({ namespaces: [['sales'], ['ops']] }),
      'v1/ws/namespaces/ops/tables': json({ identifiers: [] }),
    });
    const connector = await world.connector();
    expect(await listAll(connector)).toHaveLength(1);
    // What it says of levels proves nothing, so nothing below one is absent on its word.
    await expect(connector.resolve([table('sales', 'deep', 'x')], never)).rejects.toMatchObject({
      code: 'REST_FAILED',
    });
  });

  test('of namespaces below one that may not be looked into holds up none of the others', async () => {
    const answers: Readonly<Record<string, ReturnType<typeof json>>> = {
      '': json({ namespaces: [['ops'], ['sales']] }),
      ops: icebergError(403, 'ForbiddenException', 'not authorized for op LIST_NAMESPACES'),
    };
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.namespaces]: (_seen, query) => answers[query.get('parent') ?? ''] ?? json({ namespaces: [] }),
      'v1/ws/namespaces/ops/tables': json({ identifiers: [] }),
    });
    const connector = await world.connector();
    expect(await listAll(connector)).toMatchObject([{ kind: 'present', table: orders }]);
    expect(world.log.lines).toContainEqual(expect.objectContaining({ level: 'warn', event: 'namespaces-not-listed' }));
    // That says nothing of what is there.
    await expect(connector.resolve([table('ops', 'eu', 'trips')], never)).rejects.toMatchObject({
      code: 'REST_FORBIDDEN',
    });
  });

  test('of a catalog that has no levels of namespaces asks for them once', async () => {
    const refusal = icebergError(400, 'UnsupportedOperationException', 'Nested namespaces are not supported');
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.namespaces]: (_seen, query) => (query.has('parent') ? refusal : json({ namespaces: [['sales']] })),
    });
    const connector = await world.connector();
    expect(await listAll(connector)).toHaveLength(1);
    expect(await listAll(connector)).toHaveLength(1);
    expect(world.paths.filter((path) => path.includes('parent='))).toHaveLength(1);
  });

  test('asks for what the catalog offers, and not for what it does not', async () => {
    const all = ['namespaces', 'namespaces/{namespace}/tables', 'namespaces/{namespace}/tables/{table}'].map(
      (path) => `GET /v1/{prefix}/${path}`,
    );
    await using world = await ScriptedWorld.start({ ...SMALL, [PATHS.config]: offer(...all) });
    const connector = await world.connector();
    expect(await listAll(connector)).toHaveLength(1);
    expect(await connector.resolve([table('sales', 'gone')], never)).toMatchObject([{ kind: 'absent' }]);
    expect(world.paths.filter((path) => path.includes('/views'))).toEqual([]);
    expect(await failing({ [PATHS.config]: offer(...all.slice(0, 2)) })).toMatchObject({
      code: 'REST_ENDPOINT_MISSING',
      message: expect.stringContaining('tables/{…}') as string,
    });
  });
});

const text = (body: string) => ({ status: 200, text: body });

describe('A table', () => {
  test('without a metadata location is unsupported, told of once, and never taken for gone', async () => {
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.orders]: loaded({ 'metadata-location': undefined }),
    });
    const connector = await world.connector();
    const expected = {
      kind: 'unsupported',
      reason: expect.stringContaining('metadata-location') as string,
      incarnation: 'uuid-1',
    };
    expect(await listAll(connector)).toMatchObject([expected]);
    expect(await connector.resolve([orders], never)).toMatchObject([expected]);
    expect(world.log.lines.filter(({ event }) => event === 'metadata-location-missing')).toHaveLength(1);
  });

  test('without a uuid, as in format version 1, has an incarnation all the same', async () => {
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.orders]: loaded({ metadata: { 'format-version': 1 } }),
    });
    expect(await listAll(await world.connector())).toMatchObject([{ kind: 'present', incarnation: 'unknown' }]);
  });

  test('whose metadata is larger than is read tells what stands at its beginning', async () => {
    const metadata = `{"format-version":2,"table-uuid":"uuid-9","properties":{"p":"${'x'.repeat(129 * 1024 * 1024)}"}}`;
    const location = String.raw`s3://lake/with \"quotes\"/1.json`;
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.orders]: text(`{"metadata-location":"${location}","metadata":${metadata}}`),
      [`${PATHS.tables}/late`]: text(`{"metadata":${metadata},"metadata-location":"${location}"}`),
    });
    const connector = await world.connector();
    expect(await connector.resolve([orders], never)).toMatchObject([
      { kind: 'present', metadataLocation: 's3://lake/with "quotes"/1.json', tableUuid: 'uuid-9' },
    ]);
    await expect(connector.resolve([table('sales', 'late')], never)).rejects.toMatchObject({
      code: 'REST_ANSWER_TOO_LARGE',
    });
  });

  test.for([400, 404, 405, 501])(
    'is absent by the word of a catalog that answers %s to a question for views, as it has none',
    async (status) => {
      await using world = await ScriptedWorld.start({
        ...SMALL,
        [PATHS.tables]: json({ identifiers: [] }),
        [PATHS.orders]: icebergError(404, 'NoSuchTableException', 'no'),
        [PATHS.view]: { status },
      });
      expect(await (await world.connector()).resolve([orders], never)).toMatchObject([{ kind: 'absent' }]);
    },
  );

  test('that is answered 304 on no condition is an error', async () => {
    const error = await failing({ [PATHS.orders]: { status: 304 } });
    expect(error).toMatchObject({ code: 'REST_FAILED' });
  });

  test('is read by its ETag as the catalog sent it, weak or not', async () => {
    const etags: (string | undefined)[] = [];
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.orders]: (seen) => {
        etags.push(seen.headers['if-none-match']);
        return seen.headers['if-none-match'] === undefined ? loaded({}, { etag: 'W/"a b"' }) : { status: 304 };
      },
    });
    const connector = await world.connector();
    await connector.resolve([orders], never);
    expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'present', tableUuid: 'uuid-1' }]);
    expect(etags).toEqual([undefined, 'W/"a b"']);
    expect(world.paths.at(-1)).toBe(`${PATHS.orders}?snapshots=refs`);
  });
});

describe('The catalog’s configuration', () => {
  test('may name no prefix, and a separator of its own', async () => {
    await using world = await ScriptedWorld.start({
      [PATHS.config]: json({ defaults: { 'namespace-separator': '.' }, overrides: {} }),
      'v1/namespaces': (_seen, query) =>
        json({ namespaces: query.get('parent') === null ? [['a']] : query.get('parent') === 'a' ? [['a', 'b']] : [] }),
      'v1/namespaces/a/tables': json({ identifiers: [] }),
      'v1/namespaces/a.b/tables': json({ identifiers: [{ namespace: ['a', 'b'], name: 'orders' }] }),
      'v1/namespaces/a.b/tables/orders': loaded(),
    });
    expect(await listAll(await world.connector())).toMatchObject([
      { kind: 'present', table: table('a', 'b', 'orders') },
    ]);
  });

  test('may put another prefix and address above the defaults', async () => {
    await using other = await ScriptedWorld.start({ ...SMALL, [PATHS.config]: { status: 500 } });
    await using world = await ScriptedWorld.start({
      [PATHS.config]: json({
        defaults: { prefix: 'default', uri: 'http://default.invalid' },
        overrides: { prefix: 'ws', uri: `http://127.0.0.1:${other.server.port}/api/catalog/` },
      }),
    });
    expect(await listAll(await world.connector())).toHaveLength(1);
    expect(world.paths).toEqual(['v1/config?warehouse=lake']);
  });

  test('is asked for again when the catalog says that its root is not there', async () => {
    let prefix = 'old';
    await using world = await ScriptedWorld.start({ ...SMALL, [PATHS.config]: () => json({ overrides: { prefix } }) });
    const connector = await world.connector();
    await expect(listAll(connector)).rejects.toMatchObject({ code: 'REST_WAREHOUSE_UNKNOWN' });
    prefix = 'ws';
    expect(await listAll(connector)).toHaveLength(1);
  });

  test('is asked for once by everybody who needs it at the same time, and without a warehouse if none is set', async () => {
    await using world = await ScriptedWorld.start(SMALL);
    const connector = await world.connector({ warehouse: undefined });
    await Promise.all(Array.from({ length: 10 }, () => connector.resolve([orders], never)));
    expect(world.paths.filter((path) => path.startsWith(PATHS.config))).toEqual([PATHS.config]);
  });

  test('that names another prefix is another catalog, of which nothing is asked before the source is prepared anew', async () => {
    const gone = icebergError(404, 'NoSuchWarehouseException', 'no such warehouse');
    let script: Script = SMALL;
    const ask = (path: string) => (seen: Seen, query: URLSearchParams) => {
      const answer = script[path] ?? gone;
      return typeof answer === 'function' ? answer(seen, query) : answer;
    };
    const again = 'v1/again/namespaces';
    await using world = await ScriptedWorld.start(
      Object.fromEntries([...Object.values(PATHS), again].map((path) => [path, ask(path)])),
    );
    const connector = await world.connector();
    await connector.prepare(never);
    expect(connector.identity).toBe('prefix ws');
    expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'present' }]);
    // Deleted, and made anew under its name: empty.
    script = { [PATHS.config]: json({ overrides: { prefix: 'again' } }), [again]: json({ namespaces: [] }) };
    for (let i = 0; i < 3; i++)
      await expect(connector.resolve([orders], never)).rejects.toMatchObject({ code: 'REST_WAREHOUSE_UNKNOWN' });
    await connector.prepare(never);
    expect(connector.identity).toBe('prefix again');
    expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'absent' }]);
  });
});
