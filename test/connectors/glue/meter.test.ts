import { expect, test } from 'vitest';
import { CallBudget, Meter } from '../../../connectors/glue/meter.ts';
import { ClockSkew } from '../../../src/runtime/clock-skew.ts';
import { seededRandom } from '../../../src/runtime/random.ts';
import type { Log } from '../../../src/runtime/log.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { ManualClock } from '../../runtime/manual-clock.ts';

const NOON = Date.UTC(2026, 0, 1, 12);
const header = (ms: number) => new Date(ms).toUTCString();

test('one answer bounds the difference of the clocks to a second, many bound it closely', () => {
  const skew = new ClockSkew(silentLog, 5_000, 'Synchronize it.');
  expect(skew.ms).toBeUndefined();
  const random = seededRandom(7);
  const ahead = 12_345;
  for (let i = 0; i < 200; i++) {
    const sent = NOON + Math.floor(i * 1_000 * random() * 7);
    skew.answered(header(sent + 20 + ahead), sent, sent + 40);
    expect(Math.abs((skew.ms ?? 0) - ahead)).toBeLessThan(600);
  }
  expect(Math.abs((skew.ms ?? 0) - ahead)).toBeLessThan(40);
});

test('a step of either clock is followed', () => {
  const skew = new ClockSkew(silentLog, 5_000, 'Synchronize it.');
  skew.answered(header(NOON), NOON, NOON + 10);
  skew.answered(header(NOON + 60_000), NOON, NOON + 10);
  expect(Math.abs((skew.ms ?? 0) - 60_000)).toBeLessThan(600);
});

test('answers without a usable date say nothing', () => {
  const skew = new ClockSkew(silentLog, 5_000, 'Synchronize it.');
  for (const date of [undefined, '', 'yesterday']) skew.answered(date, NOON, NOON + 10);
  expect(skew.ms).toBeUndefined();
});

test('a clock that is too far off is warned of once, and again only after it was right', () => {
  const lines: string[] = [];
  const log: Log = { ...silentLog, warn: (event) => void lines.push(event), info: (event) => void lines.push(event) };
  const skew = new ClockSkew(log, 5_000, 'Synchronize it.');
  const answer = (ahead: number) => skew.answered(header(NOON + ahead), NOON, NOON + 10);
  for (const ahead of [0, 4_000, 60_000, 61_000, 0, -60_000]) answer(ahead);
  expect(lines).toEqual(['clock-skewed', 'clock-synchronized', 'clock-skewed']);
});

test('a budget lets through what it allows, in order, and makes up for rest by no more than a second', async () => {
  const clock = new ManualClock();
  const budget = new CallBudget(10, clock);
  const through: number[] = [];
  const take = (i: number) => void budget.take().then(() => through.push(i));
  for (let i = 0; i < 25; i++) take(i);
  await clock.advance(0);
  expect(through).toHaveLength(10);
  await clock.advance(1_000);
  expect(through).toHaveLength(20);
  await clock.advance(1_000);
  expect(through).toEqual(Array.from({ length: 25 }, (_, i) => i));
  await clock.advance(3_600_000);
  for (let i = 0; i < 25; i++) take(i);
  await clock.advance(0);
  expect(through).toHaveLength(35);
});

test('figures count calls by operation', () => {
  const meter = new Meter(new ClockSkew(silentLog, 5_000, 'Synchronize it.'));
  for (const operation of ['GetTable', 'GetTable', 'GetTables']) meter.called(operation);
  meter.add('received', 3);
  meter.ignored('foreign');
  expect(meter.figures()).toMatchObject({
    calls: { GetTable: 2, GetTables: 1 },
    received: 3,
    ignored: { foreign: 1 },
    clockSkewMs: undefined,
  });
});
