import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { listenForShutdown } from '../../src/runtime/shutdown.ts';
import { ManualClock } from './manual-clock.ts';

function setUp() {
  const signals = new EventEmitter();
  const clock = new ManualClock();
  const exits: number[] = [];
  const shutdown = listenForShutdown({ signals, clock, exit: (code) => exits.push(code) });
  return { signals, clock, exits, shutdown };
}

test('the first signal stops the intake and leaves time to finish', async () => {
  const { signals, clock, exits, shutdown } = setUp();
  shutdown.drainWithin(30_000);
  signals.emit('SIGTERM', 'SIGTERM');
  expect(shutdown.stop.aborted).toBe(true);
  await clock.advance(29_999);
  expect(shutdown.deadline.aborted).toBe(false);
  await clock.advance(1);
  expect(shutdown.deadline.aborted).toBe(true);
  expect(exits).toEqual([]);
});

test.for([
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGINT'],
])('a second signal exits at once: %s, %s', ([first = '', second = '']) => {
  const { signals, exits } = setUp();
  signals.emit(first, first);
  expect(exits).toEqual([]);
  signals.emit(second, second);
  expect(exits).toEqual([130]);
});

test('a disposed one listens no more and has no deadline', async () => {
  const { signals, clock, shutdown } = setUp();
  signals.emit('SIGINT', 'SIGINT');
  shutdown[Symbol.dispose]();
  await clock.advance(1_000_000);
  expect(shutdown.deadline.aborted).toBe(false);
  expect(signals.listenerCount('SIGINT') + signals.listenerCount('SIGTERM')).toBe(0);
});
