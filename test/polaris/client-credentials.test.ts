import { describe, expect, test } from 'vitest';
import { openPolaris, type PolarisDeps } from '../../src/polaris/client.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { matching, rejection } from './matchers.ts';
import {
  type Answer,
  configured,
  CREDENTIALS,
  freePort,
  MovableClock,
  notification,
  polarisError,
  SECRET,
  type Seen,
  StandIn,
  tokenAnswer,
  until,
} from './stand-in.ts';

const never = new AbortController().signal;
const UNAUTHORIZED: Answer = { status: 401, headers: { 'www-authenticate': 'Bearer' } };

/** A Polaris that knows the tokens it gave out. */
class Issuer {
  readonly clock = new MovableClock();
  readonly renewals: boolean[] = [];
  /** Tokens that the API accepts. */
  readonly good = new Set<string>();
  issued = 0;
  lifeSeconds = 3600;
  /** Instead of a token. */
  refusal: Answer | undefined;
  /** Before a token is given out. */
  hold: Promise<void> | undefined;

  readonly behaviour = async (seen: Seen): Promise<Answer> => {
    if (seen.path.endsWith('/tokens') || seen.path.startsWith('/idp/')) {
      await this.hold;
      if (this.refusal !== undefined) return this.refusal;
      const token = `token-${++this.issued}`;
      this.good.add(token);
      return tokenAnswer(token, this.lifeSeconds);
    }
    if (!this.good.has(seen.headers.authorization?.slice('Bearer '.length) ?? '')) return UNAUTHORIZED;
    if (seen.path.includes('/v1/config')) return { status: 200, json: { overrides: { prefix: 'ext' } } };
    return { status: 204 };
  };

  get deps(): PolarisDeps {
    return { clock: this.clock, log: silentLog, onTokenRenewal: ({ ok }) => this.renewals.push(ok) };
  }
}

const authorizations = (server: StandIn): readonly (string | undefined)[] =>
  server.seen.filter(({ path }) => path.endsWith('/notifications')).map(({ headers }) => headers.authorization);

describe('client credentials', () => {
  test('are sent as a form, with realm, extra headers and the scope that activates every role', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    const config = configured(server.port, { auth: CREDENTIALS, realm: 'PROD', headers: { 'X-Gateway-Key': 'abc' } });
    await using target = await openPolaris(config, issuer.deps);
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    const { path, method, headers, body } = server.seen[0]!;
    expect({ path, method }).toEqual({ path: '/api/catalog/v1/oauth/tokens', method: 'POST' });
    expect(headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      'polaris-realm': 'PROD',
      'x-gateway-key': 'abc',
    });
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'sync_agent',
      client_secret: SECRET,
      scope: 'PRINCIPAL_ROLE:ALL',
    });
    expect(authorizations(server)).toEqual(['Bearer token-1']);
    expect(issuer.renewals).toEqual([true]);
  });

  test('go to an external identity provider without what is Polaris’s alone', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    await using provider = await StandIn.start(issuer.behaviour);
    const config = configured(server.port, {
      auth: { ...CREDENTIALS, token_uri: `http://127.0.0.1:${provider.port}/idp/token`, scope: '' },
      realm: 'PROD',
      headers: { 'X-Gateway-Key': 'abc' },
    });
    await using target = await openPolaris(config, issuer.deps);
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    expect(provider.seen.map(({ path }) => path)).toEqual(['/idp/token']);
    expect(provider.seen[0]!.headers).not.toHaveProperty('polaris-realm');
    expect(provider.seen[0]!.headers).not.toHaveProperty('x-gateway-key');
    expect(new URLSearchParams(provider.seen[0]!.body).has('scope')).toBe(false);
    expect(server.paths(/tokens/)).toEqual([]);
  });

  test('get one token, however many notifications wait for it', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => target.notify(notification(), never)));
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['admitted']));
    expect(issuer.issued).toBe(1);
  });

  test('keep a token while it is young', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    await target.notify(notification(), never);
    issuer.clock.advance(2600_000);
    await target.notify(notification(), never);
    expect(issuer.issued).toBe(1);
  });

  test('renew a token beside the work before it expires', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    await target.notify(notification(), never);
    issuer.clock.advance(2800_000);
    const release = Promise.withResolvers<void>();
    issuer.hold = release.promise;
    // Nobody waits for the renewal: the old token still does.
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    expect(authorizations(server)).toEqual(['Bearer token-1', 'Bearer token-1']);
    release.resolve();
    await until(() => issuer.renewals.length === 2);
    await target.notify(notification(), never);
    expect(authorizations(server).at(-1)).toBe('Bearer token-2');
  });

  test('go on with a token that could not be renewed, and try again later', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    await target.notify(notification(), never);
    issuer.clock.advance(2800_000);
    issuer.refusal = { status: 503 };
    await target.notify(notification(), never);
    await until(() => issuer.renewals.length === 2);
    for (let i = 0; i < 5; i++) expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    expect(issuer.renewals).toEqual([true, false]);
    issuer.refusal = undefined;
    issuer.clock.advance(6000);
    await target.notify(notification(), never);
    await until(() => issuer.renewals.length === 3);
    expect(issuer.renewals).toEqual([true, false, true]);
  });

  test('wait for a new token when the old one is about to expire', async () => {
    const issuer = new Issuer();
    issuer.lifeSeconds = 100;
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    await target.notify(notification(), never);
    issuer.clock.advance(96_000);
    issuer.good.clear();
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    expect(authorizations(server)).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  test('use a token without a stated life until it is refused', async () => {
    let issued = 0;
    await using server = await StandIn.start((seen) => {
      if (seen.path.endsWith('/tokens')) return { status: 200, json: { access_token: `token-${++issued}` } };
      return seen.path.includes('/v1/config') ? { status: 200, json: { overrides: {} } } : { status: 204 };
    });
    const issuer = new Issuer();
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    await target.notify(notification(), never);
    issuer.clock.advance(365 * 86_400_000);
    await target.notify(notification(), never);
    expect(issued).toBe(1);
  });
});

