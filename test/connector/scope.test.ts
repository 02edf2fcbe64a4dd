import { describe, expect, test } from 'vitest';
import { scopeConfig } from '../../src/connector/scope-config.ts';
import { inScope, rewriteLocation, scoped } from '../../src/connector/scope.ts';
import { showTable } from '../../src/core/table.ts';
import type { Change, TableState } from '../../src/core/types.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { collect, FakeSource, id } from './fake-source.ts';

const { signal } = new AbortController();

function open(source: FakeSource, tables: object = {}) {
  return scoped(source, scopeConfig.parse(tables), { clock: systemClock });
}

const listed = async (source: FakeSource, tables: object) =>
  (await collect(open(source, tables).list(signal))).flat().map((state) => showTable(state.table));

const resolveOne = async (connector: ReturnType<typeof open>, name: string): Promise<TableState> => {
  const [state] = await connector.resolve([id(name)], signal);
  if (state === undefined) throw new Error('no state');
  return state;
};

const renamed = (from: string, to: string): Change => ({ kind: 'renamed', table: id(from), to: id(to) });

/** Begins a list and breaks it off. */
async function firstPage(connector: ReturnType<typeof open>): Promise<void> {
  const pages = connector.list(signal)[Symbol.asyncIterator]();
  await pages.next();
  await pages.return?.();
}

const flat = { namespace: { flatten: '_' } };
const lower = { namespace: { case: 'lower' } };

describe('Which tables are in scope', () => {
  test('everything is, by default', async () => {
    const source = new FakeSource().put('a.t', 'b.c.t');
    expect(await listed(source, {})).toEqual(['a.t', 'b.c.t']);
  });

  test('exclude wins over include', async () => {
    const source = new FakeSource().put('sales.orders', 'sales.tmp_1', 'hr.people');
    expect(await listed(source, { include: ['sales.*'], exclude: ['*.tmp_*'] })).toEqual(['sales.orders']);
  });

  test('patterns speak of the names in the source, not in Polaris', async () => {
    const source = new FakeSource().put('Sales.orders');
    expect(await listed(source, { include: ['Sales.*'], namespace: { prefix: 'lake', case: 'lower' } })).toEqual([
      'lake.sales.orders',
    ]);
    expect(await listed(source, { include: ['lake.**'], namespace: { prefix: 'lake' } })).toEqual([]);
  });

  test('a table that is out of scope resolves to unsupported without an incarnation, so it is never dropped', async () => {
    const source = new FakeSource().put('hr.people');
    const connector = open(source, { include: ['sales.*'] });
    const state = await resolveOne(connector, 'hr.people');
    expect(state).toMatchObject({ kind: 'unsupported', reason: 'excluded by tables.include/exclude' });
    expect(state).not.toHaveProperty('incarnation');
    expect(source.asked).toEqual([]);
  });

  test('inScope tells without a connector', () => {
    const scope = scopeConfig.parse({ include: ['sales.*'], exclude: ['**.x'] });
    expect(['sales.a', 'sales.x', 'hr.a'].map((name) => inScope(scope, id(name)))).toEqual([true, false, false]);
  });
});

describe('Names', () => {
  test.for([
    [{}, 'a.b.t', 'a.b.t'],
    [{ prefix: 'lake' }, 'a.b.t', 'lake.a.b.t'],
    [{ prefix: ['lake', 'raw'] }, 'a.t', 'lake.raw.a.t'],
    [{ flatten: '__' }, 'a.b.t', 'a__b.t'],
    [{ case: 'lower' }, 'A.b.T', 'a.b.T'],
    [{ case: 'upper' }, 'a.b.t', 'A.B.t'],
    [{ prefix: 'Lake', flatten: '_', case: 'upper' }, 'a.b.t', 'Lake.A_B.t'],
  ] as const)('%j names %s %s, and resolves it back', async ([namespace, source, polaris]) => {
    const connector = open(new FakeSource().put(source), { namespace });
    const [page] = await collect(connector.list(signal));
    expect(page?.map(({ table }) => table)).toEqual([id(polaris)]);
    expect(await resolveOne(connector, polaris)).toMatchObject({
      kind: 'present',
      table: id(polaris),
      incarnation: source,
    });
  });

  test('a Polaris name that the mapping can never make is unsupported, not absent', async () => {
    for (const [namespace, name] of [
      [{ prefix: 'lake' }, 'sales.orders'],
      [{ case: 'lower' }, 'Sales.orders'],
      [{ flatten: '_' }, 'a.b.t'],
    ] as const) {
      const state = await resolveOne(open(new FakeSource(), { namespace }), name);
      expect(state).toMatchObject({ kind: 'unsupported', table: id(name) });
      expect(state).not.toHaveProperty('incarnation');
    }
  });

  test('states keep what the source said, and come in the order of the question', async () => {
    const source = new FakeSource()
      .put('a.t')
      .putState({ kind: 'unsupported', table: id('a.v'), reason: 'an Iceberg view', incarnation: '7', asOf: 5 });
    const states = await open(source, { namespace: { prefix: 'p' } }).resolve(
      [id('p.a.none'), id('p.a.v'), id('p.a.t')],
      signal,
    );
    expect(states).toEqual([
      { kind: 'absent', table: id('p.a.none'), asOf: 1000 },
      { kind: 'unsupported', table: id('p.a.v'), reason: 'an Iceberg view', incarnation: '7', asOf: 5 },
      { kind: 'present', table: id('p.a.t'), metadataLocation: 's3a://lake/a.t', incarnation: 'a.t', asOf: 1000 },
    ]);
  });
});

