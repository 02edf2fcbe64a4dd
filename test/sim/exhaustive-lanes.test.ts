import { expect, test, vi } from 'vitest';
import { LANE_SETS } from './exhaustive.ts';

/** On a slow machine these take a while. */
vi.setConfig({ testTimeout: 120_000 });

test.each(LANE_SETS)('every history of $title ends with Polaris equal to the source', async ({ run, atLeast }) => {
  expect(await run()).toBeGreaterThan(atLeast);
});