describe('a refused token', () => {
  test('is renewed, and the notification sent again', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    await target.notify(notification(), never);
    // As after a restart of Polaris, which forgets its keys.
    issuer.good.clear();
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    expect(authorizations(server)).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
  });

  test('is renewed once for all that met the refusal', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    await target.notify(notification(), never);
    issuer.good.clear();
    const outcomes = await Promise.all(Array.from({ length: 30 }, () => target.notify(notification(), never)));
    expect(outcomes.every(({ kind }) => kind === 'admitted')).toBe(true);
    expect(issuer.issued).toBe(2);
  });

  test('is renewed once and never twice for one notification', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(async (seen) => {
      const answer = await issuer.behaviour(seen);
      return seen.path.endsWith('/notifications') ? UNAUTHORIZED : answer;
    });
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unauthorized' });
    expect(authorizations(server)).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  test('that can’t be renewed tells why', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    await target.notify(notification(), never);
    issuer.good.clear();
    issuer.refusal = { status: 503 };
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unavailable' });
    expect(authorizations(server)).toHaveLength(2);
  });
});

const oauthError = (status: number, error: string, description: string): Answer => ({
  status,
  json: { error, error_description: description, error_uri: null },
});

describe('without a token nothing is sent', () => {
  test.each([
    [
      'a wrong secret or an unknown client',
      oauthError(401, 'unauthorized_client', 'The client is not authorized'),
      'unauthorized',
      /The client is not authorized \(unauthorized_client\)\. Check auth\.client_id \("sync_agent"\) and auth\.client_secret/,
    ],
    [
      'an identity provider’s word for it',
      oauthError(400, 'invalid_client', 'nope'),
      'unauthorized',
      /\(invalid_client\)/,
    ],
    [
      'a scope that is none',
      oauthError(400, 'invalid_scope', 'The scope is invalid'),
      'unauthorized',
      /Correct auth\.scope \("PRINCIPAL_ROLE:ALL"\)/,
    ],
    ['a web page', { status: 200, text: '<title>Sign in</title>' }, 'unauthorized', /holds no access_token/],
    ['a token that is none', { status: 200, json: { access_token: 'a b\n' } }, 'unauthorized', /holds no access_token/],
    ['nothing at that address', { status: 405 }, 'unauthorized', /Is .*\/v1\/oauth\/tokens the token endpoint\?/],
    ['a rate limit', { status: 429, headers: { 'retry-after': '9' } }, 'unavailable', /answered/],
    ['an unavailable endpoint', { status: 502 }, 'unavailable', /answered/],
  ] satisfies [string, Answer, string, RegExp][])('because of %s', async (_, refusal, kind, message) => {
    const issuer = new Issuer();
    issuer.refusal = refusal;
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind, message: matching(message) });
    expect(server.seen.every(({ path }) => path.endsWith('/tokens'))).toBe(true);
    expect(issuer.renewals).toEqual([false]);
  });

  test('because of the realm', async () => {
    const issuer = new Issuer();
    issuer.refusal = polarisError(404, 'MissingOrInvalidRealm', 'Missing or invalid realm');
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'refused', reason: 'no-such-realm' });
  });

  test('and the rate limit’s pause is passed on', async () => {
    const issuer = new Issuer();
    issuer.refusal = { status: 429, headers: { 'retry-after': '9' } };
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unavailable', retryAfterMs: 9000 });
  });

  test('because the identity provider is not reachable', async () => {
    const issuer = new Issuer();
    await using server = await StandIn.start(issuer.behaviour);
    const config = configured(server.port, {
      auth: { ...CREDENTIALS, token_uri: `http://127.0.0.1:${await freePort()}/token` },
    });
    await using target = await openPolaris(config, issuer.deps);
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unavailable',
      message: matching(/^The token endpoint: nothing listens at /),
    });
    expect(server.seen).toEqual([]);
  });

  test('and an abort ends the wait for it', async () => {
    const issuer = new Issuer();
    issuer.hold = new Promise(() => {});
    await using server = await StandIn.start(issuer.behaviour);
    await using target = await openPolaris(configured(server.port, { auth: CREDENTIALS }), issuer.deps);
    const stop = new AbortController();
    const rejected = rejection(target.notify(notification(), stop.signal));
    await until(() => server.seen.length === 1);
    stop.abort(new Error('enough'));
    expect(await rejected).toMatchObject({ message: 'enough' });
  });
});
