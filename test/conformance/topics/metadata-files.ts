import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Topic } from '../replay.ts';
import { tableMetadata } from '../table-files.ts';

export const metadataFiles: Topic = {
  title: 'metadata files: unreadable, invalid, of every format version, compressed, large',
  async run(replay) {
    const good = tableMetadata(`file://${replay.root}/ext/g`);
    const contents = {
      'garbage-text': 'this is not json',
      'empty-file': '',
      'truncated-json': JSON.stringify(good).slice(0, 200),
      'json-but-not-metadata': '{"a":1}',
      'format-version-99': JSON.stringify({ ...good, 'format-version': 99 }),
    };
    for (const [name, content] of Object.entries(contents)) {
      const file = replay.metadata(`ext/g_${name}`, { content });
      await replay.notify(`create-metadata-${name}`, [['g'], `g_${name}`], 'CREATE', { timestamp: 1, file });
    }
    await replay.load('load-after-garbage-create', [['g'], 'g_garbage-text']);
    await replay.call('ns-created-by-failed-create?', 'GET', `${replay.catalogPath('ext')}/namespaces/g`);

    const location = `file://${replay.root}/ext/lvl1/gz`;
    const content = gzipSync(JSON.stringify(tableMetadata(location)));
    const zipped = replay.metadata('ext/lvl1/gz', { content, fileName: '0.gz.metadata.json' });
    await replay.notify('create-gzip-metadata', [['lvl1'], 'gz'], 'CREATE', { timestamp: 1, file: zipped });

    for (const version of [1, 3, 4]) {
      const metadata = tableMetadata(`file://${replay.root}/ext/fv/v${version}`);
      metadata['format-version'] = version;
      if (version === 1)
        Object.assign(metadata, { schema: (metadata['schemas'] as unknown[])[0], 'partition-spec': [] });
      if (version >= 3) metadata['next-row-id'] = 0;
      const file = replay.metadata(`ext/fv/v${version}`, { content: JSON.stringify(metadata) });
      const table = [['fv'], `v${version}`] as const;
      await replay.notify(`create-format-version-${version}`, table, 'CREATE', { timestamp: 1, file });
    }
    const nameless = tableMetadata(`file://${replay.root}/ext/fv/nouuid`);
    delete nameless['table-uuid'];
    const file = replay.metadata('ext/fv/nouuid', { content: JSON.stringify(nameless) });
    await replay.notify('create-v2-metadata-without-table-uuid', [['fv'], 'nouuid'], 'CREATE', { timestamp: 1, file });

    for (const kilobytes of [100, 1000, 10_000]) {
      const folder = `${replay.root}/ext/lvl1/bigmeta${kilobytes}`;
      const metadata = tableMetadata(`file://${folder}`);
      metadata['metadata-log'] = Array.from({ length: Math.ceil((kilobytes * 1024) / 260) }, (_, i) => ({
        'timestamp-ms': 1_600_000_000_000 + i,
        'metadata-file': `file://${folder}/metadata/${String(i).padStart(6, '0')}-${'0'.repeat(160)}.metadata.json`,
      }));
      const large = replay.metadata(`ext/lvl1/bigmeta${kilobytes}`, { content: JSON.stringify(metadata) });
      const table = [['lvl1'], `bigmeta${kilobytes}`] as const;
      await replay.notify(`create-large-metadata-${kilobytes}KB`, table, 'CREATE', { timestamp: 1, file: large });
      await replay.notify(`update-large-metadata-${kilobytes}KB`, table, 'UPDATE', { timestamp: 2, file: large });
    }
  },
};

const PYICEBERG = new URL('../../fixtures/polaris/pyiceberg.ndjson', import.meta.url);

export const pyiceberg: Topic = {
  title: 'metadata that PyIceberg wrote is served with its 64-bit snapshot ids',
  async run(replay) {
    const contents = readFileSync(PYICEBERG, 'utf8').replaceAll('/warehouse', replay.root).trimEnd().split('\n');
    const table = [['db'], 'events'] as const;
    for (const [version, content] of contents.entries()) {
      const type = version === 0 ? 'CREATE' : 'UPDATE';
      const file = replay.metadata('ext/pyice/db/events', { version, content });
      const scenario = `pyiceberg-genuine-${type}-${version}`;
      await replay.notify(scenario, table, type, { timestamp: 1_795_550_977_538 + version, file });
    }
    const snapshot = /"current-snapshot-id":(\d+)/.exec(contents.at(-1) ?? '')?.[1] ?? 'no snapshot';
    const loaded = await replay.send('GET', replay.tablePath('ext', ...table));
    replay.expect('pyiceberg-genuine-UPDATE-2', `serves snapshot ${snapshot}`, loaded.text.includes(snapshot));
  },
};
