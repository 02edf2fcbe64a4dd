import { expect, test } from 'vitest';
import { LagMeter } from '../../../connectors/hive/lag.ts';

test('nothing lags while everything up to an earlier look is durable', () => {
  const lag = new LagMeter();
  expect(lag.look(100n, 100n, 0)).toBe(0);
  // What others have just written is known for no time yet.
  expect(lag.look(200n, 150n, 10_000)).toBe(0);
  expect(lag.look(300n, 250n, 20_000)).toBe(0);
});

test('the lag grows from the first look at what is not durable, and ends with it', () => {
  const lag = new LagMeter();
  lag.look(100n, 100n, 0);
  expect(lag.look(200n, 100n, 10_000)).toBe(0);
  expect(lag.look(300n, 100n, 20_000)).toBe(10_000);
  expect(lag.look(300n, 199n, 30_000)).toBe(20_000);
  // The rest of it was first seen at 20 s.
  expect(lag.look(300n, 200n, 40_000)).toBe(20_000);
  expect(lag.look(300n, 300n, 50_000)).toBe(0);
});

test('a server whose log ends earlier than before is another one, whose positions say nothing of the old', () => {
  const lag = new LagMeter();
  lag.look(900n, 100n, 0);
  expect(lag.look(200n, 150n, 60_000)).toBe(0);
  expect(lag.look(200n, 150n, 70_000)).toBe(10_000);
});

test('after days of looks at a slot that stands still it still knows since when, in little memory', () => {
  const lag = new LagMeter();
  lag.look(100n, 100n, 0);
  let ms = 0;
  for (let i = 1; i <= 50_000; i++) ms = lag.look(100n + BigInt(i), 100n, i * 10_000);
  expect(ms).toBe(49_999 * 10_000);
});
