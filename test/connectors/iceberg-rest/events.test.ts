import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bodyTime, readAnnounced, UnreadableEvent, type Announced } from '../../../connectors/iceberg-rest/events.ts';
import { hintsOf } from '../../../src/pipeline/intake.ts';

const orders = { namespace: ['sales'], name: 'orders' };
const at = Date.UTC(2026, 0, 2, 3, 4, 5);
const time = '2026-01-02T03:04:05Z';

function read(body: unknown, headers: Record<string, string> = {}, warehouse?: string): Announced {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readAnnounced(headers, Buffer.from(text), { warehouse });
}

const isFair = ({ changes }: Announced): boolean => changes.every(({ change }) => change.table.namespace.length > 0);

/** What reading comes to, be it an error. Any other error than the one for unreadable events passes. */
function outcome(headers: Record<string, string>, value: unknown): Announced | UnreadableEvent {
  try {
    return readAnnounced(headers, Buffer.from(JSON.stringify(value)), { warehouse: undefined });
  } catch (error) {
    if (error instanceof UnreadableEvent) return error;
    throw error;
  }
}

const upserted = (table = orders, when: number | undefined = at) => ({ change: { kind: 'upserted', table }, at: when });

describe('plain bodies', () => {
  test.each([
    ['a list of levels', { namespace: ['sales'], table: 'orders' }],
    ['a text', { namespace: 'sales', table: 'orders' }],
    ['further keys', { namespace: 'sales', table: 'orders', why: 'a commit' }],
  ])('name a table by a namespace that is given as %s', (_, body) => {
    expect(read(body)).toEqual({ changes: [{ ...upserted(), at: undefined }], renamed: false, ignored: [] });
  });

  test('split a text at its dots, and leave levels with dots alone', () => {
    const [text, list] = read([
      { namespace: 'a.b', table: 'c.d' },
      { namespace: ['a.b'], table: 'c' },
    ]).changes;
    expect(text?.change.table).toEqual({ namespace: ['a', 'b'], name: 'c.d' });
    expect(list?.change.table).toEqual({ namespace: ['a.b'], name: 'c' });
  });

  test.each<[string, unknown]>([
    ['no JSON', '<html>'],
    ['no UTF-8', '{"namespace":"a","table":"\xff"}'],
    ['a number', 42],
    ['null', null],
    ['a list of texts', ['sales.orders']],
    ['no table', { namespace: 'sales' }],
    ['no namespace', { table: 'orders' }],
    ['an empty level', { namespace: 'sales.', table: 'orders' }],
    ['an empty namespace', { namespace: [], table: 'orders' }],
    ['an empty name', { namespace: 'sales', table: '' }],
    ['a number for a level', { namespace: ['sales', 1], table: 'orders' }],
    ['an object for a name', { namespace: 'sales', table: {} }],
    ['a name that is a book', { namespace: 'sales', table: 'x'.repeat(5000) }],
    ['levels without end', { namespace: Array.from({ length: 65 }, () => 'a'), table: 'orders' }],
    ['one bad event among good ones', [{ namespace: 'sales', table: 'orders' }, { namespace: 'sales' }]],
  ])('are unreadable with %s', (_, body) => {
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body), 'latin1');
    expect(() => readAnnounced({}, bytes, { warehouse: undefined })).toThrow(UnreadableEvent);
  });

  test('make no other failure than an unreadable event, whatever they are', () => {
    const headers = fc.dictionary(
      fc.constantFrom('ce-specversion', 'ce-type', 'ce-name', 'ce-namespace', 'ce-tabular-type'),
      fc.string(),
    );
    const keys = fc.constantFrom(
      'type',
      'event_type',
      'namespace',
      'table',
      'data',
      'table_identifier',
      'source',
      'destination',
      'time',
    );
    const values = fc.oneof(
      fc.constantFrom('AFTER_RENAME_TABLE', 'updateTable', 'polaris-push.table.dropped', 'a.b'),
      fc.jsonValue(),
    );
    const body = fc.oneof(fc.jsonValue(), fc.dictionary(keys, values), fc.array(fc.dictionary(keys, values)));
    fc.assert(
      fc.property(headers, body, (some, value) => {
        const found = outcome(some, value);
        expect(found instanceof UnreadableEvent || isFair(found)).toBe(true);
      }),
    );
  });
});

/** As Polaris's own mapper writes them. */
const polaris = (type: string, data: object) => ({
  specversion: '1.0',
  id: '0199a2c4-0000-7000-8000-000000000001',
  type: `org.apache.polaris.${type}`,
  source: 'org.apache.polaris',
  time,
  datacontenttype: 'application/json',
  data: { event_type: type.toUpperCase(), timestamp: time, realm_id: 'POLARIS', catalog_name: 'lake', ...data },
});

