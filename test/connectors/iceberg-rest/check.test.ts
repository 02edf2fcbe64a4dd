import { describe, expect, test } from 'vitest';
import { checkSource } from '../../../connectors/iceberg-rest/check.ts';
import type { Finding } from '../../../src/core/finding.ts';
import { freePort } from '../../polaris/stand-in.ts';
import { html, icebergError, json, loaded, PATHS, ScriptedWorld, SMALL, type Script } from './scripted.ts';
import { never, PolarisWorld, RestWorld, table } from './world.ts';

async function findings(
  world: RestWorld,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for await (const finding of checkSource(world.config(changes), world.deps, never)) found.push(finding);
  return found;
}

async function scripted(script: Script, changes: Readonly<Record<string, unknown>> = {}): Promise<readonly Finding[]> {
  await using world = await ScriptedWorld.start({ ...SMALL, ...script });
  return await findings(world, changes);
}

const levels = (found: readonly Finding[]) => Object.fromEntries(found.map(({ subject, level }) => [subject, level]));
const bad = (found: readonly Finding[]) => found.filter(({ level }) => level !== 'ok');

describe('A check of an Iceberg REST source', () => {
  test('finds every step of a good one in order', async () => {
    await using world = await PolarisWorld.start();
    await world.createNamespace(['empty']);
    const location = await world.create(table('ops', 'eu', 'trips'));
    const found = await findings(world);
    expect(found.map(({ subject, level }) => [subject, level])).toEqual([
      ['reachable', 'ok'],
      ['configuration', 'ok'],
      ['endpoints', 'ok'],
      ['authorized', 'ok'],
      ['namespaces', 'ok'],
      ['tables', 'ok'],
      ['conditional loads', 'ok'],
      ['views', 'ok'],
      ['webhook', 'ok'],
      ['clock', 'ok'],
    ]);
    expect(found.find(({ subject }) => subject === 'tables')?.detail).toBe(`ops.eu.trips is at ${location}`);
  });

  test('tells a catalog without tables from one that hides them', async () => {
    expect(bad(await scripted({ [PATHS.tables]: json({ identifiers: [] }) }))).toEqual([]);
    const hidden = await scripted({
      [PATHS.orders]: icebergError(404, 'NoSuchTableException', 'Table does not exist'),
    });
    expect(bad(hidden)).toMatchObject([{ level: 'error', subject: 'tables', code: 'REST_TABLE_HIDDEN' }]);
  });

  test('warns of a table that cannot be loaded where another one can', async () => {
    const names = ['100%', 'orders'].map((name) => ({ namespace: ['sales'], name }));
    const found = await scripted({
      [PATHS.tables]: json({ identifiers: names }),
      [`${PATHS.tables}/100%25`]: html(400, 'Ambiguous URI path encoding'),
    });
    expect(found.filter(({ subject }) => subject === 'tables')).toMatchObject([
      { level: 'warning', detail: expect.stringContaining('sales.100%') as string },
      { level: 'ok', detail: expect.stringContaining('sales.orders is at') as string },
    ]);
  });

  test('finds that metadata locations are not told, and what to do', async () => {
    const found = await scripted({ [PATHS.orders]: loaded({ 'metadata-location': null }) });
    expect(bad(found)).toMatchObject([
      {
        level: 'error',
        subject: 'tables',
        code: 'REST_NO_METADATA_LOCATION',
        fix: expect.stringContaining('loadTable') as string,
      },
    ]);
  });

  test.for([
    ['sends no ETag', loaded()],
    ['ignores the condition', loaded({}, { etag: '"1"' })],
  ] as const)('warns of polls that cost much where the catalog %s', async ([, answer]) => {
    expect(bad(await scripted({ [PATHS.orders]: answer }))).toMatchObject([
      { level: 'warning', subject: 'conditional loads' },
    ]);
  });

  test('warns of tables without a uuid', async () => {
    const found = await scripted({ [PATHS.orders]: loaded({ metadata: { 'format-version': 1 } }) });
    expect(levels(found)).toMatchObject({ tables: 'ok', 'table uuid': 'warning' });
  });

  test('warns of a namespace that may not be listed, and goes on with the others', async () => {
    const found = await scripted({
      [PATHS.namespaces]: (_seen, query) => json({ namespaces: query.has('parent') ? [] : [['sales'], ['secret']] }),
      'v1/ws/namespaces/secret/tables': icebergError(403, 'ForbiddenException', 'no'),
    });
    expect(levels(found)).toMatchObject({ namespaces: 'ok' });
    const only = await scripted({ [PATHS.tables]: icebergError(403, 'ForbiddenException', 'no') });
    expect(bad(only)).toMatchObject([{ level: 'warning', subject: 'tables', code: 'REST_FORBIDDEN' }]);
  });

  test.for([
    ['reachable', 'REST_UNAVAILABLE', { status: 503 }],
    ['reachable', 'REST_REDIRECTED', { status: 302, headers: { location: 'https://login.example.com/' } }],
    ['authorized', 'REST_UNAUTHORIZED', icebergError(401, 'NotAuthorizedException', 'no')],
    ['authorized', 'REST_FORBIDDEN', icebergError(403, 'ForbiddenException', 'no')],
    ['configuration', 'REST_NOT_A_CATALOG', html(200, 'Welcome')],
    ['configuration', 'REST_WAREHOUSE_UNKNOWN', icebergError(404, 'NotFoundException', 'Unable to find warehouse')],
  ] as const)('ends at %s with %s', async ([subject, code, answer]) => {
    expect(await scripted({ [PATHS.config]: answer })).toMatchObject([
      { level: 'error', subject, code, fix: expect.any(String) as string },
    ]);
  });

  test('ends at what the catalog does not offer, and at namespaces that may not be listed', async () => {
    const offers = json({ overrides: { prefix: 'ws' }, endpoints: ['GET /v1/{prefix}/namespaces'] });
    expect(bad(await scripted({ [PATHS.config]: offers }))).toMatchObject([
      { level: 'error', subject: 'endpoints', code: 'REST_ENDPOINT_MISSING' },
    ]);
    const denied = await scripted({ [PATHS.namespaces]: icebergError(403, 'ForbiddenException', 'no') });
    expect(bad(denied)).toMatchObject([{ level: 'error', subject: 'authorized', code: 'REST_FORBIDDEN' }]);
  });

  test('says what to look at when nothing answers', async () => {
    const port = await freePort();
    const world = new RestWorld(`http://127.0.0.1:${port}`);
    expect(await findings(world)).toMatchObject([
      {
        level: 'error',
        subject: 'reachable',
        code: 'REST_UNREACHABLE',
        fix: expect.stringContaining('source.uri') as string,
      },
    ]);
    expect(await findings(world, { tls: { ca_file: '/nowhere.pem' } })).toMatchObject([
      { level: 'error', code: 'CONFIG_INVALID', detail: expect.stringContaining('/nowhere.pem') as string },
    ]);
  });

  test('warns of a clock that is off', async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    const found = await scripted({
      [PATHS.config]: json({ overrides: { prefix: 'ws' } }, { date }),
      [PATHS.namespaces]: json({ namespaces: [] }, { date }),
    });
    expect(bad(found)).toMatchObject([{ level: 'warning', subject: 'clock', code: 'REST_CLOCK_SKEWED' }]);
  });
});
