import { existsSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import type { Topic } from '../replay.ts';

const TABLE = [['lvl1'], 'd'] as const;

export const drops: Topic = {
  title: 'DROP checks no timestamp, and a dropped table can be resurrected',
  async run(replay) {
    const file = replay.metadata('ext/lvl1/d');
    const next = replay.metadata('ext/lvl1/d', { uuid: file.uuid, version: 1 });
    await replay.notify('drop-setup', TABLE, 'CREATE', { timestamp: 100, file });
    await replay.notify('drop-existing-older-ts', TABLE, 'DROP', { timestamp: 50, file });
    await replay.load('load-after-drop-older-ts', TABLE);
    await replay.notify('drop-again(unknown-table)', TABLE, 'DROP', { timestamp: 200, file });
    await replay.notify('update-old-ts-after-drop(resurrect?)', TABLE, 'UPDATE', { timestamp: 10, file: next });
    await replay.load('load-after-resurrect', TABLE);
    await replay.notify('drop-existing-newer-ts', TABLE, 'DROP', { timestamp: 300, file });
    await replay.notify('create-old-ts-after-drop', TABLE, 'CREATE', { timestamp: 10, file });
    await replay.notify('drop-wrong-uuid', TABLE, 'DROP', { timestamp: 300, file, uuid: randomUUID() });
    await replay.notify('create-for-drop-nopayload', TABLE, 'CREATE', { timestamp: 10, file });
    const path = replay.notificationPath('ext', ...TABLE);
    await replay.call('drop-no-payload', 'POST', path, { body: { 'notification-type': 'DROP' } });
    await replay.notify('drop-unknown-table-known-ns', [['lvl1'], 'zzz'], 'DROP', { timestamp: 1, file });
    await replay.notify('drop-unknown-ns', [['nons'], 'zzz'], 'DROP', { timestamp: 1, file });
    const head = replay.tablePath('ext', ...TABLE);
    await replay.call('drop-metadata-file-still-on-disk', 'HEAD', head);
    replay.expect('drop-metadata-file-still-on-disk', 'the file is still on disk', existsSync(file.path));
    const namespaces = `${replay.catalogPath('ext')}/namespaces`;
    await replay.call('dropped-in-unknown-ns-created-ns?', 'HEAD', `${namespaces}/nons`);

    const last = replay.metadata('ext/dn/t');
    await replay.notify('dn-create', [['dn'], 't'], 'CREATE', { timestamp: 1, file: last });
    await replay.notify('dn-drop', [['dn'], 't'], 'DROP', { timestamp: 2, file: last });
    await replay.call('ns-remains-after-last-table-dropped', 'HEAD', `${namespaces}/dn`);
    await replay.call('dn-dropNamespace', 'DELETE', `${namespaces}/dn`);
  },
};
