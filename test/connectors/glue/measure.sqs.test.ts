import { expect, test } from 'vitest';
import { openGlueWorld } from './world.ts';

const { signal } = new AbortController();

test('tells how full the queue is, what was asked of AWS and how far its clock is off', async () => {
  await using world = await openGlueWorld();
  await world.send('{}', '{}', '{}');
  const connector = await world.connector();
  await connector.prepare(signal);
  const { queue, requests, throttled, clockSkewMs } = (await connector.measure?.(signal)) ?? {};
  expect(queue).toEqual({ visible: 3, inFlight: 0, delayed: 0 });
  expect(requests).toMatchObject({ GetQueueAttributes: 2 });
  expect(throttled).toBe(0);
  expect(Math.abs(clockSkewMs ?? Number.NaN)).toBeLessThan(5_000);
});
