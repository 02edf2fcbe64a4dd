import { describe, expect, test } from 'vitest';
import { currentSnapshot, planCompaction, procedureCall } from '../../examples/maintenance-service/compaction-plan.ts';
import { readCompactionPolicy, type Compaction } from '../../examples/maintenance-service/compaction-policy.ts';
import { cached, enabled, metadataOf, ORDERS } from './fixture.ts';

const read = (content: string | undefined) => readCompactionPolicy(cached(content));

function compactionOf(config: object): Compaction {
  const policy = read(enabled(config));
  if (policy.kind !== 'compaction') throw new Error(JSON.stringify(policy));
  return policy.compaction;
}

describe('a compaction policy', () => {
  test("becomes the procedure's options, whichever way its names are written", () => {
    const { strategy, options, ignored } = compactionOf({
      target_file_size_bytes: 134217728,
      compaction_strategy: 'bin-pack',
      'max-concurrent-file-group-rewrites': '5',
      'partial-progress.enabled': true,
      delete_ratio_threshold: 0.3,
      key1: 'value1',
    });
    expect(strategy).toBe('binpack');
    expect(Object.fromEntries(options)).toEqual({
      'target-file-size-bytes': '134217728',
      'max-concurrent-file-group-rewrites': '5',
      'partial-progress.enabled': 'true',
      'delete-ratio-threshold': '0.3',
    });
    expect(ignored).toEqual(['key1']);
  });

  test('bin-packs when it says nothing else, and needs no version and no config', () => {
    expect(read('{"enable":true}')).toEqual({
      kind: 'compaction',
      compaction: { strategy: 'binpack', sortOrder: undefined, options: new Map(), ignored: [] },
    });
  });

  test('sorts by its order, or by Z-order', () => {
    expect(compactionOf({ compaction_strategy: 'sort', sort_order: 'id DESC NULLS LAST' })).toMatchObject({
      strategy: 'sort',
      sortOrder: 'id DESC NULLS LAST',
    });
    expect(compactionOf({ compaction_strategy: 'z-order', sort_order: 'zorder(a,b)' })).toMatchObject({
      strategy: 'sort',
      sortOrder: 'zorder(a,b)',
    });
  });

  test('may be off', () => {
    expect(read('{"enable":false,"config":{"min-input-files":"nonsense"}}')).toEqual({ kind: 'disabled' });
  });

  test.each([
    ['content that is no JSON', '{enable: true', 'is not JSON'],
    ['content that is missing', undefined, 'no content'],
    ['content without enable', '{"version":"2025-02-03"}', 'enable'],
    ['a version that is not known', '{"version":"2031-01-01","enable":true}', 'version'],
    ['nested settings', enabled({ a: { b: 1 } }), 'config.a'],
    ['a size that is no number', enabled({ target_file_size_bytes: '128MB' }), 'expected whole number above 0'],
    ['a size of 0', enabled({ target_file_size_bytes: 0 }), 'expected whole number above 0'],
    ['a number in exponent form', enabled({ target_file_size_bytes: 1e21 }), 'expected whole number above 0'],
    ['a share above 1', enabled({ 'delete-ratio-threshold': 1.5 }), 'expected number from 0 to 1'],
    ['an unknown strategy', enabled({ compaction_strategy: 'magic' }), 'expected bin-pack, sort or z-order'],
    ['Z-order without columns', enabled({ compaction_strategy: 'z-order' }), 'needs its columns'],
    ['an order for bin-packing', enabled({ sort_order: 'id ASC NULLS LAST' }), 'goes with'],
  ])('is refused for %s, with the reason', (_, content, reason) => {
    expect(read(content)).toEqual({ kind: 'unreadable', problem: expect.stringContaining(reason) as string });
  });
});

const plan = (metadata: object, config: object = {}) =>
  planCompaction({
    table: ORDERS,
    loaded: { metadataLocation: 's3://lake/1.json', metadata: { ...metadata } },
    policy: cached(enabled(config), { version: 3 }),
    compaction: compactionOf(config),
    sparkCatalog: 'hive',
  });

describe('a plan', () => {
  test('tells what is there, and the least that can be made of it', () => {
    const { before, leastFiles, policy } = plan(metadataOf(40, 1000), { target_file_size_bytes: 300 });
    expect({ before, leastFiles }).toEqual({ before: { files: 40, bytes: 1000 }, leastFiles: 4 });
    expect(policy).toEqual({ name: 'sales.small-files', version: 3, revision: 'revision-3', inherited: true });
  });

  test("goes by the table's own target where the policy has none", () => {
    const properties = { 'write.target-file-size-bytes': '100' };
    expect(plan(metadataOf(40, 1000, 'append', properties)).leastFiles).toBe(10);
    expect(plan(metadataOf(40, 1000)).leastFiles).toBe(1);
  });

  test('claims no fewer files than there are, and nothing where the summary tells nothing', () => {
    expect(plan(metadataOf(2, 1000), { target_file_size_bytes: 100 }).leastFiles).toBe(2);
    expect(plan({ 'current-snapshot-id': 7, snapshots: [{ 'snapshot-id': 7, summary: {} }] })).toMatchObject({
      before: undefined,
      leastFiles: undefined,
    });
  });

  test('knows the snapshot that the table stands on', () => {
    expect(currentSnapshot({ metadata: metadataOf(3, 30, 'replace') })).toEqual({
      operation: 'replace',
      files: 3,
      bytes: 30,
    });
    expect(currentSnapshot({ metadata: { 'current-snapshot-id': -1, snapshots: [] } })).toBeUndefined();
  });

  test('is a call that Spark takes', () => {
    expect(plan(metadataOf(2, 20), { target_file_size_bytes: 100, 'rewrite-all': true }).call).toBe(
      [
        'CALL hive.system.rewrite_data_files(',
        "  table => 'sales.orders',",
        "  strategy => 'binpack',",
        '  options => map(',
        "    'target-file-size-bytes', '100',",
        "    'rewrite-all', 'true'",
        '  )',
        ')',
      ].join('\n'),
    );
  });

  test('quotes names that would end the literal or be read as something else', () => {
    const compaction = compactionOf({ compaction_strategy: 'sort', sort_order: "a'b\\" });
    const table = { namespace: ['a.b', '1st'], name: "t`'); DROP TABLE x; --" };
    expect(procedureCall({ table, sparkCatalog: 'my-catalog', compaction })).toBe(
      [
        'CALL `my-catalog`.system.rewrite_data_files(',
        "  table => '`a.b`.`1st`.`t``\\'); DROP TABLE x; --`',",
        "  strategy => 'sort',",
        "  sort_order => 'a\\'b\\\\'",
        ')',
      ].join('\n'),
    );
  });
});
