import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Replay, Topic } from '../replay.ts';

const TYPES = ['VALIDATE', 'CREATE', 'UPDATE', 'DROP'];
const SCHEMA = { type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'id', required: true, type: 'long' }] };
const VIEW_VERSION = {
  'version-id': 1,
  'timestamp-ms': 1_700_000_000_000,
  'schema-id': 0,
  summary: { 'engine-name': 'x' },
  representations: [{ type: 'sql', sql: 'select 1 as id', dialect: 'spark' }],
  'default-namespace': ['xns'],
};

/** All four types of notification for a name that something else holds. */
async function notifyAll(replay: Replay, scenarioOf: (type: string) => string, name: string): Promise<void> {
  const file = replay.metadata('ext/xns/vt');
  for (const type of TYPES) {
    await replay.notify(scenarioOf(type), [['xns'], name], type, { timestamp: 5, file });
  }
}

export const views: Topic = {
  title: 'views hold names that notifications then cannot take',
  async run(replay) {
    const xns = `${replay.catalogPath('ext')}/namespaces/xns`;
    const folder = `${replay.root}/ext/xns/v2/metadata`;
    const location = `file://${folder}/v.metadata.json`;
    const metadata = {
      'view-uuid': randomUUID(),
      'format-version': 1,
      location: `file://${replay.root}/ext/xns/v2`,
      schemas: [SCHEMA],
      'current-version-id': 1,
      versions: [VIEW_VERSION],
      'version-log': [{ 'timestamp-ms': 1_700_000_000_000, 'version-id': 1 }],
      properties: {},
    };
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/v.metadata.json`, JSON.stringify(metadata));
    await replay.call('ext-createView', 'POST', `${xns}/views`, {
      body: {
        name: 'v1',
        location: `file://${replay.root}/ext/xns/v1`,
        schema: SCHEMA,
        'view-version': VIEW_VERSION,
        properties: {},
      },
    });
    const register = { name: 'v2', 'metadata-location': location };
    await replay.call('ext-registerView', 'POST', `${xns}/register-view`, { body: register });
    await replay.call('ext-registerView-underscore-path', 'POST', `${xns}/views/register`, {
      body: { ...register, name: 'v3' },
    });
    await replay.call('ext-listViews', 'GET', `${xns}/views`);
    for (const view of ['v1', 'v2']) {
      await notifyAll(replay, (type) => `notify-${type}-name-taken-by-view-${view}`, view);
    }
    await replay.call('ext-listViews-after', 'GET', `${xns}/views`);
  },
};

export const genericTables: Topic = {
  title: 'generic tables hold names that notifications then cannot take',
  async run(replay) {
    const path = `${replay.polarisPath('ext')}/namespaces/xns/generic-tables`;
    const create = (scenario: string, body: object) => replay.call(scenario, 'POST', path, { body });
    const root = `file://${replay.root}`;
    await create('ext-createGenericTable', {
      name: 'g1',
      format: 'delta',
      'base-location': `${root}/ext/xns/g1`,
      doc: 'd',
      properties: { k: 'v' },
    });
    await create('ext-createGenericTable-again', { name: 'g1', format: 'delta', properties: {} });
    await replay.call('ext-loadGenericTable', 'GET', `${path}/g1`);
    await replay.call('ext-listGenericTables', 'GET', path);
    await create('ext-createGenericTable-base-location-outside', {
      name: 'g2',
      format: 'csv',
      'base-location': `${root}/outside/g2`,
      properties: {},
    });
    const replaced = { name: 'g1', format: 'delta' };
    await replay.call('ext-updateGenericTable-PUT', 'PUT', `${path}/g1`, { body: replaced });
    await notifyAll(replay, (type) => `notify-${type}-name-taken-by-generic`, 'g1');
    await replay.call('ext-loadGenericTable-after', 'GET', `${path}/g1`);
    await create('ext-createGenericTable-name-taken-by-iceberg', { name: 'taken', format: 'delta', properties: {} });
  },
};