describe('Two source tables on one Polaris name', () => {
  const both = expect.stringContaining('Sales.orders and sales.orders of the source have the same name') as string;

  test('are unsupported with a reason that names both, and have no incarnation', async () => {
    const connector = open(new FakeSource().put('sales.orders', 'Sales.orders'), lower);
    await collect(connector.list(signal));
    const state = await resolveOne(connector, 'sales.orders');
    expect(state).toMatchObject({ kind: 'unsupported', reason: both });
    expect(state).not.toHaveProperty('incarnation');
  });

  test('are listed so, too, from the second one on', async () => {
    const connector = open(new FakeSource().put('sales.orders', 'Sales.orders', 'x.y'), lower);
    const states = (await collect(connector.list(signal))).flat();
    expect(states.map(({ kind }) => kind)).toEqual(['present', 'unsupported', 'present']);
  });

  test('meet by a hint alone, before the next list', async () => {
    const source = new FakeSource().put('sales.orders');
    const connector = open(source, lower);
    await collect(connector.list(signal));
    source.put('Sales.orders').changes = [[{ kind: 'upserted', table: id('Sales.orders') }]];
    await collect(connector.watch(undefined, signal));
    expect(await resolveOne(connector, 'sales.orders')).toMatchObject({ reason: both });
  });

  test.for([
    ['Sales.orders', 'sales.orders'],
    ['sales.orders', 'Sales.orders'],
  ] as const)('when %s disappears, the other one has the name', async ([gone, stays]) => {
    const source = new FakeSource().put('sales.orders', 'Sales.orders');
    const connector = open(source, lower);
    await collect(connector.list(signal));
    source.remove(gone);
    expect(await resolveOne(connector, 'sales.orders')).toMatchObject({ kind: 'present', incarnation: stays });
  });

  test('are no collision when one of them is excluded or not a table that is mirrored', async () => {
    const source = new FakeSource().put('sales.orders', 'Sales.orders');
    const excluding = open(source, { ...lower, exclude: ['Sales.*'] });
    await collect(excluding.list(signal));
    expect(await resolveOne(excluding, 'sales.orders')).toMatchObject({ kind: 'present', incarnation: 'sales.orders' });

    source.putState({ kind: 'unsupported', table: id('Sales.orders'), reason: 'a Hive table', asOf: 1 });
    const connector = open(source, lower);
    await collect(connector.list(signal));
    expect(await resolveOne(connector, 'sales.orders')).toMatchObject({ kind: 'present', incarnation: 'sales.orders' });
  });

  test('happen by flattening, too', async () => {
    const connector = open(new FakeSource().put('a_b.t', 'a.b.t'), flat);
    await collect(connector.list(signal));
    expect(await resolveOne(connector, 'a_b.t')).toMatchObject({
      kind: 'unsupported',
      reason: expect.stringContaining('a.b.t and a_b.t') as string,
    });
  });
});

describe('Absence', () => {
  test('is not claimed under a mapping that loses names before everything was listed once', async () => {
    const source = new FakeSource().put('Sales.orders');
    const connector = open(source, lower);
    await expect(resolveOne(connector, 'sales.orders')).rejects.toMatchObject({ code: 'SOURCE_NOT_LISTED' });
    await collect(connector.list(signal));
    expect(await resolveOne(connector, 'sales.orders')).toMatchObject({ kind: 'present' });
    expect(await resolveOne(connector, 'sales.nothing')).toMatchObject({ kind: 'absent' });
  });

  test('is not claimed after a list that was broken off', async () => {
    const source = new FakeSource().put('a.t', 'b.t', 'C.t');
    const connector = open(source, lower);
    await firstPage(connector);
    await expect(resolveOne(connector, 'c.t')).rejects.toMatchObject({ code: 'SOURCE_NOT_LISTED' });
    await collect(connector.list(AbortSignal.abort()));
    await expect(resolveOne(connector, 'x.t')).rejects.toMatchObject({ code: 'SOURCE_NOT_LISTED' });
  });

  test('a name that is re-created while its absence is read stays known', async () => {
    const source = new FakeSource().put('Sales.orders');
    const connector = open(source, lower);
    await collect(connector.list(signal));
    source.remove('Sales.orders');
    expect(await resolveOne(connector, 'sales.orders')).toMatchObject({ kind: 'absent' });
    source.put('Sales.orders');
    expect(await resolveOne(connector, 'sales.orders')).toMatchObject({ kind: 'present' });
  });

  test('a name that a later list lacks is forgotten, unless a hint named it since', async () => {
    const source = new FakeSource().put('Sales.orders', 'Hr.people');
    const connector = open(source, lower);
    await collect(connector.list(signal));
    source.remove('Sales.orders').remove('Hr.people');
    source.changes = [[{ kind: 'upserted', table: id('Hr.people') }]];
    await firstPage(connector);
    const second = connector.list(signal)[Symbol.asyncIterator]();
    const ended = second.next();
    await collect(connector.watch(undefined, signal));
    await ended;
    source.asked.length = 0;
    await connector.resolve([id('sales.orders'), id('hr.people')], signal);
    expect(source.asked.map(showTable)).toEqual(['sales.orders', 'hr.people', 'Hr.people']);
  });
});

