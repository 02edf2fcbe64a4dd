import { describe, expect, test } from 'vitest';
import type { Finding } from '../../src/core/finding.ts';
import { openPolaris } from '../../src/polaris/client.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { containing } from './matchers.ts';
import { curlCalls } from './shell-commands.ts';
import {
  type Answer,
  type Behaviour,
  CONFIG_ANSWER,
  configured,
  CREDENTIALS,
  freePort,
  polarisError,
  StandIn,
  TOKEN,
  tokenAnswer,
} from './stand-in.ts';

const deps = { clock: systemClock, log: silentLog };
const never = new AbortController().signal;

async function findings(port: number, changes: Readonly<Record<string, unknown>> = {}): Promise<readonly Finding[]> {
  await using target = await openPolaris(configured(port, changes), deps);
  const found: Finding[] = [];
  for await (const finding of target.check(never)) found.push(finding);
  return found;
}

/** One line per finding. */
const summary = (found: readonly Finding[]): readonly string[] =>
  found.map(({ level, subject }) => `${level} ${subject}`);

/** A healthy Polaris but for `changes`, each by the part of the API. */
function polarisBut(changes: {
  readonly anyone?: Answer;
  readonly token?: Answer;
  readonly config?: Answer;
  readonly notification?: Answer;
}): Behaviour {
  return ({ path, headers }) => {
    if (changes.anyone !== undefined) return changes.anyone;
    if (path.includes('/oauth/tokens')) return changes.token ?? tokenAnswer(TOKEN);
    if (headers.authorization === undefined) return { status: 401 };
    if (path.includes('/v1/config')) return changes.config ?? CONFIG_ANSWER;
    return changes.notification ?? { status: 204 };
  };
}

async function findingsWith(
  changes: Parameters<typeof polarisBut>[0],
  config: Readonly<Record<string, unknown>> = { auth: CREDENTIALS },
): Promise<readonly Finding[]> {
  await using server = await StandIn.start(polarisBut(changes));
  return await findings(server.port, config);
}

test('a healthy target is all right in every respect, and is left unchanged', async () => {
  await using server = await StandIn.start(polarisBut({}));
  const found = await findings(server.port, { auth: CREDENTIALS });
  expect(summary(found)).toEqual([
    'ok reachable',
    'ok realm',
    'ok token',
    'ok catalog',
    'ok type',
    'ok privileges',
    'ok locations',
  ]);
  expect(found.find(({ subject }) => subject === 'locations')?.detail).toContain('file:///warehouse/ext');
  const writes = server.seen.filter(({ method, path }) => method !== 'GET' && !path.includes('/oauth/'));
  expect(writes.map(({ body }) => (JSON.parse(body) as { 'notification-type': string })['notification-type'])).toEqual([
    'VALIDATE',
  ]);
  expect(writes[0]!.body).toContain('file:///warehouse/ext/polaris_push_check/probe/metadata/');
});

describe('an address', () => {
  test('without /api/catalog is doubted, and proven wrong by the answer', async () => {
    await using server = await StandIn.start(() => ({ status: 404 }));
    const found = await findings(server.port, { uri: `http://127.0.0.1:${server.port}` });
    expect(summary(found)).toEqual(['warning uri', 'error uri']);
    for (const { fix } of found) expect(fix).toContain(`http://127.0.0.1:${server.port}/api/catalog`);
  });

  test('without /api/catalog may still be a gateway’s', async () => {
    await using server = await StandIn.start(polarisBut({}));
    const found = await findings(server.port, { uri: `http://127.0.0.1:${server.port}/lake` });
    expect(found.filter(({ level }) => level === 'error')).toEqual([]);
    expect(summary(found)[0]).toBe('warning uri');
  });

  test.each([
    ['of another API', polarisError(404, 'NotFoundException', 'Unable to find matching target resource method')],
    ['that leads elsewhere', { status: 308, headers: { location: 'https://login.example.com/x?planted' } }],
  ])('%s is an error', async (_, anyone) => {
    const found = await findingsWith({ anyone });
    expect(summary(found)).toEqual(['error uri']);
    expect(JSON.stringify(found)).not.toContain('planted');
  });
});

