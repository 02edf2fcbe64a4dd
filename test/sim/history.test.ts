import { expect, test } from 'vitest';
import { chosenBySeed, exhaust } from './choices.ts';
import { World, type WorldOptions } from './world.ts';

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
  for (let seed = 1; seed <= 3000; seed++) {
    const world = new World(chosenBySeed(seed), {
      names: ['a', 'b', 'c'],
      changes: 30,
      faults: 15,
      rivals: true,
      rollbacks: true,
    });
    try {
      world.run();
    } catch (error) {
      throw new Error(`seed ${seed}: ${world.trace}`, { cause: error });
    }
  }
});

test('a seed is a full reproduction', () => {
  const run = (): string => {
    const world = new World(chosenBySeed(7), { names: ['a', 'b'], changes: 40, faults: 20 });
    world.run();
    return world.trace;
  };
  expect(run()).toBe(run());
});
