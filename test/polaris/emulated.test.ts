import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Finding } from '../../src/core/finding.ts';
import { showTable } from '../../src/core/table.ts';
import type { TableIdentifier, Timestamp } from '../../src/core/types.ts';
import { openPolaris, type PolarisDeps } from '../../src/polaris/client.ts';
import { targetConfig } from '../../src/polaris/config.ts';
import { startEmulator, type Emulator } from '../../src/polaris/emulator/emulator.ts';
import type { EmulatorOptions } from '../../src/polaris/emulator/options.ts';
import type { Target } from '../../src/polaris/target.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { tableMetadata } from '../conformance/table-files.ts';
import { curlCalls } from './shell-commands.ts';
import { notification } from './stand-in.ts';

const never = new AbortController().signal;
const ROOT = { client_id: 'root', client_secret: 's3cr3t' };

/** An emulated Polaris with the catalog `ext` over a folder of its own, and the client for it. */
class Scene implements AsyncDisposable {
  readonly emulator: Emulator;
  readonly target: Target;
  readonly renewals: boolean[];
  readonly #folder: string;

  constructor(parts: { emulator: Emulator; target: Target; folder: string; renewals: boolean[] }) {
    this.emulator = parts.emulator;
    this.target = parts.target;
    this.renewals = parts.renewals;
    this.#folder = parts.folder;
  }

