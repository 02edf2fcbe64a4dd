import { randomUUID } from 'node:crypto';
import { type Replay, type Topic, notification, textAt } from '../replay.ts';

const SCOPE = 'PRINCIPAL_ROLE:ALL';

export const authentication: Topic = {
  title: 'tokens: good, bad, refreshed, and the realm',
  async run(replay) {
    const path = replay.notificationPath('ext', ['probe'], 't0');
    const body = notification('CREATE', {});
    const post = (scenario: string, token: string | null, headers?: Record<string, string>) =>
      replay.call(scenario, 'POST', path, { body, token, headers });
    const { clientId, clientSecret } = replay.server.credentials;
    const basic = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
    await post('auth-no-token', null);
    await post('auth-garbage-token', 'garbage');
    await post('auth-tampered-token', `${replay.adminToken.slice(0, -6)}AAAAAA`);
    await post('auth-basic-scheme', null, { authorization: basic });
    await grants(replay, basic);

    const namespaces = `${replay.catalogPath('ext')}/namespaces`;
    await replay.call('realm-header-ok', 'GET', namespaces, { headers: { 'Polaris-Realm': 'POLARIS' } });
    await replay.call('realm-header-unknown', 'GET', namespaces, { headers: { 'Polaris-Realm': 'NOPE' } });
    await post('realm-header-unknown-no-token', null, { 'Polaris-Realm': 'NOPE' });

    const stale = { timestamp: 1, file: replay.metadata('ext/val/a'), uuid: randomUUID() };
    const table = [['probe'], 't0'] as const;
    const echo = await replay.notify('x-request-id-echo', table, 'UPDATE', stale, {
      headers: { 'X-Request-ID': 'sidecar-abc-1' },
    });
    replay.expect('x-request-id-echo', 'echoes the id', echo.headers['x-request-id'] === 'sidecar-abc-1');
    const idempotency = { headers: { 'Idempotency-Key': randomUUID() } };
    await replay.notify('idempotency-key-header', table, 'UPDATE', stale, idempotency);
    await replay.call('notify-GET-method', 'GET', replay.notificationPath('ext', ['ns'], 't'));
  },
};

async function grants(replay: Replay, basic: string): Promise<void> {
  const { clientId, clientSecret } = replay.server.credentials;
  const login = (scenario: string, id: string, secret: string, scope: string) =>
    replay.token(scenario, { grant_type: 'client_credentials', client_id: id, client_secret: secret, scope });
  await login('oauth-wrong-secret', clientId, 'wrong', SCOPE);
  await login('oauth-unknown-client', 'nobody', 'wrong', SCOPE);
  await login('oauth-unknown-role-scope', clientId, clientSecret, 'PRINCIPAL_ROLE:nope');
  await login('oauth-scope-catalog', clientId, clientSecret, 'catalog');
  await login('oauth-empty-scope', clientId, clientSecret, '');
  await replay.token('oauth-missing-grant', { client_id: clientId, client_secret: clientSecret });
  const form = { grant_type: 'client_credentials', scope: SCOPE };
  await replay.token('oauth-basic-header', form, { headers: { authorization: basic } });
  await replay.call('oauth-json-body', 'POST', '/api/catalog/v1/oauth/tokens', {
    token: null,
    body: { ...form, client_id: clientId, client_secret: clientSecret },
  });
  const exchange = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: replay.adminToken,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    scope: SCOPE,
  };
  await replay.token('oauth-token-exchange-refresh', exchange, { token: replay.adminToken });
}

/** Servers that are set up otherwise. */
export const otherSetups: Topic = {
  title: 'servers with a rate limit, a required realm header, short tokens',
  needs: 'variant',
  async run(replay) {
    const form = rootForm(replay);
    {
      await using limited = await replay.onVariant({ rateLimitPerSecond: 5 });
      await limited.login();
      const path = '/api/catalog/v1/config?warehouse=nope';
      const burst = [];
      for (let i = 0; i < 12; i++) burst.push((await limited.call('rate-limit-5rps-burst', 'GET', path)).status);
      limited.expect('rate-limit-5rps-burst', 'some pass, then none', burst[0] === 404 && burst.at(-1) === 429);
      await limited.token('rate-limit-oauth-while-limited', form);
    }
    {
      await using strict = await replay.onVariant({ requireRealmHeader: true });
      await strict.token('realm-require-header-missing', form);
      const headers = { 'Polaris-Realm': 'POLARIS' };
      const token = textAt(await strict.token('realm-require-header-present', form, { headers }), 'access_token');
      const path = '/api/catalog/v1/config?warehouse=x';
      await strict.call('realm-require-header-present-but-not-on-call', 'GET', path, { token });
    }
    await using brief = await replay.onVariant({ tokenLifetimeSeconds: 1 });
    const issued = await brief.token('oauth-3s-token-response', form);
    const token = textAt(issued, 'access_token');
    const probe = () => brief.send('GET', '/api/catalog/v1/config?warehouse=x', { token });
    while ((await probe()).status !== 401) await new Promise((resolve) => setTimeout(resolve, 20));
    const path = brief.notificationPath('ext', ['probe'], 't0');
    await brief.call('token-expired', 'POST', path, { token, body: notification('UPDATE', {}) });
  },
};

/** What a restart leaves: recorded on durable storage. */
export const restarts: Topic = {
  title: 'a restart kills every token and keeps tables and timestamps',
  needs: 'restart',
  async run(replay) {
    await replay.server.restart?.();
    const namespaces = `${replay.catalogPath('ext')}/namespaces?pageSize=1`;
    await replay.call('token-from-before-server-restart', 'GET', namespaces);
    await replay.login();
    await replay.load('jdbc-state-after-restart-load', [['probe'], 't0']);
    const file = replay.metadata('ext/val/a');
    await replay.notify('jdbc-timestamp-survives-restart', [['probe'], 't0'], 'UPDATE', { timestamp: 1, file });
  },
};

const rootForm = (replay: Replay) => ({
  grant_type: 'client_credentials',
  client_id: replay.server.credentials.clientId,
  client_secret: replay.server.credentials.clientSecret,
  scope: SCOPE,
});
