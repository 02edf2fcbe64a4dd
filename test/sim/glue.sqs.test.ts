import { expect, test } from 'vitest';
import { runLoss } from './glue-loss.ts';

const small = {
  tables: 60,
  databases: 4,
  commits: 1_500,
  churn: 0.1,
  duplication: 0.2,
  shuffle: 100,
  reconcileEveryMs: 6_000,
};

test('with a fifth of the events lost, a fifth doubled and all shuffled, Polaris is equal after one reconcile interval', async () => {
  const result = await runLoss({ ...small, seed: 1, loss: 0.2 });
  expect(result.livingDropped).toEqual([]);
  expect(result.events.lost).toBeGreaterThan(150);
  expect(result.events.duplicated).toBeGreaterThan(150);
  expect(result.notifications).toMatchObject({ DROP: expect.any(Number) as number });
  // No more than the history has: drops, and the old names of renames.
  expect(result.notifications['DROP']).toBeLessThanOrEqual((2 * small.churn * small.commits) / 3 + 40);
});

test('with no event at all, the list alone makes them equal', async () => {
  const result = await runLoss({ ...small, seed: 2, commits: 600, loss: 1 });
  expect(result.events.delivered).toBe(0);
  expect(result.differentWithoutReconcile).toBeGreaterThan(0);
  expect(result.livingDropped).toEqual([]);
});

test('with every event, the list has nothing left to do', async () => {
  const result = await runLoss({ ...small, seed: 3, commits: 600, loss: 0, reconcileEveryMs: 3_600_000 });
  expect(result.livingDropped).toEqual([]);
  expect(result.equalAfterMs).toBeLessThan(10_000);
});

const lagging = {
  ...small,
  commits: 1_000,
  churn: 0.3,
  shuffle: 5,
  loss: 0,
  readLagMs: 1_500,
  reconcileEveryMs: 3_600_000,
  withinMs: 20_000,
};

test('reads that lag behind events are made good by reading again, without a list', async () => {
  const result = await runLoss({ ...lagging, seed: 4 });
  expect(result.livingDropped).toEqual([]);
  expect(result.differentWithoutReconcile).toBeGreaterThan(0);
});

test('and not without: that much the agent would miss until the next list', async () => {
  const blind = { ...lagging, seed: 4, readLagMs: 5_000, confirmAfter: [], withinMs: 5_000 };
  await expect(runLoss(blind)).rejects.toThrow('Not equal in time');
});
