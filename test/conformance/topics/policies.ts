import { type Answer, type Replay, type Topic, SEPARATOR, at, encoded } from '../replay.ts';

const COMPACTION = '{"version":"2025-02-03","enable":true,"config":{"target_file_size_bytes":134217728}}';
const NO_COMPACTION = '{"version":"2025-02-03","enable":false}';
const EXPIRY = '{"version":"2025-02-03","enable":true,"config":{"min_snapshot_to_keep":1}}';

/** Policies as recorded, but for what depends on who asks. */
const compact1 = {
  'policy-type': 'system.data-compaction',
  inheritable: true,
  name: 'compact1',
  description: 'd',
  content: COMPACTION,
  version: 0,
};
const compact2 = { ...compact1, description: 'd2', content: NO_COMPACTION, version: 1 };
const expire1 = {
  'policy-type': 'system.snapshot-expiry',
  inheritable: true,
  name: 'expire1',
  description: null,
  content: EXPIRY,
  version: 0,
};
const own = (policy: object) => ({ ...policy, inherited: false, namespace: ['xns'] });
const inherited = (policy: object) => ({ ...policy, inherited: true, namespace: ['xns'] });

const TABLE = [['xns'], 'taken'] as const;
const ON_TABLE = { type: 'table-like', path: ['xns', 'taken'] };
const ON_NAMESPACE = { type: 'namespace', path: ['xns'] };
const ON_CATALOG = { type: 'catalog', path: [] };

export const policies: Topic = {
  title: 'policies: attached, inherited, changed, and lost with the table',
  async run(replay) {
    const path = `${replay.polarisPath('ext')}/namespaces/xns/policies`;
    const mapping = (scenario: string, method: string, policy: string, body: object) =>
      replay.call(scenario, method, `${path}/${policy}/mappings`, { body });
    await create(replay, path);
    await mapping('policy-attach-catalog', 'PUT', 'compact1', { target: ON_CATALOG });
    await mapping('policy-attach-namespace', 'PUT', 'expire1', { target: ON_NAMESPACE });
    await mapping('policy-attach-table', 'PUT', 'expire1', { target: ON_TABLE, parameters: { p: '1' } });
    await mapping('policy-attach-table-again', 'PUT', 'expire1', { target: ON_TABLE });
    await ask(replay);

    const list = await replay.call('policy-list', 'GET', path);
    same(replay, 'policy-list', sorted(at(list.body, 'identifiers')), [
      { namespace: ['xns'], name: 'compact1' },
      { namespace: ['xns'], name: 'expire1' },
    ]);
    holds(replay, 'policy-load', await replay.call('policy-load', 'GET', `${path}/compact1`), compact1);
    const updated = await replay.call('policy-update', 'PUT', `${path}/compact1`, {
      body: { description: 'd2', content: NO_COMPACTION, 'current-policy-version': 0 },
    });
    holds(replay, 'policy-update', updated, compact2);
    const onTable = 'namespace=xns&target-name=taken';
    await applicable(replay, 'policy-applicable-after-update', onTable, [inherited(compact2), own(expire1)]);

    await replay.notify('notify-drop-table-with-policy-attached', TABLE, 'DROP', { timestamp: 9 });
    const file = replay.metadata('ext/xns/taken');
    await replay.notify('notify-recreate-table-after-drop', TABLE, 'CREATE', { timestamp: 10, file });
    await applicable(replay, 'policy-applicable-after-drop-recreate', onTable, [
      inherited(compact2),
      inherited(expire1),
    ]);
    await mapping('policy-detach-namespace', 'POST', 'expire1', { target: ON_NAMESPACE });
    await replay.call('policy-drop-attached', 'DELETE', `${path}/compact1`);
    await replay.call('policy-drop-detachAll', 'DELETE', `${path}/compact1?detach-all=true`);
  },
};

async function create(replay: Replay, path: string): Promise<void> {
  const post = (scenario: string, body: object) => replay.call(scenario, 'POST', path, { body });
  const type = 'system.data-compaction';
  const created = await post('policy-create', { name: 'compact1', type, description: 'd', content: COMPACTION });
  holds(replay, 'policy-create', created, compact1);
  await post('policy-create-again', { name: 'compact1', type, content: '{"enable":true}' });
  const expiry = { name: 'expire1', type: 'system.snapshot-expiry', content: EXPIRY };
  holds(replay, 'policy-create-snapshot-expiry', await post('policy-create-snapshot-expiry', expiry), expire1);
  await post('policy-create-bad-type', { name: 'bad', type: 'system.nope', content: '{}' });
}

async function ask(replay: Replay): Promise<void> {
  const onTable = 'namespace=xns&target-name=taken';
  await applicable(replay, 'policy-applicable-table', onTable, [inherited(compact1), own(expire1)]);
  const compactions = `${onTable}&policyType=system.data-compaction`;
  await applicable(replay, 'policy-applicable-table-type-filter', compactions, [inherited(compact1)]);
  await applicable(replay, 'policy-applicable-namespace', 'namespace=xns', [inherited(compact1), own(expire1)]);
  await applicable(replay, 'policy-applicable-catalog', '', [own(compact1)]);
  const path = `${replay.polarisPath('ext')}/applicable-policies`;
  await replay.call('policy-applicable-missing-table', 'GET', `${path}?namespace=xns&target-name=nope`);
  await replay.call('policy-applicable-generic-table', 'GET', `${path}?namespace=xns&target-name=g1`);
  const levels = encoded(['conc1', 'x', 'y'].join(SEPARATOR));
  await applicable(replay, 'policy-applicable-multilevel-ns', `namespace=${levels}&target-name=t1`, [
    inherited(compact1),
  ]);
}

/** Asks which policies apply, and compares them with the recorded ones, which have no order. */
async function applicable(replay: Replay, scenario: string, query: string, expected: readonly object[]): Promise<void> {
  const path = `${replay.polarisPath('ext')}/applicable-policies`;
  const answer = await replay.call(scenario, 'GET', query === '' ? path : `${path}?${query}`);
  same(replay, scenario, sorted(at(answer.body, 'applicable-policies')), expected);
}

const holds = (replay: Replay, scenario: string, answer: Answer, expected: object) =>
  same(replay, scenario, at(answer.body, 'policy'), expected);

/** States an equality of JSON values, whatever the order of their keys. */
const same = (replay: Replay, scenario: string, actual: unknown, expected: unknown) =>
  replay.expect(scenario, canonical(expected), canonical(actual) === canonical(expected));

/** By name. */
const sorted = (items: unknown): readonly unknown[] =>
  Array.isArray(items) ? items.toSorted((a, b) => (String(at(a, 'name')) < String(at(b, 'name')) ? -1 : 1)) : [];

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
