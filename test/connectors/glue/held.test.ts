import { expect, test } from 'vitest';
import { HeldMessages } from '../../../connectors/glue/held.ts';
import { Meter } from '../../../connectors/glue/meter.ts';
import { ClockSkew } from '../../../src/runtime/clock-skew.ts';
import type { Queue, Receipt, Received } from '../../../connectors/glue/queue.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { ManualClock } from '../../runtime/manual-clock.ts';

const VISIBILITY_MS = 120_000;
const HOUR = 3_600_000;

/** A queue that does all it is told, and notes it. */
function open() {
  const clock = new ManualClock();
  const calls: string[] = [];
  const note = (what: string) => async (receipts: readonly Receipt[], seconds?: number) => {
    calls.push(
      `${what} ${receipts.map(({ receipt }) => receipt).join(' ')}${seconds === undefined ? '' : ` ${seconds}`}`,
    );
    return [];
  };
  const queue = { delete: note('delete'), hide: note('hide') } as Partial<Queue> as Queue;
  const meter = new Meter(new ClockSkew(silentLog, 5_000, 'Synchronize it.'));
  const held = new HeldMessages(queue, VISIBILITY_MS, { deps: { clock, log: silentLog }, meter });
  const take = (id: string, receipt = id) => held.take(message(id, receipt), clock.monotonicMs());
  return { clock, calls, held, take };
}

const message = (id: string, receipt: string): Received => ({ id, receipt, body: '', receives: 1 });

test('a message is extended when half of its time is over, and not before', async () => {
  const { clock, calls, held, take } = open();
  take('a');
  await clock.advance(VISIBILITY_MS / 4);
  await held.extend();
  expect(calls).toEqual([]);
  await clock.advance(VISIBILITY_MS / 4);
  await held.extend();
  await held.extend();
  expect(calls).toEqual(['hide a 120']);
});

test('the newest receipt counts, for extending and for deleting', async () => {
  const { clock, calls, held, take } = open();
  const first = take('a', 'old');
  expect(take('a', 'new')).toBeUndefined();
  expect(held.size).toBe(1);
  await clock.advance(VISIBILITY_MS / 2);
  await held.extend();
  if (first !== undefined) await held.delete([first]);
  expect(calls).toEqual(['hide new 120', 'delete new']);
  expect(held.size).toBe(0);
});

test('SQS hides a message for 12 hours at most, so it is not asked to for longer', async () => {
  const { clock, calls, held, take } = open();
  take('a');
  for (let ms = 0; ms < 13 * HOUR; ms += VISIBILITY_MS / 2) {
    await clock.advance(VISIBILITY_MS / 2);
    await held.extend();
  }
  const extended = calls.length * (VISIBILITY_MS / 2);
  expect(extended).toBeLessThan(12 * HOUR);
  expect(extended).toBeGreaterThan(12 * HOUR - 3 * VISIBILITY_MS);
});

test('calls carry ten messages each', async () => {
  const { calls, held, take } = open();
  const all = Array.from({ length: 25 }, (_, i) => take(`m${i}`)).filter((one) => one !== undefined);
  await held.delete(all);
  expect(calls.map((call) => call.split(' ').length - 1)).toEqual([10, 10, 5]);
});
