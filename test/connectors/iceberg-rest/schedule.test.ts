import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PollSchedule } from '../../../connectors/iceberg-rest/schedule.ts';
import { keyOf, type TableKey } from '../../../src/core/table.ts';
import { byRates, byTurns, ratesOf, type Simulation } from './poll-simulation.ts';

const key = (name: number): TableKey => keyOf({ namespace: ['db'], name: String(name) });
const HOUR_MS = 3_600_000;

/** Answers whatever is due in virtual time; counts polls by table. */
function runSchedule(
  schedule: PollSchedule,
  [fromMs, untilMs]: readonly [number, number],
  changed: (key: TableKey) => boolean = () => false,
) {
  const polls = new Map<TableKey, number[]>();
  for (let nowMs = fromMs; nowMs < untilMs;) {
    const due = schedule.take(nowMs);
    if (due === undefined) {
      nowMs = Math.max(nowMs + 1, schedule.nextMs(nowMs) ?? untilMs);
      continue;
    }
    const times = polls.get(due) ?? [];
    times.push(nowMs);
    polls.set(due, times);
    schedule.answered(due, { atMs: nowMs, changed: changed(due) });
  }
  return polls;
}

const countOf = (polls: ReadonlyMap<TableKey, readonly number[]>) =>
  [...polls.values()].reduce((sum, times) => sum + times.length, 0);

test('keeps to the budget, and uses it, whatever changes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 300 }),
      fc.double({ min: 0.5, max: 10, noNaN: true }),
      fc.integer(),
      (tables, perSecond, salt) => {
        const schedule = new PollSchedule({ pollsPerSecond: perSecond, maxAgeMs: HOUR_MS });
        for (let i = 0; i < tables; i++) schedule.add(key(i), 0);
        let turn = salt;
        const busy = runSchedule(schedule, [0, 600_000], () => (turn = (turn * 1_103_515_245 + 12_345) | 0) % 7 === 0);
        const most = Math.min(perSecond, tables);
        expect(countOf(busy) / 600).toBeLessThan(most * 1.1 + 0.1);
        expect(countOf(busy) / 600).toBeGreaterThan(most * 0.75);
      },
    ),
    { numRuns: 30 },
  );
});

