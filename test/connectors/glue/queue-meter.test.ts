import { expect, test } from 'vitest';
import { QueueMeter } from '../../../connectors/glue/queue-meter.ts';
import { ManualClock } from '../../runtime/manual-clock.ts';

const { signal } = new AbortController();
const NUMBERS = {
  ApproximateNumberOfMessages: '7',
  ApproximateNumberOfMessagesNotVisible: '3',
  ApproximateNumberOfMessagesDelayed: '0',
};

test('asks the queue once a minute, however often it is measured', async () => {
  const clock = new ManualClock();
  let asked = 0;
  const attributes = async () => {
    asked++;
    return NUMBERS;
  };
  const meter = new QueueMeter({ attributes }, { clock });
  for (let second = 0; second < 60; second += 10) {
    expect(await meter.measure(signal)).toEqual({ visible: 7, inFlight: 3, delayed: 0 });
    await clock.advance(10_000);
  }
  expect(asked).toBe(1);
  await meter.measure(signal);
  expect(asked).toBe(2);
});

test.each([
  ['may not be asked', () => Promise.reject(new Error('denied'))],
  ['tells no numbers', () => Promise.resolve({ QueueArn: 'arn' })],
])('knows nothing of a queue that %s, and asks again', async (_, attributes) => {
  let asked = 0;
  const meter = new QueueMeter({ attributes: () => (asked++, attributes()) }, { clock: new ManualClock() });
  expect(await meter.measure(signal)).toBeUndefined();
  expect(await meter.measure(signal)).toBeUndefined();
  expect(asked).toBe(2);
});

test('ends when it is aborted', async () => {
  const abort = new AbortController();
  const attributes = async () => {
    abort.abort(new Error('enough'));
    throw new Error('cut off');
  };
  const meter = new QueueMeter({ attributes }, { clock: new ManualClock() });
  await expect(meter.measure(abort.signal)).rejects.toThrow('enough');
});
