import { expect, test, vi } from 'vitest';
import { AGENT_SETS } from './exhaustive.ts';

/** On a slow machine these take a while. */
vi.setConfig({ testTimeout: 120_000 });

test.each(AGENT_SETS)('every history of $title keeps all rules, and ends equal', async ({ run, atLeast }) => {
  expect(await run()).toBeGreaterThan(atLeast);
});
