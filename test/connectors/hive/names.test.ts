import { expect, test } from 'vitest';
import { idOf, NameMap } from '../../../connectors/hive/names.ts';

function known(): NameMap {
  const names = new NameMap();
  names.setDatabase(1, { catalog: 'hive', name: 'sales' });
  names.setTable(11, { databaseId: 1, name: 'a' });
  names.setTable(12, { databaseId: 1, name: 'b' });
  return names;
}

test('an id is a number where it fits one exactly, text where not, and nothing where it is none', () => {
  expect(idOf('42')).toBe(42);
  expect(idOf('9007199254740993')).toBe('9007199254740993');
  expect([idOf(null), idOf(undefined), idOf('x'), idOf(1.5)]).toEqual([undefined, undefined, undefined, undefined]);
});

test('a list takes effect as a whole and forgets what it lacks', () => {
  const names = known();
  const fill = names.fill();
  fill.databases.set(1, { catalog: 'hive', name: 'sales' });
  fill.tables.set(12, { databaseId: 1, name: 'b' });
  expect(names.size).toBe(2);
  fill.finish();
  expect([names.table(11), names.fullName(12)?.identifier.name]).toEqual([undefined, 'b']);
});

test('what the stream says while a list is read wins over the list', () => {
  const names = known();
  const fill = names.fill();
  fill.databases.set(1, { catalog: 'hive', name: 'sales' });
  fill.tables.set(11, { databaseId: 1, name: 'a' });
  fill.tables.set(12, { databaseId: 1, name: 'b' });
  names.setTable(11, { databaseId: 1, name: 'renamed' });
  names.setTable(12, undefined);
  names.setTable(13, { databaseId: 2, name: 'created' });
  names.setDatabase(2, { catalog: 'hive', name: 'ops' });
  fill.finish();
  expect(names.table(11)?.name).toBe('renamed');
  expect(names.table(12)).toBeUndefined();
  expect(names.fullName(13)?.identifier).toEqual({ namespace: ['ops'], name: 'created' });
});

test('an abandoned list changes nothing, nor does one that finished notice what comes later', () => {
  const names = known();
  const abandoned = names.fill();
  abandoned.abandon();
  const finished = names.fill();
  finished.finish();
  names.setTable(14, { databaseId: 1, name: 'later' });
  expect(abandoned.tablesChanged.size + finished.tablesChanged.size).toBe(0);
  expect(names.size).toBe(1);
});
