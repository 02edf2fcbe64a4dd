import { expect, test, vi } from 'vitest';
import { chosenBySeed } from './choices.ts';
import { World } from './world.ts';

/** Instrumented, or on a slow machine, they take a while. */
vi.setConfig({ testTimeout: 120_000 });

const LONG = { names: ['a', 'b', 'c'], changes: 30, faults: 15, rivals: true, rollbacks: true };

function historyOf(seed: number): string {
  const world = new World(chosenBySeed(seed), LONG);
  try {
    world.run();
    return 'converged';
  } catch (error) {
    return `seed ${seed}: ${String(error)}`;
  }
}

test('long histories of lanes alone converge at every quiet moment', () => {
  for (let seed = 1; seed <= 1000; seed++) expect(historyOf(seed)).toBe('converged');
});
