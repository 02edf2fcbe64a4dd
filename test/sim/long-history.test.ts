import { expect, test, vi } from 'vitest';
import { chosenBySeed } from './choices.ts';
import { LongHistory } from './long-history.ts';
import { World } from './world.ts';

/** On a slow machine these take a while. */
vi.setConfig({ testTimeout: 120_000 });

/** What a failing seed is told by; `npm run sim` with this seed says more. */
async function historyOf(seed: number): Promise<string> {
  const history = new LongHistory(seed);
  try {
    await history.run();
    return 'all rules kept';
  } catch (error) {
    return `seed ${seed}: ${String(error)}\n${history.trace.slice(-60).join('\n')}`;
  }
}

test('whatever goes wrong, all rules are kept and every quiet moment is right', async () => {
  for (let seed = 1; seed <= 100; seed++) await expect(historyOf(seed)).resolves.toBe('all rules kept');
});

test('a seed is a full reproduction', async () => {
  const [first, second] = [new LongHistory(3), new LongHistory(3)];
  expect(await first.run()).toEqual(await second.run());
  expect(first.trace).toEqual(second.trace);
  expect(first.trace.length).toBeGreaterThan(20);
});

const LANES = { names: ['a', 'b', 'c'], changes: 30, faults: 15, rivals: true, rollbacks: true };

function lanesOf(seed: number): string {
  const world = new World(chosenBySeed(seed), LANES);
  try {
    world.run();
    return 'converged';
  } catch (error) {
    return `seed ${seed}: ${String(error)}`;
  }
}

test('long histories of lanes alone converge at every quiet moment', () => {
  for (let seed = 1; seed <= 3000; seed++) expect(lanesOf(seed)).toBe('converged');
});
