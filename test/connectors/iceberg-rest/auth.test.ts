import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Seen } from '../../polaris/stand-in.ts';
import { StandIn, tokenAnswer } from '../../polaris/stand-in.ts';
import { icebergError, json, loaded, PATHS, ScriptedWorld, SMALL, TOKEN, type Script } from './scripted.ts';
import { never, table } from './world.ts';

const orders = table('sales', 'orders');
const SECRET = 'planted-client-secret/+&';

const authorizations = (seen: readonly Seen[]) => seen.map(({ headers }) => headers.authorization);
const forms = (server: StandIn) =>
  server.seen
    .filter(({ method }) => method === 'POST')
    .map(({ body }) => Object.fromEntries(new URLSearchParams(body)));

/** A catalog that takes only tokens for which `isGood` holds. */
const guarded = (isGood: (token: string) => boolean, script: Script = SMALL): Script =>
  Object.fromEntries(
    Object.entries(script).map(([path, answer]) => [
      path,
      (seen, query) => {
        const token = seen.headers.authorization?.replace('Bearer ', '') ?? '';
        if (!isGood(token)) return icebergError(401, 'NotAuthorizedException', 'Not authorized');
        return typeof answer === 'function' ? answer(seen, query) : answer;
      },
    ]),
  );

describe('Without credentials', () => {
  test('requests carry none', async () => {
    await using world = await ScriptedWorld.start(SMALL);
    await (await world.connector({ auth: { type: 'none' } })).resolve([orders], never);
    expect(new Set(authorizations(world.server.seen))).toEqual(new Set([undefined]));
  });

  test('extra headers go with every request all the same', async () => {
    await using world = await ScriptedWorld.start(SMALL);
    await (await world.connector({ auth: { type: 'none' }, headers: { 'X-Tenant': 'a b' } })).resolve([orders], never);
    expect(world.server.seen.map(({ headers }) => headers['x-tenant'])).toEqual(world.server.seen.map(() => 'a b'));
  });
});

describe('A bearer token', () => {
  test('goes with every request; a refusal is told of, without the token', async () => {
    await using world = await ScriptedWorld.start(guarded((token) => token === TOKEN));
    await (await world.connector()).resolve([orders], never);
    expect(new Set(authorizations(world.server.seen))).toEqual(new Set([`Bearer ${TOKEN}`]));
    const reading = (await world.connector({ auth: { type: 'bearer', token: 'another' } })).resolve([orders], never);
    await expect(reading).rejects.toMatchObject({ code: 'REST_UNAUTHORIZED' });
  });

  test('of a file is read again when it was renewed, also if the catalog refuses it before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'token-'));
    try {
      const path = join(folder, 'token');
      writeFileSync(path, 'first\n');
      let good = 'first';
      await using world = await ScriptedWorld.start(guarded((token) => token === good));
      const connector = await world.connector({ auth: { type: 'bearer', token_file: path } });
      await connector.resolve([orders], never);
      writeFileSync(path, 'second\n');
      good = 'second';
      expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'present' }]);
      expect(authorizations(world.server.seen).slice(-2)).toEqual(['Bearer first', 'Bearer second']);
      good = 'third';
      await expect(connector.resolve([orders], never)).rejects.toMatchObject({ code: 'REST_UNAUTHORIZED' });
      rmSync(path);
      const without = await world.connector({ auth: { type: 'bearer', token_file: path } });
      await expect(without.resolve([orders], never)).rejects.toMatchObject({ code: 'REST_TOKEN_REFUSED' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('that a faulty catalog repeats in its error is not shown', async () => {
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.orders]: (seen) => icebergError(403, 'ForbiddenException', `you sent ${seen.headers.authorization}`),
    });
    const reading = (await world.connector()).resolve([orders], never);
    const error: unknown = await reading.catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'REST_FORBIDDEN',
      message: expect.stringContaining('you sent Bearer ***') as string,
    });
  });
});

