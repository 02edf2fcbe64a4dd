import { describe, expect, test } from 'vitest';
import { TransactionDecoder, type RowMessage } from '../../../connectors/hive/decode.ts';
import { NameMap } from '../../../connectors/hive/names.ts';
import { decodeAll, hintsOf, recordedOperations } from './recording.ts';

describe('recorded streams of a Hive Metastore', () => {
  const recorded = recordedOperations();
  const names = new NameMap();

  // In the order of the recording, as each operation builds on the ones before: one row of hints a transaction.
  const expected: readonly (readonly [string, string[][]])[] = [
    ['01-create_namespace', []],
    ['02-create_namespace_2', []],
    ['03-set_namespace_property', []],
    ['04-create_table', [['cap.t1']]],
    ['05-commit_property', [['cap.t1']]],
    ['06-commit_append', [['cap.t1']]],
    ['07-commit_add_column', [['cap.t1']]],
    ['08-commit_multi_txn', [['cap.t1']]],
    ['09-create_table_txn_ctas', [['cap.t2']]],
    ['10-replace_table_txn', [['cap.t1']]],
    ['11-commit_append_after_replace', [['cap.t1']]],
    ['12-commit_big_property_10k', [['cap.t1']]],
    ['13-commit_append_with_toasted_param', [['cap.t1']]],
    ['14-commit_wide_schema', [['cap.t1']]],
    ['15-commit_append_with_wide_schema', [['cap.t1']]],
    ['16-rename_same_ns', [['cap.t1>cap.t1b']]],
    ['17-rename_other_ns', [['cap.t1b>cap2.t1c']]],
    ['18-commit_after_rename', [['cap2.t1c']]],
    ['19-register_table', [['cap.reg1']]],
    ['20-create_view', [['cap.v1']]],
    ['21-replace_view', [['cap.v1']]],
    ['22-rename_view', [['cap.v1>cap.v1b']]],
    ['23-drop_view', [['-cap.v1b']]],
    ['24-hive_create', [['cap.h1']]],
    ['25-hive_alter', []],
    ['26-hive_rename', [['cap.h1>cap.h2']]],
    ['27-hive_drop', [['-cap.h2']]],
    ['28-hive_alter_iceberg_tblproperties', []],
    ['29-hive_alter_iceberg_uuid_unset', []],
    ['30-hive_rename_iceberg', [['cap.t2>cap.t2r']]],
    ['31-drop_table', [['-cap2.t1c']]],
    ['32-drop_table_purge', [['-cap.reg1']]],
    ['33-recreate_same_name', [['cap.reg1']]],
    ['34-concurrent_same_table', Array.from({ length: 6 }, () => ['cap.reg1'])],
    ['35-create_c0', [['cap.cc0']]],
    ['36-create_c1', [['cap.cc1']]],
    ['37-concurrent_two_tables', [0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0].map((table) => [`cap.cc${table}`])],
    // One commit without a lock updates metadata_location twice in its transaction.
    ['extra-nolock_create_and_append', [['nk.t1'], ['nk.t1']]],
    // A view whose unchanged text isn't sent; nobody has listed it, so the metastore is asked for its name.
    ['extra-rename_view_unchanged_toast', [['?33']]],
    [
      'publication-hms_cdc',
      [...Array.from({ length: 21 }, () => ['rf.t1']), ['rf.t1>rf.t1b'], ['-rf.t1b'], ['rf.h'], ['-rf.h']],
    ],
  ];

  const decoded = new Map(expected.map(([name]) => [name, decodeAll(recorded.get(name) ?? [], names)]));
  test.each(expected)('%s gives the hints it must', (operation, hints) => {
    expect(decoded.get(operation)).toEqual(hints);
  });

  test('a database dropped by the server with its tables is one transaction with a hint for each', () => {
    names.setDatabase(23, { catalog: 'hive', name: 'sc' });
    names.setTable(34, { databaseId: 23, name: 't1' });
    const lines = recorded.get('extra-drop_database_server_side_cascade') ?? [];
    // Nobody has listed the others: the transaction itself shows their names.
    expect(decodeAll(lines, names)).toEqual([['-sc.t1', '-sc.t2', '-sc.t3', '-sc.v1']]);
    expect(names.database(23)).toBeUndefined();
  });

  test('every recorded operation has its expectation here', () => {
    const tested = new Set([...expected.map(([operation]) => operation), 'extra-drop_database_server_side_cascade']);
    expect([...recorded.keys()].filter((operation) => !tested.has(operation))).toEqual([]);
    expect(recorded.size).toBeGreaterThan(35);
  });
});

