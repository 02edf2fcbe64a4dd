import { type Topic, notification } from '../replay.ts';
import { catalogBody } from './setup.ts';

const CATALOGS = '/api/management/v1/catalogs';

export const catalogs: Topic = {
  title: 'catalogs: overlapping, unknown, INTERNAL',
  async run(replay) {
    const root = `file://${replay.root}`;
    const create = (scenario: string, body: object) => replay.call(scenario, 'POST', CATALOGS, { body });
    const at = (name: string, base: string) => catalogBody(replay, name, { base });
    await create('catalog-same-location-as-other-catalog', at('ext_dup', `${root}/ext`));
    await create('catalog-nested-location-in-other-catalog', at('ext_nested', `${root}/ext/sub`));
    await create('catalog-parent-location-of-other-catalog', at('ext_parent', root));
    const { catalog } = at('nostore', `${root}/nostore`);
    const bare = { type: catalog.type, name: catalog.name, properties: catalog.properties };
    await create('catalog-missing-storage', { catalog: bare });
    const options = { base: `${root}/otherbase`, allowed: `${root}/otherallowed` };
    await create('catalog-allowedLocations-not-containing-base', catalogBody(replay, 'other', options));

    const notify = (scenario: string, inCatalog: string, type: string, folder: string, table = 't') => {
      const file = replay.metadata(folder);
      return replay.notify(scenario, [['ns'], table], type, { timestamp: 1, file }, { catalog: inCatalog });
    };
    await notify('notify-in-allowed-but-not-base', 'other', 'CREATE', 'otherallowed/ns/t');
    await notify('notify-in-base-but-not-listed-in-allowed', 'other', 'CREATE', 'otherbase/ns/t2', 't2');
    await replay.call('catalog-delete-nonempty', 'DELETE', `${CATALOGS}/${replay.named('other')}`);
    await notify('notify-internal-catalog', 'int', 'CREATE', 'int/ns/t');
    await notify('notify-internal-catalog-validate', 'int', 'VALIDATE', 'int/ns/t');
    await notify('notify-internal-catalog-drop', 'int', 'DROP', 'int/ns/t');
    const file = replay.metadata('int/ns/t');
    const body = notification('CREATE', { timestamp: 1, 'table-uuid': file.uuid, 'metadata-location': file.uri });
    const unknown = '/api/catalog/v1/nocat/namespaces/ns/tables/t/notifications';
    await replay.call('notify-unknown-catalog', 'POST', unknown, { body });
    await replay.call('management-get-catalog-version', 'GET', `${CATALOGS}/${replay.named('ext')}`);
  },
};