describe('events of Polaris', () => {
  test.each([
    ['after_update_table', { namespace: ['sales'], table_name: 'orders' }, 'upserted'],
    ['after_create_table', { table_identifier: ['sales', 'orders'] }, 'upserted'],
    ['after_register_table', { namespace: ['sales'], table_name: 'orders' }, 'upserted'],
    ['after_commit_table', { table_identifier: ['sales', 'orders'] }, 'upserted'],
    ['after_drop_table', { namespace: ['sales'], table_name: 'orders' }, 'dropped'],
  ])('of the type %s name a table', (type, data, kind) => {
    expect(read(polaris(type, data), {}, 'lake').changes).toEqual([{ change: { kind, table: orders }, at }]);
  });

  test('tell both names of a renamed table', () => {
    const event = polaris('after_rename_table', { source: ['sales', 'orders'], destination: ['ops', 'all', 'orders'] });
    const to = { namespace: ['ops', 'all'], name: 'orders' };
    expect(read(event).changes).toEqual([{ change: { kind: 'renamed', table: orders, to }, at }]);
    expect(hintsOf(read(event).changes.map(({ change }) => change)).map(({ table }) => table)).toEqual([to, orders]);
  });

  test.each([
    'before_update_table',
    'after_load_table',
    'after_refresh_table',
    'after_list_tables',
    'after_check_exists_table',
    'after_create_view',
    'after_commit_transaction',
  ])('of the type %s say nothing, or our reads would cause reads', (type) => {
    expect(read(polaris(type, { namespace: ['sales'], table_name: 'orders' }))).toEqual({
      changes: [],
      renamed: false,
      ignored: [`type ${type}`],
    });
  });

  test('of another catalog say nothing, if it is known which one is followed', () => {
    const event = polaris('after_update_table', { table_identifier: ['sales', 'orders'] });
    expect(read(event, {}, 'other')).toEqual({ changes: [], renamed: false, ignored: ['another catalog'] });
    expect(read(event).changes).toHaveLength(1);
  });

  test('are understood without an envelope, as its webhook listener sent them first', () => {
    const body = {
      event_type: 'AFTER_UPDATE_TABLE',
      timestamp: at,
      table_identifier: 'sales.orders',
      realm_id: 'POLARIS',
    };
    expect(read(body, { 'x-polaris-event': 'AFTER_UPDATE_TABLE' }).changes).toEqual([upserted()]);
    expect(bodyTime(Buffer.from(JSON.stringify(body)))).toBe(at);
    expect(read({ ...body, event_type: 'AFTER_LOAD_TABLE' }).changes).toEqual([]);
  });
});

/** The attributes of Lakekeeper's events, which it hands to an SDK that writes whichever mode its sink has. */
const lakekeeper = (type: string, attributes: object = {}) => ({
  specversion: '1.0',
  id: '0199a2c4-0000-7000-8000-000000000002',
  source: 'uri:iceberg-catalog-service:lakekeeper-0',
  type,
  time,
  datacontenttype: 'application/json',
  'tabular-type': 'table',
  'tabular-id': '0199a2c4-0000-7000-8000-00000000aaaa',
  'warehouse-id': '0199a2c4-0000-7000-8000-00000000bbbb',
  name: 'orders',
  namespace: 'sales',
  prefix: '0199a2c4-0000-7000-8000-00000000bbbb',
  'num-events': 1,
  'sequence-number': 0,
  'trace-id': '0199a2c4-0000-7000-8000-00000000cccc',
  actor: '"anonymous"',
  data: null,
  ...attributes,
});

const inHeaders = (event: object) =>
  Object.fromEntries(
    Object.entries(event).flatMap(([name, value]) =>
      name === 'data' ? [] : [[`ce-${name}`, encodeURIComponent(String(value))]],
    ),
  );

describe('events of Lakekeeper', () => {
  test.each([
    ['createTable', 'upserted'],
    ['registerTable', 'upserted'],
    ['updateTable', 'upserted'],
    ['undropTabulars', 'upserted'],
    ['dropTable', 'dropped'],
  ])('of the type %s name a table, structured and binary', (type, kind) => {
    const expected = [{ change: { kind, table: orders }, at }];
    expect(read(lakekeeper(type)).changes).toEqual(expected);
    expect(read('null', inHeaders(lakekeeper(type))).changes).toEqual(expected);
    expect(read('', inHeaders(lakekeeper(type))).changes).toEqual(expected);
  });

  test('have levels that are joined as in addresses, and may hold dots', () => {
    const namespace = 'a.b\u001Fc';
    const table = { namespace: ['a.b', 'c'], name: 'größe' };
    const event = lakekeeper('updateTable', { namespace, name: 'größe' });
    expect(read(event).changes[0]?.change.table).toEqual(table);
    expect(read('null', inHeaders(event)).changes[0]?.change.table).toEqual(table);
  });

  test('tell of a new name only by having the names looked at', () => {
    expect(read(lakekeeper('renameTable'))).toEqual({ changes: [], renamed: true, ignored: [] });
  });

  test('of views say nothing', () => {
    expect(read(lakekeeper('updateView', { 'tabular-type': 'view' })).ignored).toEqual(['not a table']);
  });
});

const forwarded = (type: string) => ({
  specversion: '1.0',
  type: `polaris-push.table.${type}`,
  time,
  data: { type: 'UPDATE', catalog: 'lake', namespace: ['sales'], table: 'orders' },
});

test('understands what this project forwards, so that agents can be chained', () => {
  expect(
    read(['created', 'updated', 'dropped'].map(forwarded), {}, 'lake').changes.map(({ change }) => change.kind),
  ).toEqual(['upserted', 'upserted', 'dropped']);
  expect(read(forwarded('updated'), {}, 'other').ignored).toEqual(['another catalog']);
});

test('takes a table out of the data of events that nobody knows, in batches and in headers', () => {
  const own = {
    specversion: '1.0',
    type: 'com.example.committed',
    time,
    data: { namespace: ['sales'], table: 'orders' },
  };
  expect(read([own, own], { 'content-type': 'application/cloudevents-batch+json' }).changes).toEqual([
    upserted(),
    upserted(),
  ]);
  const { data, ...attributes } = own;
  expect(read(data, inHeaders(attributes)).changes).toEqual([upserted()]);
  expect(read({ ...own, data: { user: 'u' } }).ignored).toEqual(['type com.example.committed']);
});
