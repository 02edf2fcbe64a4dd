import { expect, test } from 'vitest';
import { outage } from './outage.ts';
import { World } from './world.ts';

const MIB = 1024 ** 2;

test("while Polaris is down the slot's confirmed position keeps moving and no WAL piles up; after its return both sides become equal", async () => {
  await using world = await World.open({ seed: 7 });
  const result = await outage(world, { outageMs: 6_000, engines: 4, pauseMs: 10 });
  // Work went on, and made WAL.
  expect(result.operations).toBeGreaterThan(50);
  expect(result.writtenBytes).toBeGreaterThan(0.2 * MIB);
  expect(result.longestStandstillMs).toBeLessThan(2_500);
  expect(result.unconfirmedBytes).toBeLessThan(Math.max(0.5 * MIB, result.writtenBytes / 2));
  expect(result.tables).toBeGreaterThan(5);
  expect(world.witness.violations).toEqual([]);
}, 120_000);
