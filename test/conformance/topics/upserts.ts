import { randomUUID } from 'node:crypto';
import { type Topic, namespacePath, textAt } from '../replay.ts';

const LEVELS = ['lvl1', 'lvl2', 'lvl3'];
const FOLDER = 'ext/lvl1/lvl2/lvl3';

export const upserts: Topic = {
  title: 'CREATE and UPDATE are one upsert with one rule of timestamps',
  async run(replay) {
    const first = replay.metadata(`${FOLDER}/a`);
    const second = replay.metadata(`${FOLDER}/a`, { uuid: first.uuid, version: 1 });
    const third = replay.metadata(`${FOLDER}/a`, { uuid: first.uuid, version: 2 });
    const a = [LEVELS, 'a'] as const;
    const served = async (scenario: string, expected: string) => {
      const location = textAt(await replay.load(scenario, a), 'metadata-location');
      replay.expect(scenario, `serves ${expected}`, location === expected);
    };

    await replay.call('ns-before', 'GET', `${replay.catalogPath('ext')}/namespaces`);
    await replay.notify('create-new-multilevel-ns', a, 'CREATE', { timestamp: 1000, file: first });
    await replay.call('ns-after', 'GET', `${replay.catalogPath('ext')}/namespaces/${namespacePath(LEVELS)}`);
    await replay.notify('create-again-same-ts', a, 'CREATE', { timestamp: 1000, file: first });
    await replay.notify('create-again-older-ts', a, 'CREATE', { timestamp: 999, file: first });
    await replay.notify('create-again-newer-ts-same-ml', a, 'CREATE', { timestamp: 1001, file: first });
    await served('load-after-create', first.uri);

    await replay.notify('update-newer', a, 'UPDATE', { timestamp: 1002, file: second });
    await served('load-after-update', second.uri);
    await replay.notify('update-equal-ts', a, 'UPDATE', { timestamp: 1002, file: third });
    await replay.notify('update-older-ts', a, 'UPDATE', { timestamp: 1001, file: third });
    await served('load-after-stale-updates', second.uri);
    await replay.notify('update-same-ml-newer-ts', a, 'UPDATE', { timestamp: 1003, file: second });
    await replay.notify('update-rollback-to-old-ml-newer-ts', a, 'UPDATE', { timestamp: 1004, file: first });

    const b = replay.metadata(`${FOLDER}/b`);
    await replay.notify('update-unknown-table(upsert)', [LEVELS, 'b'], 'UPDATE', { timestamp: 5, file: b });
    await replay.load('load-upserted', [LEVELS, 'b']);
    const c = replay.metadata('ext/newns/c');
    await replay.notify('update-unknown-table-unknown-ns', [['newns'], 'c'], 'UPDATE', { timestamp: 5, file: c });

    const other = replay.metadata(`${FOLDER}/a`, { version: 3 });
    await replay.notify('update-different-uuid-in-metadata-and-payload', a, 'UPDATE', { timestamp: 1010, file: other });
    await served('load-after-uuid-change', other.uri);
    await replay.notify('update-payload-uuid-mismatches-metadata-file', a, 'UPDATE', {
      timestamp: 1011,
      file: other,
      uuid: randomUUID(),
    });
    await replay.notify('update-payload-table-name-mismatches-url', a, 'UPDATE', {
      timestamp: 1012,
      file: other,
      name: 'other',
    });

    const moved = replay.metadata(`${FOLDER}/a_moved`, { uuid: other.uuid });
    await replay.notify('update-location-changed-root', a, 'UPDATE', { timestamp: 1020, file: moved });
    await served('load-after-location-change', moved.uri);
    const missing = moved.uri.replace(/[^/]*$/, '00009-missing.metadata.json');
    await replay.notify('update-metadata-missing', a, 'UPDATE', { timestamp: 1030, location: missing });
    await replay.notify('update-after-failed-same-ts(ts not consumed?)', a, 'UPDATE', { timestamp: 1030, file: moved });
  },
};