  static async open(options: EmulatorOptions = {}, changes: Readonly<Record<string, unknown>> = {}): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), 'polaris-emulated-'));
    const emulator = await startEmulator({
      ...options,
      catalogs: [
        { name: 'ext', baseLocation: `file://${folder}/ext` },
        { name: 'own', type: 'INTERNAL', baseLocation: `file://${folder}/own` },
      ],
    });
    const renewals: boolean[] = [];
    const deps: PolarisDeps = {
      clock: systemClock,
      log: silentLog,
      onTokenRenewal: ({ ok }) => renewals.push(ok),
    };
    const target = await openPolaris(
      targetConfig.parse({ name: 'main', uri: `${emulator.uri}/api/catalog`, catalog: 'ext', auth: ROOT, ...changes }),
      deps,
    );
    return new Scene({ emulator, target, folder, renewals });
  }

  /** Writes a metadata file and gives its location. */
  async metadata(name: string, content?: string): Promise<string> {
    const location = join(this.#folder, 'ext', 'files', name);
    const file = join(location, 'metadata', `${crypto.randomUUID()}.metadata.json`);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content ?? JSON.stringify(tableMetadata(`file://${location}`)));
    return `file://${file}`;
  }

  async findings(target: Target = this.target): Promise<readonly Finding[]> {
    const found: Finding[] = [];
    for await (const finding of target.check(never)) found.push(finding);
    return found;
  }

  async tables(): Promise<readonly string[]> {
    const tables: string[] = [];
    for await (const table of this.target.tables(never)) tables.push(showTable(table));
    return tables.toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.target[Symbol.asyncDispose]();
    await this.emulator[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}

const at = (ms: number) => ms as Timestamp;

test('a table’s life: created, served, updated, too late, dropped', async () => {
  await using scene = await Scene.open();
  const { target } = scene;
  const [first, second] = [await scene.metadata('orders'), await scene.metadata('orders')];
  const { table } = notification();
  expect(await target.serves(table, first, never)).toBe('nothing');
  expect(await target.notify(notification({ type: 'VALIDATE', metadataLocation: first }), never)).toEqual({
    kind: 'admitted',
  });
  expect(await target.serves(table, first, never)).toBe('nothing');
  expect(await target.notify(notification({ timestamp: at(10), metadataLocation: first }), never)).toEqual({
    kind: 'admitted',
  });
  expect(await target.serves(table, first, never)).toBe('this');
  expect(await target.serves(table, second, never)).toBe('other');
  const update = notification({ type: 'UPDATE', timestamp: at(20), metadataLocation: second });
  expect(await target.notify(update, never)).toEqual({ kind: 'admitted' });
  expect(await target.notify(update, never)).toMatchObject({ kind: 'stale' });
  expect(await target.serves(table, second, never)).toBe('this');
  expect(await scene.tables()).toEqual(['sales.orders']);
  expect(await target.notify(notification({ type: 'DROP', timestamp: at(30) }), never)).toEqual({ kind: 'admitted' });
  expect(await target.serves(table, second, never)).toBe('nothing');
  expect(await scene.tables()).toEqual([]);
});

test('the greatest timestamp arrives as it is', async () => {
  await using scene = await Scene.open();
  const metadataLocation = await scene.metadata('t');
  const greatest = at(Number.MAX_SAFE_INTEGER);
  expect(await scene.target.notify(notification({ timestamp: greatest, metadataLocation }), never)).toEqual({
    kind: 'admitted',
  });
  const again = [at(Number.MAX_SAFE_INTEGER - 1), greatest];
  for (const timestamp of again) {
    expect(await scene.target.notify(notification({ timestamp, metadataLocation }), never)).toMatchObject({
      kind: 'stale',
    });
  }
});

test.each([
  ['missing', 'metadata-missing'],
  ['garbage', 'metadata-unreadable'],
  ['no metadata', 'metadata-invalid'],
  ['outside', 'location-not-allowed'],
])('a metadata file that is %s is refused as %s', async (fault, reason) => {
  await using scene = await Scene.open();
  const locations: Readonly<Record<string, string>> = {
    missing: (await scene.metadata('a')).replace(/[^/]*$/, 'gone.metadata.json'),
    garbage: await scene.metadata('b', 'garbage'),
    'no metadata': await scene.metadata('c', '{}'),
    outside: 'file:///elsewhere/metadata/0.metadata.json',
  };
  const outcome = await scene.target.notify(notification({ metadataLocation: locations[fault] }), never);
  expect(outcome).toMatchObject({ kind: 'refused', reason });
});

test('whatever a name holds, it comes back from the lists as it was sent', async () => {
  await using scene = await Scene.open({ pagination: true });
  const tables: readonly TableIdentifier[] = [
    { namespace: ['a'], name: 'plain' },
    { namespace: ['a', 'b', 'c'], name: 'deep' },
    { namespace: ['s.c'], name: 'dotted.name' },
    { namespace: ['ñamé'], name: '🧊' },
    { namespace: ['a'], name: 'a/b' },
    { namespace: ['a'], name: '100%+?#&=' },
    { namespace: ['a'], name: `quo"te's\\:` },
    { namespace: ['a'], name: 'unit\u001fseparator' },
    { namespace: ['A'], name: 'Plain' },
  ];
  for (const table of tables) {
    const metadataLocation = await scene.metadata(`t${tables.indexOf(table)}`);
    const outcome = await scene.target.notify(notification({ table, metadataLocation }), never);
    const served = await scene.target.serves(table, metadataLocation, never);
    expect({ table, outcome, served }).toEqual({ table, outcome: { kind: 'admitted' }, served: 'this' });
  }
  expect(await scene.tables()).toEqual(tables.map(showTable).toSorted());
});

test('a restart of Polaris that forgets every token costs one renewal', async () => {
  await using scene = await Scene.open();
  const metadataLocation = await scene.metadata('t');
  await scene.target.notify(notification({ timestamp: at(1), metadataLocation }), never);
  await scene.emulator.restart();
  // Connections were cut, too: what went out on one of them may be unknown, but nothing is refused.
  let outcome = await scene.target.notify(notification({ timestamp: at(2), metadataLocation }), never);
  if (outcome.kind === 'unknown') {
    outcome = await scene.target.notify(notification({ timestamp: at(2), metadataLocation }), never);
  }
  expect(outcome).toEqual({ kind: 'admitted' });
  expect(scene.renewals).toEqual([true, true]);
});

test('a notification that was applied and never answered is unknown, and asking settles it', async () => {
  await using scene = await Scene.open();
  const metadataLocation = await scene.metadata('t');
  scene.emulator.intercept(({ kind }) => (kind === 'notification' ? 'apply-then-reset' : 'pass'));
  expect(await scene.target.notify(notification({ metadataLocation }), never)).toMatchObject({ kind: 'unknown' });
  expect(await scene.target.serves(notification().table, metadataLocation, never)).toBe('this');
});

test('a rate limit is unavailable, and a listing outlasts it', async () => {
  await using scene = await Scene.open();
  const metadataLocation = await scene.metadata('t');
  await scene.target.notify(notification({ metadataLocation }), never);
  let limited = 0;
  scene.emulator.intercept(({ kind }) =>
    kind !== 'token' && limited++ % 2 === 0
      ? { status: 429, body: { error: { message: 'Rate exceeded', type: 'TooManyRequestsException', code: 429 } } }
      : 'pass',
  );
  expect(await scene.target.notify(notification({ metadataLocation }), never)).toMatchObject({ kind: 'unavailable' });
  limited = 0;
  expect(await scene.tables()).toEqual(['sales.orders']);
}, 20_000);

test('check finds a healthy target healthy', async () => {
  await using scene = await Scene.open();
  const found = await scene.findings();
  expect(found.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect(found.map(({ subject }) => subject)).toContain('privileges');
  expect(await scene.tables()).toEqual([]);
});

test.each([
  ['an INTERNAL catalog', {}, { catalog: 'own' }, 'type'],
  ['a catalog that isn’t there', {}, { catalog: 'nope' }, 'catalog'],
  ['a realm that isn’t there', {}, { realm: 'nope' }, 'realm'],
  ['no realm where one is wanted', { requireRealmHeader: true }, {}, 'realm'],
  ['a wrong secret', {}, { auth: { ...ROOT, client_secret: 'wrong' } }, 'token'],
  ['a wrong scope', {}, { auth: { ...ROOT, scope: 'catalog' } }, 'token'],
] as const)('check finds %s', async (_, options, changes, subject) => {
  await using scene = await Scene.open(options, changes);
  const found = await scene.findings();
  expect(found.filter(({ level }) => level === 'error').map((finding) => finding.subject)).toEqual([subject]);
  expect(found.at(-1)?.fix).toMatch(/./);
});

test('check finds a missing /api/catalog', async () => {
  await using scene = await Scene.open();
  const config = targetConfig.parse({ name: 'main', uri: scene.emulator.uri, catalog: 'ext', auth: ROOT });
  await using target = await openPolaris(config, { clock: systemClock, log: silentLog });
  const found = await scene.findings(target);
  expect(found.map(({ level, subject }) => `${level} ${subject}`)).toEqual(['warning uri', 'error uri']);
});

test('the commands that check prints for missing privileges grant them', async () => {
  await using scene = await Scene.open();
  const api = `${scene.emulator.uri}/api`;
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: 'root',
    client_secret: 's3cr3t',
    scope: 'PRINCIPAL_ROLE:ALL',
  });
  const answer = await fetch(`${api}/catalog/v1/oauth/tokens`, { method: 'POST', body: form });
  const { access_token: token } = (await answer.json()) as { access_token: string };
  const manage = async (method: string, path: string, body: unknown): Promise<unknown> => {
    const response = await fetch(`${api}/management/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect({ path, status: response.status }).toEqual({ path, status: 201 });
    const text = await response.text();
    return text === '' ? undefined : JSON.parse(text);
  };
  const principal = { principal: { name: 'sync_agent', properties: {} }, credentialRotationRequired: false };
  const { credentials } = (await manage('POST', '/principals', principal)) as {
    credentials: { clientId: string; clientSecret: string };
  };
  await manage('POST', '/principal-roles', { principalRole: { name: 'sync_role' } });
  await manage('PUT', '/principals/sync_agent/principal-roles', { principalRole: { name: 'sync_role' } });

  const auth = { client_id: credentials.clientId, client_secret: credentials.clientSecret };
  const config = targetConfig.parse({ name: 'main', uri: `${api}/catalog`, catalog: 'ext', auth });
  await using target = await openPolaris(config, { clock: systemClock, log: silentLog });
  const before = await scene.findings(target);
  expect(before.at(-1)).toMatchObject({ level: 'error', subject: 'privileges' });

  for (const { method, url, headers, body } of curlCalls(before.at(-1)?.fix ?? '', token)) {
    const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
    expect({ method, url, ok: response.ok }).toEqual({ method, url, ok: true });
  }
  const after = await scene.findings(target);
  expect(after.filter(({ level }) => level !== 'ok')).toEqual([]);
});