test('polls every table, none less than half as often as by turns, and none more than once a second', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0.2, max: 20, noNaN: true }),
      (tables, perSecond) => {
        const schedule = new PollSchedule({ pollsPerSecond: perSecond, maxAgeMs: 24 * HOUR_MS });
        for (let i = 0; i < tables; i++) schedule.add(key(i), 0);
        const turnMs = Math.max(1000, (tables / perSecond) * 1000);
        const polls = runSchedule(schedule, [0, 20 * turnMs], (one) => one === key(0));
        expect(polls.size).toBe(tables);
        for (const times of polls.values()) {
          const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
          expect(Math.max(0, ...gaps)).toBeLessThanOrEqual(2 * turnMs + 5_001);
          expect(Math.min(Number.POSITIVE_INFINITY, ...gaps)).toBeGreaterThanOrEqual(999);
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('asks quiet tables by their greatest age, where the budget suffices for it', () => {
  const schedule = new PollSchedule({ pollsPerSecond: 2, maxAgeMs: 60_000 });
  for (let i = 0; i < 100; i++) schedule.add(key(i), 0);
  // By turns each would be polled every 50 s; a hot one takes what is not promised to the others.
  const polls = runSchedule(schedule, [0, HOUR_MS], (one) => one === key(0));
  for (const times of polls.values()) {
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(65_000);
  }
  expect(polls.get(key(0))?.length ?? 0).toBeGreaterThan(1_000);
});

test('spreads the first polls of tables that come together', () => {
  const schedule = new PollSchedule({ pollsPerSecond: 10, maxAgeMs: HOUR_MS });
  for (let i = 0; i < 1_000; i++) schedule.add(key(i), 0);
  const polls = runSchedule(schedule, [0, 100_000]);
  const perTen = Array.from({ length: 10 }, () => 0);
  for (const at of [...polls.values()].flat())
    perTen[Math.floor(at / 10_000)] = (perTen[Math.floor(at / 10_000)] ?? 0) + 1;
  for (const count of perTen) expect(count).toBeGreaterThan(80);
  for (const count of perTen) expect(count).toBeLessThan(120);
});

test('asks a table more often from its first change on, and less again when it is quiet', () => {
  const schedule = new PollSchedule({ pollsPerSecond: 1, maxAgeMs: 24 * HOUR_MS });
  for (let i = 0; i < 200; i++) schedule.add(key(i), 0);
  runSchedule(schedule, [0, 6 * HOUR_MS], (one) => one === key(1));
  const intervals = () => [schedule.intervalMs(key(0)) ?? 0, schedule.intervalMs(key(1)) ?? 0];
  const [quiet = 0, hot = 0] = intervals();
  expect(hot).toBeLessThan(quiet / 10);
  schedule.answered(key(0), { atMs: 6 * HOUR_MS, changed: true });
  expect(schedule.intervalMs(key(0))).toBeLessThan(quiet / 1.5);
  runSchedule(schedule, [6 * HOUR_MS, 30 * HOUR_MS], (one) => one === key(2));
  expect(schedule.intervalMs(key(1))).toBeGreaterThan(5 * hot);
  expect(schedule.intervalMs(key(2))).toBeLessThan(2 * hot);
});

test('takes frequencies that go with the square root of rates', () => {
  const rates = [1 / 100_000, 1 / 400_000, 1 / 1_600_000];
  const schedule = new PollSchedule({ pollsPerSecond: 2, maxAgeMs: 24 * HOUR_MS });
  const names = [...rates.keys()].flatMap((kind) => Array.from({ length: 30 }, (_, i) => kind * 100 + i));
  for (const name of names) schedule.add(key(name), 0);
  const last = new Map<TableKey, number>();
  let nowMs = 0;
  const due = new Map(names.map((name) => [key(name), rates[Math.floor(name / 100)] ?? 0]));
  const left = new Map<TableKey, number>();
  for (; nowMs < 12 * HOUR_MS;) {
    const one = schedule.take(nowMs);
    if (one === undefined) {
      nowMs = Math.max(nowMs + 1, schedule.nextMs(nowMs) ?? 0);
      continue;
    }
    // Even changes at the rate, so that the estimate is all that varies.
    const expected = (left.get(one) ?? 0) + (due.get(one) ?? 0) * (nowMs - (last.get(one) ?? 0));
    const changed = expected >= 1;
    left.set(one, changed ? expected % 1 : expected);
    last.set(one, nowMs);
    schedule.answered(one, { atMs: nowMs, changed });
  }
  const mean = (kind: number) =>
    names.slice(kind * 30, kind * 30 + 30).reduce((sum, name) => sum + (schedule.intervalMs(key(name)) ?? 0), 0) / 30;
  expect(mean(2) / mean(1)).toBeGreaterThan(1.5);
  expect(mean(2) / mean(1)).toBeLessThan(2.5);
  expect(mean(1) / mean(0)).toBeGreaterThan(1.6);
  expect(mean(1) / mean(0)).toBeLessThan(2.4);
});

test('gives out no table twice before it is answered, and none that was removed', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.constantFrom('add', 'remove', 'take', 'answer', 'fail', 'read'), fc.nat(9), fc.nat(60_000)),
        { maxLength: 300 },
      ),
      (steps) => {
        const schedule = new PollSchedule({ pollsPerSecond: 5, maxAgeMs: 10_000 });
        const present = new Set<TableKey>();
        const out = new Set<TableKey>();
        let [nowMs, doubled] = [0, false];
        for (const [what, name, passMs] of steps) {
          nowMs += passMs;
          const one = key(name);
          if (what === 'add') {
            schedule.add(one, nowMs);
            present.add(one);
          } else if (what === 'remove') {
            schedule.remove(one);
            present.delete(one);
            out.delete(one);
          } else if (what === 'take') {
            const taken = schedule.take(nowMs);
            if (taken === undefined) continue;
            doubled ||= !present.has(taken) || out.has(taken);
            out.add(taken);
          } else if (what === 'fail') {
            schedule.failed(one, nowMs);
            out.delete(one);
          } else {
            schedule.answered(one, { atMs: nowMs, changed: what === 'read' });
            out.delete(one);
          }
          expect(schedule.size).toBe(present.size);
          expect(schedule.intervalMs(one) === undefined).toBe(!present.has(one));
        }
        expect(doubled).toBe(false);
        // Whatever is present and not out comes in the end.
        for (const one of out) schedule.failed(one, nowMs);
        expect(new Set(runSchedule(schedule, [nowMs, nowMs + 120_000]).keys())).toEqual(present);
      },
    ),
  );
});

