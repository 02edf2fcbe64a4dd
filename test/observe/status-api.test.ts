import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { showTable } from '../../src/core/table.ts';
import { openApi } from '../../src/observe/openapi.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { HOSTILE, hostile, healthy, lagging, MARKUP, openStage, SCENARIOS, withParked } from '../page/stage.ts';

const ADMIN = 'the-admin-token-of-this-test';

type Json = { readonly [key: string]: unknown };
type Operation = { readonly responses: Readonly<Record<string, { readonly content?: Json }>> };
const document = openApi() as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Json };
};

/** Throws unless the answer is one that the document tells of. */
async function fits(method: 'get' | 'post', path: string, answer: Response): Promise<unknown> {
  const operation = document.paths[path]?.[method];
  const told = operation?.responses[String(answer.status)];
  if (told === undefined) throw new Error(`${method} ${path}: ${answer.status} is not in the document`);
  const type = answer.headers.get('content-type') ?? '';
  const media = told.content?.[type] as { readonly schema: Json } | undefined;
  if (media === undefined) throw new Error(`${method} ${path}: ${type} is not in the document`);
  const body: unknown = await answer.json();
  const schema = JSON.parse(
    JSON.stringify({ ...media.schema, $defs: document.components.schemas }).replaceAll(
      '#/components/schemas/',
      '#/$defs/',
    ),
  ) as Parameters<typeof z.fromJSONSchema>[0];
  const { error } = z.fromJSONSchema(schema).safeParse(body);
  if (error !== undefined) throw new Error(`${method} ${path}: ${z.prettifyError(error)}`);
  return body;
}

const QUERIES: Readonly<Record<string, readonly string[]>> = {
  '/api/v1/status': [''],
  '/api/v1/history': [''],
  '/api/v1/notifications': ['', '?limit=2', '?limit=0'],
  '/api/v1/tables': ['', '?state=parked&target=main', '?state=held&limit=3', '?state=pending', '?state=x', '?target=x'],
  '/api/v1/tables/search': ['?q=sales', '?q=', '?q=nothing-is-called-so'],
  '/api/v1/table': [
    '?name=sales.orders',
    '?name=legacy.sales_2020',
    '?name=finance.ledger_01',
    '?name=no.such',
    '?name=x',
  ],
  '/api/v1/openapi.json': [''],
};

const answer = (status: number, body: unknown) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });

/** As if the search had answered so. */
const search = (status: number, body: unknown) => fits('get', '/api/v1/tables/search', answer(status, body));

describe('The OpenAPI document', () => {
  test.for(Object.entries(SCENARIOS))('tells of every answer of an agent that is %s', async ([, scenario]) => {
    await using stage = await openStage(scenario, { history: true });
    const gets = Object.keys(document.paths).filter((path) => document.paths[path]?.['get'] !== undefined);
    expect(gets.filter((path) => path !== '/api/v1/events').toSorted()).toEqual(Object.keys(QUERIES).toSorted());
    for (const [path, queries] of Object.entries(QUERIES))
      for (const query of queries)
        expect(await fits('get', path, await fetch(stage.uri + path + query))).toBeTypeOf('object');
  });

  test('tells of every answer to an order', async () => {
    await using stage = await openStage(withParked, { adminToken: ADMIN });
    for (const path of ['/api/v1/retry', '/api/v1/drops/release'])
      for (const [headers, body] of [
        [{}, '{}'],
        [{ 'x-admin-token': ADMIN }, '{}'],
        [{ 'x-admin-token': ADMIN, 'content-type': 'application/json' }, '{}'],
        [{ 'x-admin-token': ADMIN, 'content-type': 'application/json' }, '{"tables":[]}'],
        [{ 'x-admin-token': ADMIN, 'content-type': 'application/json' }, '{"table":1}'],
      ] as const)
        expect(await fits('post', path, await fetch(stage.uri + path, { method: 'POST', headers, body }))).toBeTypeOf(
          'object',
        );
  });

  test('is served as it is in the reference', async () => {
    await using stage = await openStage(healthy);
    const served: unknown = await (await fetch(`${stage.uri}/api/v1/openapi.json`)).json();
    const kept = readFileSync(new URL('../../docs/reference/openapi.json', import.meta.url), 'utf8');
    expect(served).toEqual(JSON.parse(kept));
  });

  test('is noticed not to fit: a field too many, one too few, another type, another status', async () => {
    const good = { tables: ['a.b'], complete: true };
    await expect(search(200, good)).resolves.toEqual(good);
    await expect(search(200, { ...good, more: 1 })).rejects.toThrow('more');
    await expect(search(200, { tables: [] })).rejects.toThrow('complete');
    await expect(search(200, { ...good, tables: [1] })).rejects.toThrow('tables');
    await expect(search(418, good)).rejects.toThrow('418');
  });
});

