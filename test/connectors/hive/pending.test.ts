import { expect, test } from 'vitest';
import { PendingChanges } from '../../../connectors/hive/pending.ts';
import type { Change } from '../../../src/core/types.ts';
import { textOf } from './metastore.ts';

const id = (name: string) => ({ namespace: ['sales'], name });
const up = (name: string): Change => ({ kind: 'upserted', table: id(name) });
const down = (name: string): Change => ({ kind: 'dropped', table: id(name) });
const move = (name: string, to: string): Change => ({ kind: 'renamed', table: id(name), to: id(to) });

function merged(...changes: Change[]): string[] {
  const pending = new PendingChanges();
  for (const [index, change] of changes.entries()) pending.add([change], [], BigInt(index), index);
  return pending.take().changes.map(textOf);
}

test('twenty thousand commits of a thousand tables are a thousand hints', () => {
  const pending = new PendingChanges();
  for (let commit = 0; commit < 20_000; commit++) pending.add([up(`t${commit % 1000}`)], [], BigInt(commit), commit);
  expect(pending.take().changes).toHaveLength(1000);
});

test('a later hint of a table takes the place of an earlier one and moves to the end', () => {
  expect(merged(up('a'), up('b'), down('a'))).toEqual(['sales.b', '-sales.a']);
  expect(merged(down('a'), up('a'))).toEqual(['sales.a']);
});

test('a swap of two names in three transactions keeps its three renames in order', () => {
  expect(merged(move('a', 'tmp'), move('b', 'a'), move('tmp', 'b'))).toEqual([
    'sales.a>sales.tmp',
    'sales.b>sales.a',
    'sales.tmp>sales.b',
  ]);
});

test('a rename is not forgotten when its old name is used again or dropped', () => {
  expect(merged(move('a', 'b'), up('a'))).toEqual(['sales.a>sales.b']);
  expect(merged(move('a', 'b'), up('a'), down('a'))).toEqual(['sales.a>sales.b']);
});

test('a second rename of the same old name keeps a hint at the first new name', () => {
  expect(merged(move('a', 'b'), up('a'), move('a', 'c'))).toEqual(['sales.b', 'sales.a>sales.c']);
  expect(merged(move('a', 'b'), down('b'), move('a', 'c'))).toEqual(['-sales.b', 'sales.a>sales.c']);
});

test('taking hands over the end of the last transaction and the time of the oldest, once', () => {
  const pending = new PendingChanges();
  pending.add([up('a')], [7], 10n, 1_000);
  pending.add([up('b')], [7, 8], 20n, 2_000);
  pending.add([], [], 30n, 3_000);
  expect(pending.take()).toMatchObject({ unknown: [7, 8], end: 20n, committedAt: 1_000 });
  expect(pending.empty).toBe(true);
  expect(() => pending.take()).toThrow('Hints come with the transaction that gave them.');
});

test('an id without a name is something to hand over', () => {
  const pending = new PendingChanges();
  pending.add([], [7], 10n, 1_000);
  expect(pending.empty).toBe(false);
  expect(pending.take()).toMatchObject({ changes: [], unknown: [7] });
});
