import { expect, test } from 'vitest';
import { Announced } from '../../../connectors/glue/announced.ts';
import { ManualClock } from '../../runtime/manual-clock.ts';

const DELAYS = [100, 400, 1500];
const orders = { namespace: ['sales'], name: 'orders' };

/** Events happen now unless told otherwise; reads are made now. */
function open(delaysMs: readonly number[] = DELAYS) {
  const clock = new ManualClock();
  const announced = new Announced(delaysMs, clock);
  let rings = 0;
  announced.onDue(() => rings++);
  return {
    clock,
    announced,
    get rings() {
      return rings;
    },
    told: (kind: 'upserted' | 'dropped', known: string | undefined, at: number | undefined = clock.now()) =>
      announced.told(orders, { kind, at }, clock.now(), known),
    judge: (fingerprint: string | undefined) => announced.judge(orders, fingerprint, clock.now()),
  };
}

test('what no event told of counts as it is read', () => {
  const { judge } = open();
  expect(judge('v1')).toBe('counts');
  expect(judge(undefined)).toBe('counts');
});

test('a change that an event told of counts when it shows', () => {
  const { told, judge, announced } = open();
  told('upserted', 'v1');
  expect(judge('v2')).toBe('counts');
  expect(announced.size).toBe(0);
});

test('what reads unchanged is read again after each delay, then it counts', async () => {
  const world = open();
  world.told('upserted', 'v1');
  for (const [i, delay] of DELAYS.entries()) {
    expect(world.judge('v1')).toBe('again');
    await world.clock.advance(delay - 1);
    expect(world.announced.anyDue).toBe(false);
    await world.clock.advance(1);
    expect(world.announced.takeDue()).toEqual([orders]);
    expect(world.rings).toBe(i + 1);
  }
  expect(world.judge('v1')).toBe('counts');
  expect(world.announced.size).toBe(0);
});

test('another target’s read of the same table doesn’t use up a delay', async () => {
  const { told, judge, clock, announced } = open();
  told('upserted', 'v1');
  expect([judge('v1'), judge('v1'), judge('v1')]).toEqual(['again', 'again', 'again']);
  await clock.advance(100);
  expect(announced.takeDue()).toHaveLength(1);
});

test('an event older than all delays is never doubted: any read is younger', () => {
  const { told, judge, clock, announced } = open();
  told('upserted', 'v1', clock.now() - 3_001);
  expect(announced.size).toBe(0);
  expect(judge('v1')).toBe('counts');
});

test('an event without a time, or of the future, is taken to have happened now', async () => {
  for (const at of [undefined, Date.UTC(2100, 0, 1)]) {
    const { announced, clock, judge } = open();
    announced.told(orders, { kind: 'upserted', at }, clock.now(), 'v1');
    expect(judge('v1')).toBe('again');
    await clock.advance(3_000);
    expect(judge('v1')).toBe('counts');
  }
});

test('a table that was there and is missing, although an event tells of its change, is doubtful', () => {
  const { told, judge } = open();
  told('upserted', 'v1');
  expect(judge(undefined)).toBe('doubtful');
  expect(judge(undefined)).toBe('doubtful');
});

test('a table that was not there and is missing counts, but is read again: nothing can be dropped by that', () => {
  const { told, judge } = open();
  told('upserted', undefined);
  expect(judge(undefined)).toBe('again');
});

test('a drop explains that a table is missing', () => {
  const { told, judge } = open();
  told('dropped', 'v1');
  expect(judge(undefined)).toBe('counts');
});

test('a drop that follows a commit explains it, one that came before doesn’t, and within a second nothing is sure', () => {
  const at = Date.UTC(2026, 0, 1, 12);
  for (const [upserted, dropped, verdict] of [
    [at - 1000, at, 'counts'],
    [at, at - 1000, 'doubtful'],
    [at, at, 'doubtful'],
  ] as const) {
    const { told, judge } = open();
    told('upserted', 'v1', upserted);
    told('dropped', 'v1', dropped);
    expect(judge(undefined)).toBe(verdict);
  }
});

test('a table that is still there after a drop is read again, then it stays', async () => {
  const { told, judge, clock } = open();
  told('dropped', 'v1');
  expect(judge('v1')).toBe('again');
  await clock.advance(3_000);
  expect(judge('v1')).toBe('counts');
});

test('several events may stand for several changes, so the first change to show is not the end', async () => {
  const { told, judge, clock, announced } = open();
  told('upserted', 'v1');
  told('upserted', 'v1');
  expect(judge('v2')).toBe('again');
  await clock.advance(100);
  announced.takeDue();
  expect(judge('v3')).toBe('counts');
});

test('without delays nothing is doubted', () => {
  const { told, judge } = open([]);
  told('upserted', 'v1');
  expect(judge(undefined)).toBe('counts');
});

test('tables that nobody reads are forgotten', async () => {
  const { told, announced, clock } = open();
  told('upserted', 'v1');
  expect(announced.size).toBe(1);
  await clock.advance(120_000);
  announced.told({ namespace: ['sales'], name: 'other' }, { kind: 'upserted', at: undefined }, clock.now(), undefined);
  expect(announced.size).toBe(1);
});