describe('Client credentials', () => {
  test('get a token at the catalog’s own endpoint, once, with the scope that Iceberg’s clients ask for', async () => {
    await using world = await ScriptedWorld.start({
      ...guarded((token) => token === 't-1'),
      'v1/oauth/tokens': tokenAnswer('t-1'),
    });
    const connector = await world.connector({ auth: { type: 'oauth2', client_id: 'me', client_secret: SECRET } });
    await Promise.all(Array.from({ length: 5 }, () => connector.resolve([orders], never)));
    expect(forms(world.server)).toEqual([
      { grant_type: 'client_credentials', client_id: 'me', client_secret: SECRET, scope: 'catalog' },
    ]);
  });

  test('get it from an identity provider, which sees nothing that is meant for the catalog', async () => {
    await using provider = await StandIn.start(() => tokenAnswer('t-1'));
    await using world = await ScriptedWorld.start(guarded((token) => token === 't-1'));
    const connector = await world.connector({
      auth: {
        type: 'oauth2',
        client_secret: SECRET,
        token_uri: `http://127.0.0.1:${provider.port}/idp`,
        scope: '',
        audience: 'lake',
        resource: 'urn:lake',
      },
      headers: { 'x-tenant': 'a' },
    });
    await connector.resolve([orders], never);
    expect(forms(provider)).toEqual([
      { grant_type: 'client_credentials', client_secret: SECRET, audience: 'lake', resource: 'urn:lake' },
    ]);
    expect(provider.seen[0]?.headers['x-tenant']).toBeUndefined();
  });

  test('renew a token that the catalog refuses before its time, once', async () => {
    let issued = 0;
    let good = 't-1';
    const script: Script = {
      ...guarded((token) => token === good),
      'v1/oauth/tokens': () => tokenAnswer(`t-${++issued}`),
    };
    await using world = await ScriptedWorld.start(script);
    const connector = await world.connector({ auth: { type: 'oauth2', client_id: 'me', client_secret: SECRET } });
    await connector.resolve([orders], never);
    good = 't-2';
    expect(await connector.resolve([orders], never)).toMatchObject([{ kind: 'present' }]);
    good = 'nothing that it gets';
    await expect(connector.resolve([orders], never)).rejects.toMatchObject({ code: 'REST_UNAUTHORIZED' });
    expect(issued).toBe(3);
  });

  test.for([
    [icebergError(401, 'NotAuthorizedException', 'bad client'), 'REST_TOKEN_REFUSED', 'auth.client_secret'],
    [
      { status: 400, json: { error: 'invalid_scope', error_description: 'no' } },
      'REST_TOKEN_REFUSED',
      'PRINCIPAL_ROLE:ALL',
    ],
    [{ status: 404 }, 'REST_TOKEN_REFUSED', 'token endpoint'],
    [json({ hello: 'world' }), 'REST_TOKEN_REFUSED', 'access_token'],
    [{ status: 503 }, 'REST_UNREACHABLE', '503'],
    [
      { status: 401, json: { error: 'invalid_client', error_description: `not ${SECRET}` } },
      'REST_TOKEN_REFUSED',
      '***',
    ],
  ] as const)('that are answered %j are told of', async ([answer, code, text]) => {
    await using world = await ScriptedWorld.start({ ...SMALL, 'v1/oauth/tokens': answer });
    const connector = await world.connector({ auth: { type: 'oauth2', client_id: 'me', client_secret: SECRET } });
    const error: unknown = await connector.resolve([orders], never).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code, message: expect.stringContaining(text) as string });
    expect(JSON.stringify([error, world.log.lines])).not.toContain(SECRET);
  });
});

