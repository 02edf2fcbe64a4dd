import { removeCatalog } from '../clean-up.ts';
import type { Replay, Topic } from '../replay.ts';
import { notification, textAt } from '../replay.ts';

const MANAGEMENT = '/api/management/v1';

/** The body that creates a catalog on FILE storage, in a folder of its own unless told. */
export function catalogBody(
  replay: Replay,
  name: string,
  options: { readonly type?: string; readonly base?: string; readonly allowed?: string } = {},
) {
  const base = options.base ?? `file://${replay.folder(name)}`;
  return {
    catalog: {
      type: options.type ?? 'EXTERNAL',
      name: replay.named(name),
      properties: { 'default-base-location': base },
      storageConfigInfo: { storageType: 'FILE', allowedLocations: [options.allowed ?? base] },
    },
  };
}

export const setup: Topic = {
  title: 'token, catalogs, configuration and forms of addresses',
  async run(replay) {
    const { clientId, clientSecret } = replay.server.credentials;
    const token = await replay.token('oauth-root', {
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      scope: 'PRINCIPAL_ROLE:ALL',
    });
    replay.useAdminToken(textAt(token, 'access_token'));
    const create = (scenario: string, name: string, type: string) =>
      replay.call(scenario, 'POST', `${MANAGEMENT}/catalogs`, { body: catalogBody(replay, name, { type }) });
    for (const name of ['ext', 'int', 'perm']) replay.cleanUpLater(() => removeCatalog(replay, name));
    await create('catalog-create-external', 'ext', 'EXTERNAL');
    await create('catalog-create-external-again', 'ext', 'EXTERNAL');
    await create('catalog-create-internal', 'int', 'INTERNAL');
    await create('catalog-create-perm', 'perm', 'EXTERNAL');
    await replay.call('catalog-get', 'GET', `${MANAGEMENT}/catalogs/${replay.named('ext')}`);

    await replay.call('config-ext', 'GET', `/api/catalog/v1/config?warehouse=${replay.named('ext')}`);
    await replay.call('config-no-warehouse', 'GET', '/api/catalog/v1/config');
    await replay.call('config-unknown-warehouse', 'GET', '/api/catalog/v1/config?warehouse=nope');

    const file = replay.metadata('ext/probe/t0');
    const body = (timestamp: number) =>
      notification('CREATE', { 'table-name': 't0', timestamp, 'table-uuid': file.uuid, 'metadata-location': file.uri });
    const polaris = `${replay.polarisPath('ext')}/namespaces/probe/tables/t0/notifications`;
    await replay.call('url-form-polaris-v1-prefix', 'POST', polaris, { body: body(1) });
    const standard = replay.notificationPath('ext', ['probe'], 't0');
    await replay.call('url-form-v1-prefix', 'POST', standard, { body: body(2) });
    const bare = '/api/catalog/v1/namespaces/probe/tables/t0/notifications';
    await replay.call('url-form-noprefix', 'POST', bare, { body: body(3) });
    await replay.call('polaris-v1-notifications-path(404)', 'POST', polaris, { body: body(4) });
    const loaded = await replay.load('load', [['probe'], 't0']);
    replay.expect('load', 'the notified metadata location', textAt(loaded, 'metadata-location') === file.uri);
    await replay.call('q-health-on-main-port', 'GET', '/q/health', { token: null });
    await replay.call('q-health-on-main-port-auth', 'GET', '/q/health');
  },
};
