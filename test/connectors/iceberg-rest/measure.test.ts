import { expect, test } from 'vitest';
import { eventually } from '../../pipeline/world.ts';
import { listAll, never, PolarisWorld, table } from './world.ts';

test('tells how many tables are polled, within what budget, and what was asked for', async () => {
  await using world = await PolarisWorld.start();
  for (const name of ['a', 'b', 'c']) await world.create(table('sales', name));
  const connector = await world.connector();
  expect((await connector.measure?.(never))?.polls?.tables).toBe(0);
  await listAll(connector);
  const stop = new AbortController();
  const watching = connector.watch(undefined, stop.signal)[Symbol.asyncIterator]();
  const next = watching.next();
  await eventually(async () => {
    const { polls } = (await connector.measure?.(never)) ?? {};
    return polls?.tables === 3 ? undefined : `${polls?.tables} tables`;
  });
  const { polls, requests, throttled } = (await connector.measure?.(never)) ?? {};
  expect(polls?.budgetPerSecond).toBeGreaterThan(0);
  expect(requests).toMatchObject({ config: 1 });
  expect(requests?.['load']).toBeGreaterThanOrEqual(3);
  expect(throttled).toBe(0);
  stop.abort();
  await next;
});