describe('a Polaris that isn’t there', () => {
  test('because nothing listens', async () => {
    const found = await findings(await freePort());
    expect(summary(found)).toEqual(['error reachable']);
    expect(found[0]).toMatchObject({
      detail: containing('nothing listens'),
      fix: containing('Start Polaris'),
    });
  });

  test('because its host has no name', async () => {
    const found = await findings(1, { uri: 'http://no-such-host.invalid/api/catalog' });
    expect(found[0]).toMatchObject({ level: 'error', fix: containing('Correct the host in uri') });
  });

  test('because its certificate can’t be verified', async () => {
    await using server = await StandIn.start(polarisBut({}), 'server');
    const found = await findings(1, { uri: `https://127.0.0.1:${server.port}/api/catalog` });
    expect(found[0]).toMatchObject({ level: 'error', fix: containing('tls.ca_file') });
  });

  test('because it says nothing', async () => {
    await using server = await StandIn.start((seen) => {
      seen.cut();
      return undefined;
    });
    const found = await findings(server.port);
    expect(found[0]).toMatchObject({
      level: 'error',
      subject: 'reachable',
      fix: containing('http or https'),
    });
  });

  test('because what stands before it says so', async () => {
    const found = await findingsWith({ anyone: { status: 502, text: '<title>Bad Gateway</title>' } });
    expect(summary(found)).toEqual(['error reachable']);
    expect(found[0]!.detail).toContain('Bad Gateway');
  });
});

describe('a realm', () => {
  const refused = polarisError(404, 'MissingOrInvalidRealm', 'Missing or invalid realm');

  test('that the server hasn’t is named', async () => {
    const found = await findingsWith({ anyone: refused }, { realm: 'nope' });
    expect(summary(found)).toEqual(['ok reachable', 'error realm']);
    expect(found[1]).toMatchObject({
      detail: 'Polaris has no realm "nope".',
      fix: containing('Set realm'),
    });
  });

  test('that the server wants to be named is asked for', async () => {
    const found = await findingsWith({ anyone: refused });
    expect(found[1]!.detail).toBe('Polaris wants a realm and none is configured.');
  });
});

describe('credentials', () => {
  test('that the token endpoint refuses', async () => {
    const token = {
      status: 401,
      json: { error: 'unauthorized_client', error_description: 'The client is not authorized' },
    };
    const found = await findingsWith({ token });
    expect(summary(found)).toEqual(['ok reachable', 'ok realm', 'error token']);
    expect(found[2]!.fix).toContain('auth.client_secret');
  });

  test('whose endpoint isn’t available', async () => {
    const found = await findingsWith({ token: { status: 503 } });
    expect(found[2]).toMatchObject({ level: 'error', subject: 'token', fix: containing('token_uri') });
  });

  test('that Polaris refuses', async () => {
    const byKind = [
      [{ auth: CREDENTIALS }, 'principal'],
      [{ auth: { token: TOKEN } }, 'auth.token'],
    ] as const;
    for (const [config, hint] of byKind) {
      const found = await findingsWith({ config: { status: 401 } }, config);
      expect(summary(found)).toEqual(['ok reachable', 'ok realm', 'ok token', 'error token']);
      expect(found[3]!.fix).toContain(hint);
    }
  });

  test('in a file that isn’t there', async () => {
    const found = await findingsWith({}, { auth: { token_file: '/nonexistent/token' } });
    expect(found.at(-1)).toMatchObject({
      level: 'error',
      subject: 'token',
      fix: containing('auth.token_file'),
    });
    expect(found.at(-1)!.detail).toContain('/nonexistent/token');
  });
});

