import { gzipSync } from 'node:zlib';
import { type Topic, notification } from '../replay.ts';

export const limits: Topic = {
  title: 'compressed and oversized request bodies',
  async run(replay) {
    const file = replay.metadata('ext/lvl1/gzreq');
    const payload = { 'table-name': 'x', timestamp: 1, 'table-uuid': file.uuid, 'metadata-location': file.uri };
    const zipped = gzipSync(JSON.stringify(notification('CREATE', payload)));
    await replay.call('request-body-gzip', 'POST', replay.notificationPath('ext', ['lvl1'], 'gzreq'), {
      raw: zipped,
      headers: { 'content-encoding': 'gzip' },
    });
    const large = JSON.stringify(notification('CREATE', { 'table-name': 'x'.repeat(11 * 1024 * 1024) }));
    const path = replay.notificationPath('ext', ['lvl1'], 'big');
    await replay.call('request-body-too-large-11MB', 'POST', path, { raw: large });
  },
};
