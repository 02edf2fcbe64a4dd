import type { Replay, Topic } from '../replay.ts';

/** What clients may and may not do in an EXTERNAL catalog beside notifications. */
export const staticFacade: Topic = {
  title: 'an EXTERNAL catalog takes registrations and drops, and refuses commits',
  async run(replay) {
    await registeredTables(replay);
    await namesAndLocationsTwice(replay);
    const path = `${replay.catalogPath('ext')}/namespaces`;
    await replay.call('ext-dropNamespace-nonempty', 'DELETE', `${path}/xns`);
    await replay.call('ext-dropNamespace-empty', 'DELETE', `${path}/g`);
    const change = {
      identifier: { namespace: ['xns'], name: 'taken' },
      requirements: [],
      updates: [{ action: 'set-properties', updates: { a: 'b' } }],
    };
    await replay.call('ext-reportMetrics', 'POST', `${replay.tablePath('ext', ['xns'], 'taken')}/metrics`, {
      body: {
        'report-type': 'scan-report',
        'table-name': 'taken',
        'snapshot-id': 1,
        filter: true,
        'schema-id': 0,
        'projected-field-ids': [1],
        'projected-field-names': ['id'],
        metrics: {},
        metadata: {},
      },
    });
    await replay.call('ext-transaction-commit', 'POST', `${replay.catalogPath('ext')}/transactions/commit`, {
      body: { 'table-changes': [change] },
    });
  },
};

async function registeredTables(replay: Replay): Promise<void> {
  const xns = `${replay.catalogPath('ext')}/namespaces/xns`;
  const schema = { type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'id', required: true, type: 'long' }] };
  const create = (scenario: string, name: string, staged: boolean) =>
    replay.call(scenario, 'POST', `${xns}/tables`, { body: { name, schema, 'stage-create': staged } });
  await create('ext-createTable', 'ct', false);
  await create('ext-createTable-staged', 'ct2', true);
  const file = replay.metadata('ext/xns/reg');
  const table = [['xns'], 'reg'] as const;
  const register = (scenario: string, more: object = {}) =>
    replay.call(scenario, 'POST', `${xns}/register`, { body: { name: 'reg', 'metadata-location': file.uri, ...more } });
  await register('ext-registerTable');
  await register('ext-registerTable-again');
  await register('ext-registerTable-overwrite', { overwrite: true });
  await replay.notify('notify-update-on-registered-table-ts1', table, 'UPDATE', { timestamp: 1, file });
  await replay.notify('notify-update-on-registered-table-ts0-again', table, 'UPDATE', { timestamp: 0, file });
  await replay.call('ext-commitTable', 'POST', `${xns}/tables/reg`, {
    body: { requirements: [], updates: [{ action: 'set-properties', updates: { a: 'b' } }] },
  });
  const rename = (scenario: string, from: string, to: string) =>
    replay.call(scenario, 'POST', `${replay.catalogPath('ext')}/tables/rename`, {
      body: { source: { namespace: ['xns'], name: from }, destination: { namespace: ['xns'], name: to } },
    });
  await rename('ext-renameTable', 'reg', 'reg2');
  await rename('ext-renameTable-back', 'reg2', 'reg');
  await replay.call('ext-dropTable', 'DELETE', `${xns}/tables/reg`);
  await replay.call('ext-dropTable-missing', 'DELETE', `${xns}/tables/reg`);
  await register('ext-registerTable-for-purge');
  await replay.call('ext-dropTable-purge', 'DELETE', `${xns}/tables/reg?purgeRequested=true`);
  await replay.call('ext-dropTable-nopurge', 'DELETE', `${xns}/tables/reg`);
}

/** Namespaces and tables that share a name or a location. */
async function namesAndLocationsTwice(replay: Replay): Promise<void> {
  const create = (scenario: string, namespace: string[], name: string, folder: string) =>
    replay.notify(scenario, [namespace, name], 'CREATE', { timestamp: 1, file: replay.metadata(`ext/${folder}`) });
  await create('setup-table-taken', ['xns'], 'taken', 'xns/taken');
  await replay.call('ext-createNamespace-name-taken-by-table', 'POST', `${replay.catalogPath('ext')}/namespaces`, {
    body: { namespace: ['xns', 'taken'] },
  });
  await create('notify-create-under-ns-whose-name-is-a-table', ['xns', 'taken'], 't', 'xns/taken2/t');
  await create('setup-table-at-xns/ovns', ['xns'], 'othername', 'xns/ovns');
  const location = 'notify-create-ns-whose-default-location-is-a-table-location';
  await create(location, ['xns', 'ovns'], 't', 'xns/ovns/t');
  await create('setup-table-with-location-at-future-top-ns', ['xns'], 'topt', 'topt');
  await create('notify-create-top-ns-default-location-equals-table-location', ['topt'], 't', 'topt/t');
}
