import { expect, test } from 'vitest';
import { seededRandom } from '../../src/runtime/random.ts';
import { Timers } from '../../src/runtime/timers.ts';
import { VirtualClock } from '../pipeline/virtual-clock.ts';
import { ManualClock } from './manual-clock.ts';

test('timers fire in the order of their times, none early, those of one time in one go', async () => {
  const clock = new VirtualClock();
  clock.earlyMs = 0.7;
  const random = seededRandom(3);
  const fired: { readonly dueMs: number; readonly atMs: number }[] = [];
  const timers = new Timers<number>(clock, (dueMs) => fired.push({ dueMs, atMs: clock.monotonicMs() }));
  for (let i = 0; i < 500; i++) {
    const delayMs = Math.floor(random() * 5000);
    timers.add(delayMs, clock.monotonicMs() + delayMs);
    if (i % 50 === 0) await clock.pass(200);
  }
  expect(timers.size).toBeGreaterThan(100);
  await clock.until(() => timers.size === 0);
  expect(fired).toHaveLength(500);
  for (const { dueMs, atMs } of fired) {
    expect(atMs).toBeGreaterThanOrEqual(dueMs);
    expect(atMs).toBeLessThan(dueMs + 1);
  }
  const times = fired.map(({ dueMs }) => dueMs);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test('all timers share one sleep, which an earlier timer cuts short', async () => {
  const clock = new VirtualClock();
  const fired: string[] = [];
  const timers = new Timers<string>(clock, (what) => fired.push(what));
  for (let i = 0; i < 100; i++) timers.add(1000 - i, `${i}`);
  expect(clock.sleeping).toBe(1);
  timers.add(10, 'first');
  expect(clock.sleeping).toBe(1);
  await clock.pass(20);
  expect(fired).toEqual(['first']);
  expect(clock.sleeping).toBe(1);
  await clock.pass(1000);
  expect(fired).toHaveLength(101);
});

test('a timer that is added while another fires, fires too', async () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  const timers = new Timers<string>(clock, (what) => {
    fired.push(what);
    if (what === 'one') timers.add(5, 'two');
  });
  timers.add(10, 'one');
  await clock.advance(10);
  expect(fired).toEqual(['one']);
  await clock.advance(5);
  expect(fired).toEqual(['one', 'two']);
});

test('closed timers fire no more, not even the rest of those that are due together', async () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  const timers = new Timers<string>(clock, (what) => {
    fired.push(what);
    timers.close();
  });
  timers.add(10, 'one');
  timers.add(10, 'two');
  await clock.advance(10);
  timers.add(1, 'three');
  await clock.advance(100);
  expect(fired).toEqual(['one']);
});