test('lets a table rest for an interval whose poll came to nothing', () => {
  const schedule = new PollSchedule({ pollsPerSecond: 1, maxAgeMs: HOUR_MS });
  for (let i = 0; i < 10; i++) schedule.add(key(i), 0);
  const taken = new Map<TableKey, number>();
  for (let nowMs = 0; nowMs < 100_000; nowMs += 100) {
    const one = schedule.take(nowMs);
    if (one === undefined) continue;
    taken.set(one, (taken.get(one) ?? 0) + 1);
    schedule.failed(one, nowMs);
  }
  for (const count of taken.values()) expect(count).toBeLessThanOrEqual(11);
});

test('is without an opinion when nothing is scheduled', () => {
  const schedule = new PollSchedule({ pollsPerSecond: 1, maxAgeMs: HOUR_MS });
  expect([schedule.take(0), schedule.nextMs(0), schedule.intervalMs(key(0)), schedule.size]).toEqual([
    undefined,
    undefined,
    undefined,
    0,
  ]);
  schedule.answered(key(0), { atMs: 0, changed: true });
  schedule.failed(key(0), 0);
  expect(schedule.take(HOUR_MS)).toBeUndefined();
});

test.each([
  ['alike', 1.1, 1.25],
  ['zipf', 0.7, 2.2],
  ['hot', 0.5, 2.2],
  ['few', 0.1, 0.2],
] as const)(
  'finds changes of %s tables in %d of the mean and %d of the p99 that polling by turns takes, at most',
  (kind, mean, p99) => {
    const rates = ratesOf(kind, 1_000, 10);
    const simulation: Simulation = {
      rates: () => rates,
      requestsPerSecond: 4,
      maxAgeMs: 900_000,
      forMs: 10 * HOUR_MS,
      warmUpMs: 4 * HOUR_MS,
      seed: 7,
    };
    const [turns, adaptive] = [byTurns(simulation), byRates(simulation)];
    expect(adaptive.pollsPerSecond).toBeLessThanOrEqual(turns.pollsPerSecond * 1.001);
    expect(adaptive.meanMs / turns.meanMs).toBeLessThan(mean);
    expect(adaptive.p99Ms / turns.p99Ms).toBeLessThan(p99);
  },
);

test('follows a load that moves to other tables', () => {
  const [first, second] = [ratesOf('few', 1_000, 10), ratesOf('few', 1_000, 10).toReversed()];
  const rates = (nowMs: number) => (nowMs < 6 * HOUR_MS ? first : second);
  const simulation: Simulation = {
    rates,
    requestsPerSecond: 4,
    maxAgeMs: 900_000,
    forMs: 9 * HOUR_MS,
    warmUpMs: 7 * HOUR_MS,
    seed: 7,
  };
  expect(byRates(simulation).meanMs).toBeLessThan(byTurns(simulation).meanMs / 4);
});