describe('Token exchange', () => {
  test('sends the subject token, as its file holds it now', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'token-'));
    try {
      const path = join(folder, 'token');
      writeFileSync(path, 'workload-1');
      let issued = 0;
      let good = 't-1';
      await using world = await ScriptedWorld.start({
        ...guarded((token) => token === good),
        'v1/oauth/tokens': () => tokenAnswer(`t-${++issued}`),
      });
      const connector = await world.connector({
        auth: {
          type: 'token-exchange',
          subject_token_file: path,
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          client_id: 'me',
          client_secret: SECRET,
        },
      });
      await connector.resolve([orders], never);
      writeFileSync(path, 'workload-two');
      good = 't-2';
      await vi.waitFor(async () => expect(await connector.resolve([orders], never)).toHaveLength(1), {
        timeout: 5_000,
      });
      const expected = {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        client_id: 'me',
        client_secret: SECRET,
        scope: 'catalog',
      };
      expect(forms(world.server)[0]).toEqual({ ...expected, subject_token: 'workload-1' });
      expect(forms(world.server)).toHaveLength(2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('tells what is wrong with the subject token', async () => {
    const refusal = { status: 400, json: { error: 'invalid_request', error_description: 'expired' } };
    await using world = await ScriptedWorld.start({ ...SMALL, 'v1/oauth/tokens': refusal });
    const connector = await world.connector({ auth: { type: 'token-exchange', subject_token: 'planted-subject' } });
    await expect(connector.resolve([orders], never)).rejects.toMatchObject({
      code: 'REST_TOKEN_REFUSED',
      message: expect.stringContaining('auth.subject_token') as string,
    });
  });
});

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const encoded = (text: string) =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

describe('AWS Signature Version 4', () => {
  const KEY = { id: 'AKIDEXAMPLE', secret: 'planted-aws-secret', session: 'planted-session-token' };

  afterEach(() => void vi.unstubAllEnvs());

  function withCredentials(): void {
    vi.stubEnv('AWS_ACCESS_KEY_ID', KEY.id);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', KEY.secret);
    vi.stubEnv('AWS_SESSION_TOKEN', KEY.session);
  }

  /** The signature as AWS's documentation has it, made anew from what arrived. */
  function signatureOf({ method, path, headers }: Seen, region: string, service: string): string {
    const [plain = '', search = ''] = path.split('?');
    const signed = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1] ?? '';
    const query = [...new URLSearchParams(search)]
      .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
      .toSorted()
      .join('&');
    const canonical = [
      method,
      // Every service but S3 wants the path encoded twice.
      plain.split('/').map(encoded).join('/'),
      query,
      ...signed.split(';').map((name) => `${name}:${String(headers[name])}`),
      '',
      signed,
      sha256(''),
    ].join('\n');
    const time = String(headers['x-amz-date']);
    const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
    const key = scope.split('/').reduce<string | Buffer>((above, part) => hmac(above, part), `AWS4${KEY.secret}`);
    return hmac(key, ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')).toString('hex');
  }

  test('signs every request with region, service and session, as AWS checks it', async () => {
    withCredentials();
    await using world = await ScriptedWorld.start({
      ...SMALL,
      [PATHS.namespaces]: json({ namespaces: [['sales']] }),
      'v1/ws/namespaces/a%1Fb%20c%2Fd/tables/o%3A%C3%BC': loaded(),
    });
    const auth = { type: 'sigv4', region: 'eu-west-1', service: 'glue' };
    const connector = await world.connector({ auth });
    expect(await connector.resolve([orders, table('a', 'b c/d', 'o:ü')], never)).toMatchObject([
      { kind: 'present' },
      { kind: 'present' },
    ]);
    for await (const _ of connector.list(never));
    expect(world.server.seen.length).toBeGreaterThan(4);
    for (const seen of world.server.seen) {
      expect(seen.headers.authorization).toContain(`Credential=${KEY.id}/`);
      expect(seen.headers.authorization).toContain('/eu-west-1/glue/aws4_request');
      expect(seen.headers['x-amz-security-token']).toBe(KEY.session);
      expect(/Signature=([0-9a-f]+)/.exec(seen.headers.authorization ?? '')?.[1]).toBe(
        signatureOf(seen, 'eu-west-1', 'glue'),
      );
    }
    // Glue has no levels of namespaces, so nobody asks for them.
    expect(world.paths.filter((path) => path.includes('parent='))).toEqual([]);
    expect(JSON.stringify(world.log.lines)).not.toContain(KEY.session);
  });

  test('tells a refused signature from a missing permission', async () => {
    withCredentials();
    const answers = [
      [
        {
          status: 403,
          headers: { 'x-amzn-errortype': 'UnrecognizedClientException:http://x' },
          text: '{"message":"The security token is invalid."}',
        },
        'REST_UNAUTHORIZED',
      ],
      [
        { status: 403, headers: { 'x-amzn-errortype': 'AccessDeniedException' }, text: '{"Message":"not allowed"}' },
        'REST_FORBIDDEN',
      ],
    ] as const;
    for (const [answer, code] of answers) {
      await using world = await ScriptedWorld.start({ ...SMALL, [PATHS.config]: answer });
      const connector = await world.connector({ auth: { type: 'sigv4', region: 'eu-west-1' } });
      await expect(connector.resolve([orders], never)).rejects.toMatchObject({ code });
    }
  });

  test('says where credentials come from when there are none', async () => {
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere');
    await using world = await ScriptedWorld.start(SMALL);
    const connector = await world.connector({ auth: { type: 'sigv4', region: 'eu-west-1' } });
    await expect(connector.resolve([orders], never)).rejects.toMatchObject({
      code: 'REST_CREDENTIALS_MISSING',
      fix: expect.stringContaining('AWS_PROFILE') as string,
    });
    expect(world.server.seen).toEqual([]);
  });
});