const relation = (name: string, schema = 'public') => ({ schema, name });
const table = (id: number, name: string | null, databaseId: number | null = 1) => ({
  TBL_ID: String(id),
  DB_ID: databaseId === null ? null : String(databaseId),
  TBL_NAME: name,
});
const insertTable = (...row: Parameters<typeof table>): RowMessage => ({
  tag: 'insert',
  relation: relation('TBLS'),
  new: table(...row),
});
const updateTable = (...row: Parameters<typeof table>): RowMessage => ({
  tag: 'update',
  relation: relation('TBLS'),
  key: null,
  old: null,
  new: table(...row),
});
const deleteTable = (id: number): RowMessage => ({
  tag: 'delete',
  relation: relation('TBLS'),
  key: { TBL_ID: String(id) },
  old: null,
});
const setParameter = (id: number, key: string, schema = 'public'): RowMessage => ({
  tag: 'update',
  relation: relation('TABLE_PARAMS', schema),
  key: null,
  old: null,
  new: { TBL_ID: String(id), PARAM_KEY: key },
});
const updateDatabase = (id: number, name: string, catalog = 'hive'): RowMessage => ({
  tag: 'update',
  relation: relation('DBS'),
  key: null,
  old: null,
  new: { DB_ID: String(id), NAME: name, CTLG_NAME: catalog },
});

/** Databases `sales` (1) and `ops` (2) of catalog hive and `sales` (9) of catalog other; tables a (11), b (12), other a (91). */
function known(): NameMap {
  const names = new NameMap();
  names.setDatabase(1, { catalog: 'hive', name: 'sales' });
  names.setDatabase(2, { catalog: 'hive', name: 'ops' });
  names.setDatabase(9, { catalog: 'other', name: 'sales' });
  names.setTable(11, { databaseId: 1, name: 'a' });
  names.setTable(12, { databaseId: 1, name: 'b' });
  names.setTable(91, { databaseId: 9, name: 'a' });
  return names;
}

function decode(names: NameMap, ...messages: RowMessage[]): string[] {
  const decoder = new TransactionDecoder('public');
  for (const message of messages) decoder.add(message);
  return hintsOf(decoder, names);
}

const big = (id: string, name: string): RowMessage => ({
  tag: 'insert',
  relation: relation('TBLS'),
  new: { TBL_ID: id, DB_ID: '1', TBL_NAME: name },
});

