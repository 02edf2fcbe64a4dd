import { encoded, type Replay, type Topic, at } from '../replay.ts';

const PARENT = ['lvl1'];

export const locations: Topic = {
  title: 'locations: allowed, outside, overlapping, and how they are written',
  async run(replay) {
    await outside(replay);
    await overlapping(replay);
    await spelling(replay);
    await externalMetadata(replay);
  },
};

async function outside(replay: Replay): Promise<void> {
  const root = `file://${replay.root}`;
  const create = (scenario: string, name: string, file: ReturnType<Replay['metadata']>) =>
    replay.notify(scenario, [PARENT, name], 'CREATE', { timestamp: 1, file });
  const file = replay.metadata('outside/o');
  await replay.notify('create-ml-outside-allowed', [['o'], 'o'], 'CREATE', { timestamp: 1, file });
  await replay.call('ns-created-by-outside-create?', 'GET', `${replay.catalogPath('ext')}/namespaces/o`);
  await create(
    'create-metadata-location-field-outside-allowed',
    'o2',
    replay.metadata('ext/lvl1/o2', { location: `${root}/outside/o2` }),
  );
  await create(
    'create-metadata-file-not-under-its-location',
    'o3',
    replay.metadata('ext/lvl1/o3', { location: `${root}/ext/lvl1/o3_elsewhere` }),
  );
  await create(
    'create-metadata-file-directly-in-table-root',
    'o3b',
    replay.metadata('ext/lvl1/o3b', { folder: `${replay.root}/ext/lvl1/o3b` }),
  );
  const paths = { 'write.data.path': `${root}/outside/data`, 'write.metadata.path': `${root}/outside/md` };
  await create('create-write.data.path-outside', 'o4', replay.metadata('ext/lvl1/o4', { properties: paths }));
  const inside = { 'write.data.path': `${root}/ext/lvl1/o5data` };
  const o5 = replay.metadata('ext/lvl1/o5', { properties: inside });
  await create('create-write.data.path-inside-allowed-outside-table', 'o5', o5);
  const escape = `${root}/ext/../outside/o/metadata/${file.path.split('/').at(-1)}`;
  await replay.notify('create-ml-dotdot', [PARENT, 'dotdot'], 'CREATE', { timestamp: 2, location: escape });
}

async function overlapping(replay: Replay): Promise<void> {
  const create = (scenario: string, name: string, file: ReturnType<Replay['metadata']>, namespace = PARENT) =>
    replay.notify(scenario, [namespace, name], 'CREATE', { timestamp: 1, file });
  const base = replay.metadata('ext/lvl1/overlap_base');
  await create('overlap-setup', 'overlap_base', base);
  await create('overlap-same-location-different-name', 'overlap_twin', base);
  const again = replay.metadata('ext/lvl1/overlap_base', { version: 1 });
  await create('overlap-same-location-different-name-different-ns', 'overlap_twin2', again, ['newns']);
  const nested = replay.metadata('ext/lvl1/overlap_base/nested');
  await create('overlap-nested-inside-other-table', 'overlap_nested', nested);
  const parent = replay.metadata('ext/lvl1');
  await create('overlap-table-at-namespace-location(contains others)', 'overlap_parent', parent);
  const elsewhere = replay.metadata('ext/whatever/place/not_under_ns');
  await create('create-location-not-under-namespace-location', 'notundern', elsewhere);
}

async function spelling(replay: Replay): Promise<void> {
  const trailing = replay.metadata('ext/lvl1/trail', { location: `file://${replay.root}/ext/lvl1/trail/` });
  await replay.notify('create-location-trailing-slash', [PARENT, 'trail'], 'CREATE', { timestamp: 1, file: trailing });
  const { path } = replay.metadata('ext/lvl1/noscheme');
  const create = (scenario: string, name: string, timestamp: number, location: string) =>
    replay.notify(scenario, [PARENT, name], 'CREATE', { timestamp, location });
  await create('create-ml-without-file-scheme', 'noscheme', 1, path);
  await create('create-ml-file:/-single-slash', 'noscheme', 2, `file:${path}`);
  await create('create-ml-s3a-scheme', 's3t', 2, 's3a://bucket/lvl1/s3t/metadata/0.metadata.json');

  const spaced = replay.metadata('ext/special/with space/tbl é');
  const special = (scenario: string, name: string, location: string) =>
    replay.notify(scenario, [['sc'], name], 'CREATE', { timestamp: 1, location });
  await special('special-ml-with-space-and-unicode-raw', 'mlsp', spaced.uri);
  await special('special-ml-with-space-percent-encoded', 'mlsp2', encodeURI(spaced.uri));
  await special('special-ml-literal-percent-dir', 'mlpct', replay.metadata('ext/special/pct%20dir').uri);
  await special('special-ml-hash', 'mlhash', replay.metadata('ext/special/part=1#x').uri);
}

/** Files outside of their table's location, and the catalog property that allows them. */
async function externalMetadata(replay: Replay): Promise<void> {
  const folder = `${replay.root}/ext/fv_md/wmp`;
  const properties = { 'write.metadata.path': `file://${folder}` };
  const file = replay.metadata('ext/fv/wmp', { folder, properties });
  const table = [['fv'], 'wmp'] as const;
  const inside = 'create-write.metadata.path-inside-allowed-and-used';
  await replay.notify(inside, table, 'CREATE', { timestamp: 1, file });
  const path = `/api/management/v1/catalogs/${encoded(replay.named('ext'))}`;
  const catalog = await replay.send('GET', path);
  await replay.call('catalog-set-allow-external-metadata', 'PUT', path, {
    body: {
      currentEntityVersion: at(catalog.body, 'entityVersion'),
      properties: {
        ...(at(catalog.body, 'properties') as object),
        'polaris.config.allow.external.metadata.file.location': 'true',
      },
    },
  });
  const allowed = 'create-write.metadata.path-with-allow.external.metadata.file.location';
  await replay.notify(allowed, table, 'CREATE', { timestamp: 2, file });
  const elsewhere = replay.metadata('ext/fv/wmp3', { folder: `${replay.root}/ext/fv_md/wmp3` });
  const unnamed = 'create-metadata-elsewhere-with-allow.external.metadata.file.location';
  await replay.notify(unnamed, [['fv'], 'wmp3'], 'CREATE', { timestamp: 2, file: elsewhere });
}
