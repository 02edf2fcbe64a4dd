import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HintQueue } from '../../../connectors/iceberg-rest/hints.ts';
import { keyOf } from '../../../src/core/table.ts';
import type { Change, TableIdentifier } from '../../../src/core/types.ts';

const table = (name: string): TableIdentifier => ({ namespace: ['db'], name });
const upserted = (name: string): Change => ({ kind: 'upserted', table: table(name) });
const dropped = (name: string): Change => ({ kind: 'dropped', table: table(name) });
const renamed = (name: string, to: string): Change => ({ kind: 'renamed', table: table(name), to: table(to) });
const namesOf = (one: Change) => [one.table, ...(one.kind === 'renamed' ? [one.to] : [])].map(keyOf);
const changesOf = (queue: HintQueue) => queue.take(1_000).map(({ change }) => change);

test('holds one entry a table, in the order of the first hints, with the last that was said', () => {
  const queue = new HintQueue();
  for (const change of [upserted('a'), upserted('b'), dropped('a')]) queue.add(change);
  expect(queue.size).toBe(2);
  expect(changesOf(queue)).toEqual([dropped('a'), upserted('b')]);
});

test('forgets no name of a renamed table', () => {
  const queue = new HintQueue();
  for (const change of [renamed('a', 'b'), upserted('a'), renamed('a', 'c')]) queue.add(change);
  expect(changesOf(queue)).toEqual([upserted('b'), renamed('a', 'c')]);
});

test('keeps the earliest time that was told', () => {
  const queue = new HintQueue();
  queue.add(upserted('a'));
  queue.add(upserted('a'), { at: 20 });
  queue.add(upserted('a'), { at: 10 });
  expect(queue.take(1)[0]?.at).toBe(10);
});

test('tells everybody who waits once, when it is recorded, also after it was given back', () => {
  const queue = new HintQueue();
  const told: string[] = [];
  queue.add(upserted('a'), { onRecorded: () => told.push('first') });
  const batch = queue.take(1);
  queue.add(upserted('a'), { onRecorded: () => told.push('second') });
  queue.add(upserted('b'));
  queue.giveBack(batch);
  expect(told).toEqual([]);
  const again = queue.take(10);
  expect(again.map(({ change }) => change)).toEqual([upserted('a'), upserted('b')]);
  queue.recorded(again);
  expect(told).toEqual(['first', 'second']);
});

test('wakes who waits for a hint, and lets go at an abort', async () => {
  const queue = new HintQueue();
  const stop = new AbortController();
  const filled = queue.filled(stop.signal);
  queue.add(upserted('a'));
  await filled;
  changesOf(queue);
  const empty = queue.filled(stop.signal);
  stop.abort();
  await empty;
  expect(queue.size).toBe(0);
});

test('loses no table, whatever is taken, given back and recorded in between', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'd');
  const change = fc.oneof(
    names.map(upserted),
    names.map(dropped),
    fc.tuple(names, names).map(([from, to]) => renamed(from, to)),
  );
  const step = fc.oneof(change, fc.constantFrom('take', 'give back', 'record'));
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const queue = new HintQueue();
      const owed = new Set<string>();
      let out: ReturnType<HintQueue['take']> = [];
      for (const one of steps) {
        if (one === 'take' && out.length === 0) out = queue.take(2);
        else if (one === 'give back') out = (queue.giveBack(out), []);
        else if (one === 'record') {
          for (const hint of out) for (const key of namesOf(hint.change)) owed.delete(key);
          out = [];
        } else if (typeof one === 'object') {
          queue.add(one);
          for (const key of namesOf(one)) owed.add(key);
        }
      }
      queue.giveBack(out);
      const left = new Set(queue.take(1_000).flatMap((hint) => namesOf(hint.change)));
      expect([...owed].filter((key) => !left.has(key as never))).toEqual([]);
    }),
  );
});
