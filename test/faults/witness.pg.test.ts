import { expect, test } from 'vitest';
import { Hand } from './hand.ts';
import { World } from './world.ts';

test('the witness of the fault tests sees a timestamp that does not grow and the DROP of a living table', async () => {
  await using world = await World.open({ seed: 1 });
  const { locking } = world.writers;
  await locking.createNamespace('sales');
  const location = await locking.createTable('sales.a');
  const hand = await Hand.of(world);
  const now = Date.now() + 1_000;

  expect(await hand.notify({ table: 'sales.a', type: 'CREATE', timestamp: now, location })).toBe(204);
  expect(world.witness.violations).toEqual([]);
  await hand.notify({ table: 'sales.a', type: 'UPDATE', timestamp: now, location });
  expect(world.witness.violations).toEqual([`UPDATE sales.a has timestamp ${now} after ${now}.`]);
  await hand.notify({ table: 'sales.a', type: 'DROP', timestamp: now + 1 });
  expect(world.witness.violations).toHaveLength(2);
  expect(world.witness.violations[1]).toMatch(/^DROP sales\.a of \d+: the table has been alive since \d+\.$/);

  await locking.dropTable('sales.a');
  await hand.notify({ table: 'sales.a', type: 'DROP', timestamp: now + 2 });
  expect(world.witness.violations).toHaveLength(2);
  expect([...world.witness.admitted]).toEqual([
    ['CREATE', 1],
    ['DROP', 2],
  ]);
});