describe('Changes', () => {
  const scope = { include: ['in.*', 'In.*'], namespace: { case: 'lower', prefix: 'p' } };
  const through = async (...changes: Change[]) => {
    const source = new FakeSource();
    source.changes = [changes];
    const [delivery] = await collect(open(source, scope).watch(undefined, signal));
    return delivery?.changes;
  };

  test('are mapped, and dropped when out of scope', async () => {
    expect(await through({ kind: 'upserted', table: id('in.a') }, { kind: 'dropped', table: id('out.a') })).toEqual([
      { kind: 'upserted', table: id('p.in.a') },
    ]);
  });

  test('a rename inside the scope stays one', async () => {
    expect(await through(renamed('in.a', 'in.b'))).toEqual([renamed('p.in.a', 'p.in.b')]);
  });

  test('a rename into the scope is an upsert, out of it a drop, outside of it nothing', async () => {
    expect(await through(renamed('out.a', 'in.b'))).toEqual([{ kind: 'upserted', table: id('p.in.b') }]);
    expect(await through(renamed('in.a', 'out.b'))).toEqual([{ kind: 'dropped', table: id('p.in.a') }]);
    expect(await through(renamed('out.a', 'out.b'))).toEqual([]);
  });

  test('a rename that Polaris cannot see is an upsert', async () => {
    expect(await through(renamed('In.a', 'in.a'))).toEqual([{ kind: 'upserted', table: id('p.in.a') }]);
  });

  test('a delivery without a change of ours still brings its position and is acked at the source', async () => {
    const source = new FakeSource();
    source.changes = [[{ kind: 'upserted', table: id('out.a') }]];
    const [delivery] = await collect(open(source, scope).watch(undefined, signal));
    expect(delivery).toMatchObject({ changes: [], position: '0' });
    await delivery?.ack();
    expect(source.acked).toEqual(['0']);
  });
});

describe('Locations', () => {
  const rules = [
    { from: 's3a://', to: 's3://' },
    { from: 's3a://old/', to: 's3://new/s3a://' },
    { from: 's3://', to: 'gs://' },
  ];

  test.for([
    ['s3a://bucket/x', 's3://bucket/x'],
    ['s3a://old/x', 's3://new/s3a://x'],
    ['s3://bucket/x', 'gs://bucket/x'],
    ['hdfs://nn/s3a://', 'hdfs://nn/s3a://'],
  ] as const)('%s becomes %s: the longest prefix wins, once', ([from, to]) => {
    expect(rewriteLocation(rules, from)).toBe(to);
  });

  test('are rewritten in lists and reads alike', async () => {
    const connector = open(new FakeSource().put('a.t'), { locations: [{ from: 's3a://', to: 's3://' }] });
    const [page] = await collect(connector.list(signal));
    expect(page?.[0]).toMatchObject({ metadataLocation: 's3://lake/a.t' });
    expect(await resolveOne(connector, 'a.t')).toMatchObject({ metadataLocation: 's3://lake/a.t' });
  });
});

describe('The configuration of the scope', () => {
  test.for([
    [{ include: [] }, 'include'],
    [{ include: ['sales'] }, 'a namespace and a table'],
    [
      {
        locations: [
          { from: 'a', to: 'b' },
          { from: 'a', to: 'c' },
        ],
      },
      'another rule has the same prefix',
    ],
    [{ namespace: { prefix: 'a.b' } }, 'write a list'],
    [{ namespace: { prefix: ['..'] } }, 'cannot address'],
    [{ namespace: { flatten: '' } }, 'flatten'],
    [{ namespace: { flaten: '_' } }, 'flaten'],
  ] as const)('%j is refused: %s', ([config, message]) => {
    expect(JSON.stringify(scopeConfig.safeParse(config).error?.issues)).toContain(message);
  });
});
