import { expect, test, vi } from 'vitest';
import { chosenBySeed, exhaust } from './choices.ts';
import { World, type WorldOptions } from './world.ts';

/** On a slow machine these take a while. */
vi.setConfig({ testTimeout: 120_000 });

const exhaustive = (options: WorldOptions): number => exhaust((choose) => new World(choose, options).run());

test('every history of two changes of one table and one fault ends with Polaris equal to the source', () => {
  expect(exhaustive({ names: ['a'], changes: 2, faults: 1, rivals: true })).toBeGreaterThan(10_000);
});

test('every history of one change of one table and three faults ends with Polaris equal to the source', () => {
  expect(exhaustive({ names: ['a'], changes: 1, faults: 3, rivals: true })).toBeGreaterThan(5_000);
});

test('every history of two changes with renames between two names converges', () => {
  expect(exhaustive({ names: ['a', 'b'], changes: 2, faults: 0 })).toBeGreaterThan(100_000);
});

test('re-created tables converge when they are replaced', () => {
  expect(exhaustive({ names: ['a'], changes: 3, faults: 0, policy: { recreate: 'replace' } })).toBeGreaterThan(5_000);
});

test('tables that Polaris already serves are adopted through any fault', () => {
  expect(exhaustive({ names: ['a'], changes: 2, faults: 1, policy: { adopt: true } })).toBeGreaterThan(10_000);
});

test('long histories converge at every quiet moment', () => {
  for (let seed = 1; seed <= 3000; seed++) expect(historyOf(seed)).toBe('converged');
});

test('a seed is a full reproduction', () => {
  expect(traceOf(7)).toBe(traceOf(7));
});

const long = { names: ['a', 'b', 'c'], changes: 30, faults: 15, rivals: true, rollbacks: true };

function historyOf(seed: number): string {
  const world = new World(chosenBySeed(seed), long);
  try {
    world.run();
    return 'converged';
  } catch (error) {
    return `seed ${seed}: ${String(error)}`;
  }
}

function traceOf(seed: number): string {
  const world = new World(chosenBySeed(seed), long);
  world.run();
  return world.trace;
}