describe('a transaction', () => {
  test('that swaps two names renames each to the other', () => {
    const names = known();
    const swap = [updateTable(11, 'tmp'), updateTable(12, 'a'), updateTable(11, 'b')];
    expect(decode(names, ...swap)).toEqual(['sales.a>sales.b', 'sales.b>sales.a']);
  });

  test('that renames along a chain names the first and the last', () => {
    expect(decode(known(), updateTable(11, 'x'), updateTable(11, 'y', 2))).toEqual(['sales.a>ops.y']);
  });

  test('that renames and renames back changes no name', () => {
    expect(decode(known(), updateTable(11, 'x'), updateTable(11, 'a'))).toEqual(['sales.a']);
  });

  test('that drops and re-creates one name hints at both tables', () => {
    const names = known();
    expect(decode(names, deleteTable(11), insertTable(13, 'a'))).toEqual(['-sales.a', 'sales.a']);
    expect([names.table(11), names.table(13)]).toEqual([undefined, { databaseId: 1, name: 'a' }]);
  });

  test('that creates a table and drops it again hints at nothing', () => {
    expect(decode(known(), insertTable(13, 'brief'), updateTable(13, 'brief'), deleteTable(13))).toEqual([]);
  });

  test('that renames a database renames each of its tables', () => {
    const names = known();
    expect(decode(names, updateDatabase(1, 'shop'))).toEqual(['sales.a>shop.a', 'sales.b>shop.b']);
    expect(decode(names, setParameter(11, 'metadata_location'))).toEqual(['shop.a']);
  });

  test('that renames a database and one of its tables names the table once', () => {
    expect(decode(known(), updateTable(11, 'x'), updateDatabase(1, 'shop'))).toEqual([
      'sales.a>shop.x',
      'sales.b>shop.b',
    ]);
  });

  test('that changes nothing but a note of a database hints at nothing', () => {
    expect(decode(known(), updateDatabase(1, 'sales'))).toEqual([]);
  });

  test('that deletes a database drops the tables that it is known to have', () => {
    const gone: RowMessage = { tag: 'delete', relation: relation('DBS'), key: { DB_ID: '1' }, old: null };
    expect(decode(known(), gone)).toEqual(['-sales.a', '-sales.b']);
  });

  test('that moves a database to another catalog drops its tables, and the way back brings them', () => {
    const names = known();
    expect(decode(names, updateDatabase(1, 'sales2', 'other'))).toEqual(['-sales.a', '-sales.b']);
    expect(decode(names, updateDatabase(1, 'sales'))).toEqual(['sales.a', 'sales.b']);
  });

  test('of another catalog hints at nothing', () => {
    expect(
      decode(known(), setParameter(91, 'metadata_location'), updateTable(91, 'z', 9), insertTable(92, 'q', 9)),
    ).toEqual([]);
  });

  test('that touches only statistics, or a table of the same name in another schema, hints at nothing', () => {
    expect(decode(known(), setParameter(11, 'numFiles'), setParameter(12, 'metadata_location', 'copy'))).toEqual([]);
  });

  test('that touches a table of unknown name gives its id, and the name if it shows it', () => {
    const names = known();
    expect(decode(names, setParameter(77, 'metadata_location'), updateTable(78, 'seen'))).toEqual([
      'sales.seen',
      '?77',
    ]);
    expect(decode(names, insertTable(79, 'c', 404))).toEqual(['?79']);
  });

  test('that drops a table of unknown name takes the name from the update before the delete', () => {
    expect(decode(known(), updateTable(78, 'unlisted'), deleteTable(78))).toEqual(['-sales.unlisted']);
    expect(decode(known(), deleteTable(79))).toEqual([]);
  });

  test('that changes a table’s id takes it for another table', () => {
    const names = known();
    const moved: RowMessage = {
      tag: 'update',
      relation: relation('TBLS'),
      key: { TBL_ID: '11' },
      old: null,
      new: table(13, 'a'),
    };
    expect(decode(names, moved)).toEqual(['-sales.a', 'sales.a']);
  });

  test('under REPLICA IDENTITY FULL is read from the old rows', () => {
    const drop: RowMessage = { tag: 'delete', relation: relation('TBLS'), key: null, old: table(11, 'a') };
    expect(decode(known(), drop)).toEqual(['-sales.a']);
  });

  test('that truncates TBLS drops all that was known, and what it inserts afterwards is new', () => {
    const names = known();
    const truncate: RowMessage = { tag: 'truncate', relations: [relation('TABLE_PARAMS'), relation('TBLS')] };
    expect(decode(names, insertTable(13, 'brief'), truncate, insertTable(14, 'a'))).toEqual([
      'sales.a',
      '-sales.a',
      '-sales.b',
    ]);
    expect(names.size).toBe(1);
  });

  test('that truncates TABLE_PARAMS hints at every table', () => {
    expect(decode(known(), { tag: 'truncate', relations: [relation('TABLE_PARAMS')] })).toEqual(['sales.a', 'sales.b']);
    expect(decode(known(), { tag: 'truncate', relations: [relation('TABLE_PARAMS', 'copy')] })).toEqual([]);
  });

  test('with ids beyond 2^53 keeps them apart', () => {
    const names = known();
    decode(names, big('9007199254740993', 'x'), big('9007199254740992', 'y'));
    expect(names.table('9007199254740993')).toEqual({ databaseId: 1, name: 'x' });
    expect(names.table('9007199254740992')).toEqual({ databaseId: 1, name: 'y' });
  });
});