describe('a catalog', () => {
  test('that Polaris hasn’t comes with the command that makes it', async () => {
    const found = await findingsWith({
      config: polarisError(404, 'NotFoundException', 'Unable to find warehouse ext'),
    });
    expect(summary(found).at(-1)).toBe('error catalog');
    expect(found.at(-1)!.detail).toBe('Polaris has no catalog "ext".');
    expect(found.at(-1)!.fix).toContain('"type":"EXTERNAL","name":"ext"');
  });

  test('that is INTERNAL comes with the command that makes another', async () => {
    const found = await findingsWith({
      notification: polarisError(400, 'BadRequestException', 'Cannot update internal catalog via notifications'),
    });
    expect(summary(found).slice(-2)).toEqual(['ok catalog', 'error type']);
    expect(found.at(-1)!.detail).toContain('INTERNAL');
    expect(found.at(-1)!.fix).toContain('"name":"ext_mirror"');
  });

  test('on which privileges lack comes with the commands that grant all five', async () => {
    const message =
      "Principal 'sync_agent' with activated PrincipalRoles '[sync role]' and activated grants via '[cr]' is not authorized for op SEND_NOTIFICATIONS";
    await using server = await StandIn.start(
      polarisBut({ notification: polarisError(403, 'ForbiddenException', message) }),
    );
    const found = await findings(server.port, { auth: CREDENTIALS, realm: "it's" });
    const finding = found.at(-1)!;
    expect(finding).toMatchObject({
      level: 'error',
      subject: 'privileges',
      detail: containing('Principal sync_agent'),
    });
    const calls = curlCalls(finding.fix!, 'planted');
    expect(
      calls.map(({ method, url, body }) => [
        method,
        url.split('/api/management/v1')[1],
        JSON.parse(body ?? '') as unknown,
      ]),
    ).toEqual([
      ['POST', '/catalogs/ext/catalog-roles', { catalogRole: { name: 'polaris_push' } }],
      ...['TABLE_CREATE', 'TABLE_WRITE_PROPERTIES', 'TABLE_DROP', 'NAMESPACE_CREATE', 'NAMESPACE_DROP'].map(
        (privilege) => [
          'PUT',
          '/catalogs/ext/catalog-roles/polaris_push/grants',
          { grant: { type: 'catalog', privilege } },
        ],
      ),
      ['PUT', '/principal-roles/sync%20role/catalog-roles/ext', { catalogRole: { name: 'polaris_push' } }],
    ]);
    for (const { url, headers } of calls) {
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api\/management\/v1\//);
      expect(headers).toEqual({
        Authorization: 'Bearer planted',
        'Polaris-Realm': "it's",
        'Content-Type': 'application/json',
      });
    }
  });

  test('whose own base is not allowed is a warning with the command that shows it', async () => {
    const found = await findingsWith({
      notification: polarisError(
        403,
        'ForbiddenException',
        "Invalid locations '[a]' for identifier 'b': not in the list",
      ),
    });
    expect(summary(found).slice(-3)).toEqual(['ok type', 'ok privileges', 'warning locations']);
    expect(found.at(-1)!.fix).toContain('/api/management/v1/catalogs/ext');
  });

  test('without a base location is probed all the same', async () => {
    const found = await findingsWith({
      config: { status: 200, json: { defaults: {}, overrides: { prefix: 'ext' } } },
      notification: { status: 204 },
    });
    expect(summary(found).slice(-3)).toEqual(['ok type', 'ok privileges', 'warning locations']);
  });

  test('whose storage Polaris has no credentials for', async () => {
    const found = await findingsWith({
      notification: polarisError(500, 'SdkClientException', 'Unable to load credentials from any of the providers'),
    });
    expect(found.at(-1)).toMatchObject({
      level: 'error',
      subject: 'notifications',
      detail: containing('Unable to load credentials'),
      fix: containing("catalog's storage"),
    });
  });

  test('of something that takes no notifications', async () => {
    const found = await findingsWith({
      notification: polarisError(404, 'NotFoundException', 'Unable to find matching target resource method'),
    });
    expect(found.at(-1)).toMatchObject({ level: 'error', subject: 'notifications' });
  });
});
