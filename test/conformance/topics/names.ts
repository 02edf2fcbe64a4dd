import { SEPARATOR, type Topic, notification } from '../replay.ts';

const SC = ['sc'];
const deep = Array.from({ length: 20 }, (_, i) => `d${i}`);

/** Name of the scenario, namespace, table. */
const NAMES: readonly (readonly [string, readonly string[], string])[] = [
  ['dot-in-table', SC, 'a.b'],
  ['dot-in-ns', ['s.c'], 't'],
  ['space', ['s c'], 'my table'],
  ['unicode', ['ñamé'], 'täble_表'],
  ['emoji', SC, '😀'],
  ['slash-encoded', SC, 'a/b'],
  ['percent', SC, '50%'],
  ['plus', SC, 'a+b'],
  ['question', SC, 'a?b'],
  ['hash', SC, 'a#b'],
  ['UPPER', SC, 'Mixed'],
  ['lower-of-mixed', SC, 'mixed'],
  ['long-255', SC, 'x'.repeat(255)],
  ['long-256', SC, 'x'.repeat(256)],
  ['long-257', SC, 'y'.repeat(257)],
  ['long-3000', SC, 'y'.repeat(3000)],
  ['deep-20-levels', deep, 't'],
  ['ns-with-unit-separator', ['a', 'b'], 't'],
  ['table-with-unit-separator', SC, `a${SEPARATOR}b`],
  ['backslash', SC, 'a\\b'],
  ['colon', SC, 'a:b'],
  ['SYSTEM$', SC, 'SYSTEM$x'],
  ['dotdot-ns', ['..'], 't'],
  ['single-dot-table', SC, '.'],
  ['dotdot-table', SC, '..'],
  ['backtick-quote', SC, `a\`'"b`],
];

export const names: Topic = {
  title: 'names: which can be addressed',
  async run(replay) {
    for (const [scenario, namespace, table] of NAMES) {
      const file = replay.metadata(`ext/special/${scenario}`);
      await replay.notify(`special-create-${scenario}`, [namespace, table], 'CREATE', { timestamp: 1, file });
      await replay.load(`special-load-${scenario}`, [namespace, table]);
    }
    const body = notification('CREATE', {});
    const namespaces = `${replay.catalogPath('ext')}/namespaces`;
    await replay.call('special-empty-table-name', 'POST', `${namespaces}/sc/tables//notifications`, { body });
    await replay.call('special-empty-ns', 'POST', `${namespaces}//tables/t/notifications`, { body });
    await replay.call('special-list-sc', 'GET', replay.tablePath('ext', SC));
    await replay.call('special-list-ns', 'GET', namespaces);
  },
};
