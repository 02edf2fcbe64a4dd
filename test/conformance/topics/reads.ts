import { createHash } from 'node:crypto';
import { renameSync, unlinkSync } from 'node:fs';
import { SEPARATOR, type Topic, at, encoded, textAt } from '../replay.ts';
import { catalogBody } from './setup.ts';

const LEVELS = ['conc1', 'x', 'y'];
const etagOf = (location: string): string => `W/"${createHash('sha256').update(location).digest('hex')}"`;

export const reads: Topic = {
  title: 'loads, conditional loads and lists',
  async run(replay) {
    const path = replay.tablePath('ext', LEVELS, 't1');
    const loaded = await replay.call('load-etag', 'GET', path);
    const etag = String(loaded.headers['etag']);
    replay.expect('load-etag', 'a hash of the location', etag === etagOf(textAt(loaded, 'metadata-location')));
    await replay.call('load-if-none-match', 'GET', path, { headers: { 'if-none-match': etag } });
    await replay.call('load-snapshots-refs', 'GET', `${path}?snapshots=refs`);
    await replay.call('load-vended-credentials', 'GET', path, {
      headers: { 'X-Iceberg-Access-Delegation': 'vended-credentials' },
    });
    await replay.call('head-table-existing', 'HEAD', path);
    await replay.call('head-table-missing', 'HEAD', replay.tablePath('ext', LEVELS, 'nope'));
    await replay.call('load-table-missing', 'GET', replay.tablePath('ext', LEVELS, 'nope'));
    await replay.call('load-table-missing-ns', 'GET', replay.tablePath('ext', ['nonexist'], 'nope'));

    const tables = replay.tablePath('ext', LEVELS);
    const all = await replay.call('list-tables-nopage', 'GET', tables);
    replay.expect('list-tables-nopage', 'lists every table', (at(all.body, 'identifiers') as unknown[]).length >= 20);
    await replay.call('list-tables-pageSize-7', 'GET', `${tables}?pageSize=7`);
    await replay.call('list-tables-pageToken-empty', 'GET', `${tables}?pageToken=&pageSize=3`);
    await replay.call('list-tables-bad-token', 'GET', `${tables}?pageToken=zzz&pageSize=3`);
    await replay.call('list-tables-missing-ns', 'GET', replay.tablePath('ext', ['nonexist']));
    const namespaces = `${replay.catalogPath('ext')}/namespaces`;
    await replay.call('list-ns-parent', 'GET', `${namespaces}?parent=${encoded(`conc1${SEPARATOR}x`)}`);
    await replay.call('list-ns-paged', 'GET', `${namespaces}?pageSize=2`);
    await replay.call('list-ns-parent-missing', 'GET', `${namespaces}?parent=zzz`);

    const gone = [['probe'], 'gone'] as const;
    const file = replay.metadata('ext/probe/gone');
    await replay.notify('load-metadata-deleted-setup', gone, 'CREATE', { timestamp: 1, file });
    unlinkSync(file.path);
    await replay.load('load-metadata-deleted', gone);
    await replay.call('head-metadata-deleted', 'HEAD', replay.tablePath('ext', ...gone));
    await replay.notify('drop-metadata-deleted', gone, 'DROP', { timestamp: 1, file });
  },
};

export const etags: Topic = {
  title: 'an ETag proves what is served without reading the metadata file',
  async run(replay) {
    const table = [['et'], 't'] as const;
    const path = replay.tablePath('ext', ...table);
    const file = replay.metadata('ext/et/t');
    const other = replay.metadata('ext/et/t', { uuid: file.uuid, version: 1 });
    const conditional = (scenario: string, etag: string) =>
      replay.call(scenario, 'GET', path, { headers: { 'if-none-match': etag } });
    await replay.notify('etag-setup', table, 'CREATE', { timestamp: 1, file });
    await replay.load('etag-load', table);
    await conditional('etag-if-none-match-computed-stale', etagOf(other.uri));
    renameSync(file.path, `${file.path}.away`);
    await conditional('etag-if-none-match-computed-match-metadata-file-missing', etagOf(file.uri));
    await conditional('etag-strong-form', etagOf(file.uri).slice(2));
    await conditional('etag-star', '*');
    renameSync(`${file.path}.away`, file.path);
    const namespaces = `${replay.catalogPath('ext')}/namespaces`;
    await replay.call('head-namespace', 'HEAD', `${namespaces}/et`);
    await replay.call('head-namespace-missing', 'HEAD', `${namespaces}/zzz`);
  },
};

const count = (body: unknown): number => (at(body, 'identifiers') as unknown[]).length;

/** Polaris ignores `pageSize` and `pageToken` unless LIST_PAGINATION_ENABLED is set. */
export const pagination: Topic = {
  title: 'lists in pages, where pagination is on',
  needs: 'variant',
  async run(run) {
    await using replay = await run.onVariant({ pagination: true });
    await replay.login();
    await replay.send('POST', '/api/management/v1/catalogs', { body: catalogBody(replay, 'ext') });
    const tables = replay.tablePath('ext', ['probe']);
    for (let i = 0; i < 21; i++) {
      await replay.notify('', [['probe'], `t${i}`], 'CREATE', {
        timestamp: 1,
        file: replay.metadata(`ext/probe/t${i}`),
      });
    }
    const sizes: number[] = [];
    let token: string | null = '';
    while (token !== null) {
      const page = await replay.call(
        'pagination-on-list-tables',
        'GET',
        `${tables}?pageSize=7&pageToken=${encoded(token)}`,
      );
      sizes.push(count(page.body));
      token = at(page.body, 'next-page-token') as string | null;
    }
    replay.expect('pagination-on-list-tables', 'pages of 7, 7 and 7', sizes.join() === '7,7,7');
    const first = await replay.call('list-tables-pageSize-7', 'GET', `${tables}?pageSize=7`);
    const next = encoded(textAt(first, 'next-page-token'));
    await replay.call('list-tables-page-2', 'GET', `${tables}?pageSize=7&pageToken=${next}`);
    await replay.call('list-tables-pageToken-empty', 'GET', `${tables}?pageToken=&pageSize=3`);
    await replay.call('list-tables-bad-token', 'GET', `${tables}?pageToken=zzz&pageSize=3`);
    await replay.call('pagination-on-first-page-without-pageToken', 'GET', `${tables}?pageSize=7`);
    const all = await replay.call('pagination-on-no-params', 'GET', tables);
    replay.expect('pagination-on-no-params', 'everything at once', count(all.body) === 21);
    const unsized = await replay.call('pagination-on-pageToken-empty-no-size', 'GET', `${tables}?pageToken=`);
    replay.expect('pagination-on-pageToken-empty-no-size', 'everything at once', count(unsized.body) === 21);
    await replay.call('pagination-on-bad-token', 'GET', `${tables}?pageToken=zzz&pageSize=3`);
    for (const level of ['n1', 'n2', 'n3']) {
      await replay.notify('', [[level], 't'], 'CREATE', { timestamp: 1, file: replay.metadata(`ext/${level}/t`) });
    }
    const namespaces = `${replay.catalogPath('ext')}/namespaces`;
    await replay.call('pagination-on-list-ns', 'GET', `${namespaces}?pageSize=2&pageToken=`);
    await replay.call('list-ns-paged', 'GET', `${namespaces}?pageSize=2`);
  },
};
