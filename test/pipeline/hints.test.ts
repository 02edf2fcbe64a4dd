import { expect, test } from 'vitest';
import fc from 'fast-check';
import { keyOf, showTable } from '../../src/core/table.ts';
import type { Change } from '../../src/core/types.ts';
import { hintsOf } from '../../src/pipeline/intake.ts';
import { id, Lab } from './lab.ts';

const renamed = (from: string, to: string): Change => ({ kind: 'renamed', table: id(from), to: id(to) });
const upserted = (name: string): Change => ({ kind: 'upserted', table: id(name) });
const dropped = (name: string): Change => ({ kind: 'dropped', table: id(name) });

const shown = (changes: readonly Change[]) =>
  Object.fromEntries(
    hintsOf(changes).map(({ table, after }) => [showTable(table), after === undefined ? '' : showTable(after)]),
  );

test('one hint per table, in which the latest change counts', () => {
  expect(shown([upserted('a'), upserted('b'), dropped('a'), upserted('a')])).toEqual({ a: '', b: '' });
  expect(shown([renamed('a', 'b'), upserted('a')])).toEqual({ a: '', b: '' });
  expect(shown([upserted('a'), renamed('a', 'b')])).toEqual({ a: 'b', b: '' });
});

test('a table that was renamed more than once is at its last name, and every name on the way waits for that', () => {
  expect(shown([renamed('a', 'b'), renamed('b', 'c'), renamed('c', 'd')])).toEqual({ a: 'd', b: 'd', c: 'd', d: '' });
  expect(shown([renamed('a', 'b'), renamed('b', 'a')])).toEqual({ a: '', b: 'a' });
  expect(shown([renamed('a', 'tmp'), renamed('b', 'a'), renamed('tmp', 'b')])).toEqual({ a: '', b: '', tmp: 'b' });
});

test('whatever is renamed to whatever, no name waits for itself or for one that waits', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const change = fc.oneof(
    fc
      .tuple(name, name)
      .filter(([from, to]) => from !== to)
      .map(([from, to]) => renamed(from, to)),
    name.map(upserted),
    name.map(dropped),
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const hints = new Map(hintsOf(changes).map((hint) => [keyOf(hint.table), hint]));
      const waitedFor = [...hints.values()].flatMap(({ after }) => (after === undefined ? [] : [after]));
      expect(waitedFor.filter((table) => hints.get(keyOf(table))?.after !== undefined)).toEqual([]);
      expect(waitedFor.filter((table) => !hints.has(keyOf(table)))).toEqual([]);
    }),
  );
});

test('a database that is renamed twice at once loses nothing to the drop budget', async () => {
  const lab = new Lab({ budget: { floor: 0, share: 0, perMs: 600_000 } });
  lab.source.create('x.t');
  await using agent = lab.start();
  await agent.caughtUp();
  await agent.settledAndEqual();
  lab.source.rename('x.t', 'y.t');
  lab.source.rename('y.t', 'z.t');
  // Both in one delivery.
  lab.random = () => 0.5;
  await agent.settledAndEqual();
  expect(lab.ledger.totals('main').parked).toBe(0);
  expect(lab.polaris.said).toEqual(['CREATE x.t', 'CREATE z.t', 'DROP x.t']);
});
