import { expect, test } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import { blank, fold } from '../../src/core/fold.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import type { Entry } from '../../src/core/types.ts';
import { at, delivered, present, table, view } from './fixtures.ts';

const options = { policy: DEFAULT_POLICY, mayDrop: true, released: false, leapMs: 0 };

test('after the DROP of a table whose name a view took, another read says why the view is not mirrored', () => {
  expect(decide(delivered, view('2'), options)).toMatchObject({ notification: { type: 'DROP' }, more: true });
  const dropped = { ...delivered, delivered: { type: 'DROP', timestamp: at(1000), incarnation: '1' } } as const;
  expect(decide(dropped, view('2'), options)).toEqual({ kind: 'skip', reason: 'a view' });
});

test('a re-created table that became a view is there still, although its notification was never answered', () => {
  const record = { target: 'main', table } as const;
  const notification = { type: 'UPDATE', table, metadataLocation: 's3://m/2', incarnation: '2' } as const;
  const entry = [
    { ...record, kind: 'intent', notification: { ...notification, timestamp: at(1000) } } as const,
    { ...record, kind: 'outcome', outcome: 'unknown' } as const,
    { ...record, kind: 'intent', notification: { ...notification, timestamp: at(1001) } } as const,
    { ...record, kind: 'outcome', outcome: 'refused' } as const,
  ].reduce<Entry>(fold, delivered);
  expect(decide(entry, view('2'), options)).toEqual({ kind: 'skip', reason: 'a view' });
  expect(decide(entry, view('3'), options)).toMatchObject({ notification: { type: 'DROP' } });
});

test('a table that Polaris was never told of is validated first, even where somebody else brought it there', () => {
  const doubted = { ...blank('main', table), seen: 1, doubt: true };
  expect(decide(doubted, present(1), options)).toMatchObject({ notification: { type: 'CREATE' }, precheck: true });
});
