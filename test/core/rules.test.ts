import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { driftOf } from '../../src/core/audit.ts';
import { backoffMs } from '../../src/core/backoff.ts';
import { Breaker } from '../../src/core/breaker.ts';
import { DropBudget } from '../../src/core/budget.ts';
import { keyOf, parseTable, showTable, tableOf } from '../../src/core/table.ts';
import { Throttle } from '../../src/core/throttle.ts';
import { nextTimestamp } from '../../src/core/timestamp.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { absent, at, delivered, present, view } from './fixtures.ts';

describe('timestamps', () => {
  const ms = fc.integer({ min: 0, max: 2 ** 52 });

  test('are strictly increasing and never behind the source', () => {
    fc.assert(
      fc.property(ms, ms, fc.nat(10 ** 9), (last, asOf, leap) => {
        const next = nextTimestamp(at(last), asOf, leap);
        expect(next).toBeGreaterThan(last);
        expect(next).toBeGreaterThanOrEqual(asOf);
        expect(Number.isSafeInteger(next)).toBe(true);
      }),
    );
  });

  test('the first one is the source clock itself', () => {
    expect(nextTimestamp(undefined, 1700.9)).toBe(1700);
  });

  test('one that would lose precision is refused', () => {
    expect(() => nextTimestamp(at(Number.MAX_SAFE_INTEGER), 1)).toThrow(/safe integer/);
  });
});

describe('table identifiers', () => {
  const identifier = fc.record({
    namespace: fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }),
    name: fc.string({ unit: 'binary' }),
  });

  test('have equal keys exactly when they are equal, and come back from them', () => {
    fc.assert(
      fc.property(identifier, identifier, (a, b) => {
        expect(tableOf(keyOf(a))).toEqual(a);
        expect(keyOf(a) === keyOf(b)).toBe(
          JSON.stringify([a.namespace, a.name]) === JSON.stringify([b.namespace, b.name]),
        );
      }),
    );
  });

  test('are read as they are shown', () => {
    const level = fc.string({ minLength: 1, unit: 'binary' });
    fc.assert(
      fc.property(fc.array(level, { minLength: 1 }), level, (namespace, last) => {
        expect(parseTable(showTable({ namespace, name: last }))).toEqual({ namespace, name: last });
      }),
    );
    expect(parseTable('a b.c d')).toEqual({ namespace: ['a b'], name: 'c d' });
  });

  test.each(['', 'orders', 'sales.', '.orders', 'sales..orders', '"sales', '"sales"x.orders', String.raw`"\q".orders`])(
    '%j is no table',
    (text) => {
      expect(() => parseTable(text)).toThrow(SyntaxError);
    },
  );

  test('read unambiguously', () => {
    expect(showTable({ namespace: ['sales', 'eu'], name: 'orders' })).toBe('sales.eu.orders');
    expect(showTable({ namespace: ['a.b'], name: 'c d\u001B[31m' })).toBe(String.raw`"a.b"."c d\u001b[31m"`);
  });
});

test('backoff doubles up to its ceiling, with full jitter', () => {
  const options = { baseMs: 100, maxMs: 5000, random: 0.999_999 };
  expect([0, 1, 2, 10, 1000].map((attempts) => backoffMs(attempts, options))).toEqual([99, 199, 399, 4999, 4999]);
  expect(backoffMs(5, { ...options, random: 0 })).toBe(0);
});

const name = (i: number) => keyOf({ namespace: ['db'], name: `t${i}` });

const drop = (budget: DropBudget, count: number, held: number, nowMs = 0) =>
  Array.from({ length: count }, (_, i) => budget.mayDrop(name(i), held - i, nowMs)).filter(Boolean).length;

describe('the drop budget', () => {
  const options = { floor: 20, share: 0.2, perMs: 600_000 };

  test('lets the larger of floor and share go, and holds what exceeds it', () => {
    expect(drop(new DropBudget(options), 50, 50)).toBe(20);
    expect(drop(new DropBudget(options), 1000, 1000)).toBe(200);
  });

  test('a retried DROP costs nothing', () => {
    const budget = new DropBudget({ ...options, floor: 1, share: 0 });
    expect([0, 0, 0, 1].map((i) => budget.mayDrop(name(i), 10, 0))).toEqual([true, true, true, false]);
  });

  test('names that come back are not counted, so temporary tables never hit it', () => {
    const budget = new DropBudget({ ...options, floor: 1, share: 0 });
    for (let i = 0; i < 1000; i++) {
      expect(budget.mayDrop(name(i % 7), 10, i)).toBe(true);
      budget.cameBack(name(i % 7));
    }
  });

  test('time gives the budget back, but never releases what is held', () => {
    const budget = new DropBudget({ ...options, floor: 1, share: 0 });
    expect([budget.mayDrop(name(1), 9, 0), budget.mayDrop(name(2), 9, 0)]).toEqual([true, false]);
    expect(budget.mayDrop(name(2), 9, 10 ** 9)).toBe(false);
    expect(budget.mayDrop(name(3), 9, 10 ** 9)).toBe(true);
    budget.release([name(2)]);
    expect(budget.mayDrop(name(2), 9, 10 ** 9)).toBe(true);
  });

  test('while it is closed everything is held, also afterwards', () => {
    const budget = new DropBudget(options);
    budget.setClosed(true);
    expect(budget.mayDrop(name(1), 9, 0)).toBe(false);
    budget.setClosed(false);
    expect([1, 2].map((i) => budget.mayDrop(name(i), 9, 0))).toEqual([false, true]);
  });

  test('a restart forgets neither what was dropped nor what is held', () => {
    const budget = new DropBudget({ ...options, floor: 2, share: 0 });
    budget.restore(
      [
        [name(1), 0],
        [name(2), 0],
      ],
      [name(3)],
    );
    expect([3, 4].map((i) => budget.mayDrop(name(i), 9, 1000))).toEqual([false, false]);
  });
});

