import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { following } from '../faults/following.ts';

/** Says at the end of the process how many spans were exported. */
const SDK = fileURLToPath(new URL('../bench/sdk.ts', import.meta.url));

test('an agent that `node --import` gave an SDK traces what it does, and exports all of it before it ends', async () => {
  await using parts = await following({}, { nodeArgs: ['--import', SDK] });
  const { world, agent, writer } = parts;
  await writer.commit('sales.orders');
  await world.equal(agent);
  expect(await agent.stop()).toBe(0);
  const spans = Number((await agent.logged('spans'))['spans']);
  // Of each of two states a read and a notification, of the first a VALIDATE, too; and commits for what was recorded.
  expect(spans).toBeGreaterThan(2 * 2 + 1 + 2);
  expect(world.witness.violations).toEqual([]);
});