describe('Every answer', () => {
  test('says that nobody may keep it, guess its type or frame it', async () => {
    await using stage = await openStage(healthy);
    for (const path of ['/', '/page.css', '/page.js', '/api/v1/status', '/api/v1/table', '/api/v1/openapi.json']) {
      const { headers } = await fetch(stage.uri + path);
      expect([path, headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual([
        path,
        'no-store',
        'nosniff',
      ]);
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'/);
      expect(headers.get('content-security-policy')).not.toContain('unsafe');
      expect(headers.get('access-control-allow-origin')).toBe(null);
    }
  });

  test('needs the token where one is configured, the page too', async () => {
    await using stage = await openStage(healthy, { token: 'a-token-of-this-server' });
    for (const path of ['/', '/page.js', '/api/v1/status', '/api/v1/events', '/api/v1/retry'])
      expect([path, (await fetch(stage.uri + path)).status]).toEqual([path, 401]);
    const headers = { authorization: 'Bearer a-token-of-this-server' };
    expect((await fetch(`${stage.uri}/api/v1/status`, { headers })).status).toBe(200);
  });

  test('has its secrets masked, live ones too', async () => {
    await using stage = await openStage(hostile, { mask: (text) => text.replaceAll('owned', '***') });
    for (const path of ['status', 'tables', 'notifications'])
      expect(await (await fetch(`${stage.uri}/api/v1/${path}`)).text()).not.toContain('owned');
    const text = await firstEvents(stage.uri, 'notifications');
    expect(text).toContain('***');
    expect(text).not.toContain('owned');
  });
});

describe('The page', () => {
  const FOLDER = new URL('../../src/observe/page/', import.meta.url);

  test('has no script or style but in files, as its policy lets nothing else run', () => {
    const page = readFileSync(new URL('page.html', FOLDER), 'utf8');
    expect(page).not.toMatch(/<style|style=|\son\w+=|javascript:|https?:/i);
    expect(page.match(/<script[^>]*>/g)).toEqual(['<script type="module" src="page.js">']);
  });

  test('makes markup of no text, and asks no other server', () => {
    for (const file of readdirSync(FOLDER).filter((name) => /\.(js|css)$/.test(name))) {
      const source = readFileSync(new URL(file, FOLDER), 'utf8');
      expect([
        file,
        source.match(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b/g),
      ]).toEqual([file, null]);
      expect([file, source.match(/https?:\/\/(?!www\.w3\.org\/2000\/svg)|url\(/g)]).toEqual([file, null]);
    }
  });
});

const get = async (uri: string, path: string) => (await (await fetch(`${uri}/api/v1/${path}`)).json()) as never;

describe('Tables', () => {
  test('that are parked come with reason and fix, those that wait longest first', async () => {
    await using stage = await openStage(withParked);
    const { tables } = await get(stage.uri, 'tables?state=parked');
    expect(tables[0]).toMatchObject({
      target: 'main',
      table: 'sales.returns_staging',
      parked: { code: 'METADATA_MISSING', fix: expect.stringContaining('Restore') as string },
    });
    expect(await get(stage.uri, 'tables?state=held&limit=5')).toMatchObject({
      complete: false,
      tables: Array.from({ length: 5 }, () => ({ state: 'held', parked: { code: 'DROP_HELD' } })),
    });
  });

  test('are found by a part of their name, in any case', async () => {
    await using stage = await openStage(withParked);
    expect(await get(stage.uri, 'tables/search?q=RETURNS')).toEqual({
      tables: ['sales.returns', 'sales.returns_staging'],
      complete: true,
    });
    expect(await get(stage.uri, 'tables/search?q=a')).toMatchObject({ complete: false });
  });

  test('tell where they stand on each target, and their last notifications', async () => {
    await using stage = await openStage(SCENARIOS['target-down']);
    expect(await get(stage.uri, 'table?name=sales.orders')).toMatchObject({
      table: 'sales.orders',
      targets: [
        { target: 'main', state: 'delivered', delivered: { type: 'UPDATE' } },
        { target: 'disaster-recovery', state: 'delivered' },
      ],
      notifications: [
        { target: 'main', outcome: 'unavailable' },
        { target: 'disaster-recovery', outcome: 'admitted' },
      ],
    });
  });

  test('with hostile names are found by the name that is shown, which holds no control character', async () => {
    await using stage = await openStage(hostile);
    for (const table of HOSTILE) {
      const name = showTable(table);
      expect(name).not.toMatch(/[\p{C}]/u);
      expect(await get(stage.uri, `table?name=${encodeURIComponent(name)}`)).toMatchObject({
        table: name,
        targets: [{ state: 'parked', parked: { detail: MARKUP } }],
      });
    }
  });

  test('have a thousand notifications remembered, however many there were', async () => {
    await using stage = await openStage(healthy);
    for (let i = 0; i < 2500; i++) stage.notify({ table: { namespace: ['many'], name: `t${i}` } });
    const { notifications } = (await get(stage.uri, 'notifications?limit=1000')) as {
      readonly notifications: readonly { readonly table: string }[];
    };
    expect(notifications.map(({ table }) => table)).toEqual(
      Array.from({ length: 1000 }, (_, i) => `many.t${2499 - i}`),
    );
  });
});

const post = (uri: string, path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${uri}/api/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

describe('Orders', () => {
  const admin = { 'x-admin-token': ADMIN };

  test('are refused without a configured token, without the token, and with a wrong one, which is logged', async () => {
    const logged: string[] = [];
    const log = { ...silentLog, warn: (event: string) => void logged.push(event) };
    await using readOnly = await openStage(withParked, { log });
    expect((await post(readOnly.uri, 'retry', {}, admin)).status).toBe(403);
    await using stage = await openStage(withParked, { adminToken: ADMIN, log });
    expect((await post(stage.uri, 'retry', {})).status).toBe(403);
    expect(logged).toEqual([]);
    expect((await post(stage.uri, 'drops/release', {}, { 'x-admin-token': `${ADMIN}x` })).status).toBe(403);
    expect(logged).toEqual(['admin-token-refused']);
    expect([...readOnly.orders, ...stage.orders]).toEqual([]);
  });

  test('retry what is parked and release what is held, and never the other', async () => {
    await using stage = await openStage(withParked, { adminToken: ADMIN });
    expect(await (await post(stage.uri, 'retry', {}, admin)).json()).toEqual({ tables: 12, request: 1 });
    expect(await (await post(stage.uri, 'drops/release', { target: 'main' }, admin)).json()).toMatchObject({
      tables: 12,
    });
    const [retry, release] = stage.orders;
    expect([retry?.kind, retry?.tables.map(showTable).filter((name) => name.startsWith('finance'))]).toEqual([
      'retry',
      [],
    ]);
    expect([release?.kind, release?.tables.every(({ namespace }) => namespace[0] === 'finance')]).toEqual([
      'release',
      true,
    ]);
  });

  test('may name their tables, which must be parked or held', async () => {
    await using stage = await openStage(withParked, { adminToken: ADMIN });
    const named = { tables: ['finance.ledger_03'] };
    expect((await post(stage.uri, 'retry', named, admin)).status).toBe(400);
    expect((await post(stage.uri, 'drops/release', named, admin)).status).toBe(202);
    expect(stage.orders).toMatchObject([{ kind: 'release', tables: [{ namespace: ['finance'], name: 'ledger_03' }] }]);
  });

  test('are not taken from a form, nor longer than a mebibyte', async () => {
    await using stage = await openStage(withParked, { adminToken: ADMIN });
    expect((await post(stage.uri, 'retry', {}, { ...admin, 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post(stage.uri, 'retry', { target: 'x'.repeat(1024 ** 2) }, admin)).status).toBe(413);
  });
});

/** What the stream has said when an event of this name was over. */
async function firstEvents(uri: string, name: string): Promise<string> {
  const aborter = new AbortController();
  const { body } = await fetch(`${uri}/api/v1/events`, { signal: aborter.signal });
  let text = '';
  for await (const part of body!.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (new RegExp(`event: ${name}\\ndata: .*\\n\\n`).test(text)) break;
  }
  aborter.abort();
  return text;
}

test('a status is told as an event at once, and again when it is another', async () => {
  await using stage = await openStage(healthy);
  const aborter = new AbortController();
  const { body, headers } = await fetch(`${stage.uri}/api/v1/events`, { signal: aborter.signal });
  expect(headers.get('content-type')).toBe('text/event-stream');
  const pending: string[] = [];
  let text = '';
  for await (const part of body!.pipeThrough(new TextDecoderStream())) {
    text += part;
    pending.push(...(part.match(/"pending":\d+/g) ?? []));
    if (pending.length > 0) stage.become(lagging);
    if (pending.includes('"pending":412')) break;
  }
  aborter.abort();
  expect(pending).toEqual(['"pending":0', '"pending":412']);
  expect(text.match(/event: notifications/g)).toHaveLength(1);
});