describe('the breaker', () => {
  const options = { failures: 3, baseMs: 1000, maxMs: 8000 };

  test('opens after failures in a row, probes one at a time, and closes with the first success', () => {
    const breaker = new Breaker(options);
    expect([1, 2, 3].map(() => breaker.failed(0, 1))).toEqual([false, false, true]);
    expect(breaker.admits(999)).toBe(false);
    expect([breaker.admits(1000), breaker.admits(1000)]).toEqual([true, false]);
    expect(breaker.failed(1000, 1)).toBe(true);
    expect([breaker.state(2999), breaker.state(3000)]).toEqual(['open', 'half-open']);
    expect(breaker.admits(3000)).toBe(true);
    expect(breaker.succeeded()).toBe(true);
    expect(breaker.state(3000)).toBe('closed');
  });

  test('a success in between starts the count anew', () => {
    const breaker = new Breaker(options);
    for (let i = 0; i < 100; i++) {
      expect(breaker.failed(0, 1) || breaker.failed(0, 1)).toBe(false);
      breaker.succeeded();
    }
  });

  test('a probe that sent nothing leaves the next one to another lane', () => {
    const breaker = new Breaker({ ...options, failures: 1 });
    breaker.failed(0, 1);
    expect(breaker.admits(5000)).toBe(true);
    breaker.unused();
    expect(breaker.admits(5000)).toBe(true);
  });
});

/** A server that does `cores` requests side by side in `workMs` each, give or take `noise`; the limits of the second half. */
const settle = (cores: number, workMs: number, noise = 0): { mean: number; max: number } => {
  const throttle = new Throttle({ min: 1, max: 64, initial: 8 });
  const random = seededRandom(1);
  let [sum, max] = [0, 0];
  for (let i = 0; i < 20_000; i++) {
    const latencyMs = workMs * Math.max(1, throttle.limit / cores) * (1 + noise * (random() - 0.5));
    throttle.record({ kind: 'ok', latencyMs, inFlight: throttle.limit });
    if (i < 10_000) continue;
    sum += throttle.limit;
    max = Math.max(max, throttle.limit);
  }
  return { mean: sum / 10_000, max };
};

describe('the throttle', () => {
  test.each([2, 8, 24])('settles where a server with %i cores is busy and nothing queues', (cores) => {
    for (const noise of [0, 1]) {
      const { mean, max } = settle(cores, 6, noise);
      expect(mean).toBeGreaterThan(cores * 0.85);
      expect(mean).toBeLessThan(cores * 1.25 + 1.5);
      expect(max).toBeLessThanOrEqual(cores * 2 + 2);
    }
  });

  test('learns nothing from a target that has little to do', () => {
    const throttle = new Throttle({ min: 1, max: 64, initial: 8 });
    for (let i = 0; i < 10_000; i++) throttle.record({ kind: 'ok', latencyMs: 5 + i, inFlight: 1 });
    expect(throttle.limit).toBe(8);
  });

  test('grows to the maximum while latency holds, and halves once per window when requests are refused', () => {
    expect(settle(1000, 6).mean).toBeGreaterThan(60);
    const throttle = new Throttle({ min: 1, max: 64, initial: 64 });
    for (let i = 0; i < 64; i++) throttle.record({ kind: 'overload' });
    expect(throttle.limit).toBe(32);
    for (let i = 0; i < 10_000; i++) throttle.record({ kind: 'overload' });
    expect(throttle.limit).toBe(1);
  });
});

describe('drift between a listing and the ledger', () => {
  const held = delivered;
  test.each([
    ['a table that Polaris was not told of', present(1), undefined, 'missing'],
    ['the same', present(1), held, undefined],
    ['another metadata location', present(2), held, 'stale'],
    ['a re-created table', present(1, '2'), held, 'stale'],
    ['an intent without outcome', present(1), { ...held, doubt: true }, 'stale'],
    ['a table that is not listed', undefined, held, 'orphan'],
    ['a table that is absent', absent, held, 'orphan'],
    ['a table that a view replaced', view('2'), held, 'orphan'],
    ['a table whose markers were stripped', view('1'), held, undefined],
    [
      'a table that was dropped',
      undefined,
      { ...held, delivered: { ...held.delivered!, type: 'DROP' as const } },
      undefined,
    ],
    [
      'a table parked for its timestamp',
      present(1),
      { ...held, parked: { code: 'TIMESTAMP_AHEAD' as const, detail: '', since: 0, type: 'UPDATE' as const } },
      'ahead',
    ],
  ])('%s', (_what, state, entry, drift) => {
    expect(driftOf(state, entry)).toBe(drift);
  });

  test('with what Polaris serves', () => {
    expect(driftOf(present(1), held, 'nothing')).toBe('missing');
    expect(driftOf(present(1), held, 'other')).toBe('stale');
    expect(driftOf(present(1), held, 'this')).toBe(undefined);
    expect(driftOf(undefined, undefined, 'other')).toBe('foreign');
    expect(driftOf(view('9'), undefined, 'other')).toBe('foreign');
    expect(driftOf(view('1'), held, 'other')).toBe(undefined);
  });
});
