import { describe, expect, test } from 'vitest';
import { blank, fold } from '../../src/core/fold.ts';
import type { Entry, EntryRecord, Notification, OutcomeKind, Parked } from '../../src/core/types.ts';
import { at, delivered, other, table } from './fixtures.ts';

type What<R> = R extends EntryRecord ? Omit<R, 'target' | 'table'> : never;

const record = (what: What<EntryRecord>): EntryRecord => ({ target: 'main', table, ...what });
const update: Notification = {
  type: 'UPDATE',
  table,
  timestamp: at(950),
  metadataLocation: 's3://m/2',
  incarnation: '1',
};
const parked: Parked = { code: 'NAME_TAKEN', detail: 'a view', since: 1, type: 'CREATE' };
const sent: Entry = { ...delivered, open: update, lastTimestamp: at(950) };
const told = {
  type: 'UPDATE',
  timestamp: 950,
  metadataLocation: 's3://m/2',
  incarnation: '1',
};

test('a blank entry knows nothing', () => {
  expect(blank('main', table)).toEqual({ target: 'main', table, seen: 0, settled: 0, doubt: false });
});

describe('a hint', () => {
  test('is counted, and the latest one decides what a DROP waits for', () => {
    const renamed = fold(delivered, record({ kind: 'seen', count: 2, after: other }));
    expect(renamed).toEqual({ ...delivered, seen: 3, after: other });
    expect(fold(renamed, record({ kind: 'seen', count: 1 })).after).toBeUndefined();
  });

  test('may bring doubt, and takes none away', () => {
    const doubted = fold(delivered, record({ kind: 'seen', count: 1, doubt: true }));
    expect(doubted.doubt).toBe(true);
    expect(fold(doubted, record({ kind: 'seen', count: 1 })).doubt).toBe(true);
    expect(fold(delivered, record({ kind: 'seen', count: 1 })).doubt).toBe(false);
  });
});

test('an intent is open, its timestamp used, and the entry neither parked nor skipped', () => {
  const before = { ...delivered, parked, skipped: 'a view' };
  expect(fold(before, record({ kind: 'intent', notification: update }))).toEqual({
    ...sent,
    parked: undefined,
    skipped: undefined,
  });
});

test('an intent over one without an outcome leaves what Polaris may hold by that one, in doubt', () => {
  const next = { ...update, timestamp: at(960), metadataLocation: 's3://m/3', incarnation: '2' };
  const over = fold(sent, record({ kind: 'intent', notification: next }));
  expect(over).toMatchObject({ open: next, lastTimestamp: 960, delivered: told, doubt: true });
  expect(fold({ ...delivered, doubt: true }, record({ kind: 'intent', notification: update })).doubt).toBe(true);
  for (const before of [undefined, { ...told, type: 'DROP' as const, timestamp: at(900) }]) {
    const unknown = fold({ ...sent, delivered: before }, record({ kind: 'intent', notification: next }));
    expect(unknown).toMatchObject({ open: next, doubt: true });
    expect(unknown.delivered).toBe(before);
  }
});

const after = (outcome: OutcomeKind, entry: Entry = sent) => fold(entry, record({ kind: 'outcome', outcome }));

describe('an outcome', () => {
  test.each(['admitted', 'served'] as const)('%s: Polaris holds what was sent, without doubt', (outcome) => {
    expect(after(outcome, { ...sent, doubt: true })).toEqual({
      ...sent,
      open: undefined,
      doubt: false,
      delivered: told,
    });
  });

  test.each(['refused', 'unauthorized', 'withdrawn'] as const)('%s: nothing was touched', (outcome) => {
    expect(after(outcome)).toEqual({ ...sent, open: undefined });
  });

  test.each(['stale', 'lost-race', 'name-taken'] as const)('%s: somebody else was there', (outcome) => {
    expect(after(outcome)).toEqual({ ...sent, open: undefined, doubt: true });
  });

  test.each(['unavailable', 'unknown'] as const)('%s: it may have been applied', (outcome) => {
    expect(after(outcome)).toEqual(sent);
  });

  test.each(['admitted', 'refused', 'stale'] as const)(
    '%s without an intent, or of a VALIDATE, says nothing',
    (outcome) => {
      expect(after(outcome, delivered)).toEqual(delivered);
      const validating: Entry = { ...delivered, open: { ...update, type: 'VALIDATE' } };
      expect(after(outcome, validating)).toEqual(validating);
    },
  );
});

describe('a finished read', () => {
  test('covers its hints, ends a rename, and says why a table is skipped', () => {
    const before = { ...delivered, seen: 3, after: other, parked };
    const settled = fold(before, record({ kind: 'settled', seen: 3, skipped: 'a view' }));
    expect(settled).toEqual({ ...before, settled: 3, after: undefined, parked: undefined, skipped: 'a view' });
  });

  test('of an earlier moment leaves later hints and their rename, and never counts backwards', () => {
    const before = { ...delivered, seen: 3, settled: 2, after: other };
    expect(fold(before, record({ kind: 'settled', seen: 1 }))).toMatchObject({ settled: 2, after: other });
  });

  test('may park the entry, which is then not skipped', () => {
    const before = { ...delivered, seen: 2, skipped: 'a view' };
    expect(fold(before, record({ kind: 'parked', seen: 2, parked }))).toEqual({
      ...before,
      settled: 2,
      after: undefined,
      parked,
      skipped: undefined,
    });
  });

  test('leaves an intent without an outcome behind as what Polaris may hold, in doubt', () => {
    expect(fold(sent, record({ kind: 'settled', seen: 1 }))).toMatchObject({
      open: undefined,
      doubt: true,
      delivered: told,
    });
  });

  test('of a DROP without an outcome leaves what Polaris may hold still', () => {
    const dropping: Entry = { ...sent, open: { type: 'DROP', table, timestamp: at(950) } };
    expect(fold(dropping, record({ kind: 'settled', seen: 1 }))).toMatchObject({
      open: undefined,
      doubt: true,
      delivered: delivered.delivered,
    });
  });

  test('of an open VALIDATE changes nothing of what Polaris holds', () => {
    const validating: Entry = { ...delivered, open: { ...update, type: 'VALIDATE' } };
    expect(fold(validating, record({ kind: 'settled', seen: 1 }))).toMatchObject({
      open: validating.open,
      doubt: false,
      delivered: delivered.delivered,
    });
  });
});
