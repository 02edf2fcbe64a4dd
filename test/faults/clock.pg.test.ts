import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { following } from './following.ts';
import { recovered } from './recovery.ts';

const STEPPING_CLOCK = fileURLToPath(new URL('stepping-clock.ts', import.meta.url));
const STEPS = 4;

test("steps of the agent's clock, by a day or by decades, back and forth, change nothing", async ({ annotate }) => {
  const before = Date.now();
  await using parts = await following({}, { nodeArgs: ['--import', STEPPING_CLOCK] });
  const { world, agent, writer } = parts;
  for (let step = 1; step <= STEPS; step += 1) {
    const from = agent.log.length;
    agent.process.kill('SIGUSR2');
    const { wrongByMs } = await agent.logged('clock-stepped', ({ steps }) => steps === step);
    const delivered = world.witness.notifications.length;
    await writer.commit('sales.orders');
    await writer.createTable(`sales.step_${step}`);
    await annotate(`wrong by ${Number(wrongByMs) / 86_400_000} days: equal after ${await recovered(world, agent)} ms`);
    expect(world.witness.notifications.length).toBeGreaterThan(delivered);
    // Neither a task nor the target was taken for broken.
    expect(agent.log.slice(from).map(({ event }) => event)).toEqual(['clock-stepped']);
  }
  // Timestamps are the source's.
  for (const { timestamp } of world.witness.notifications) {
    expect(Number(timestamp)).toBeGreaterThan(before - 1_000);
    expect(Number(timestamp)).toBeLessThan(Date.now() + 1_000);
  }
  expect(world.witness.violations).toEqual([]);
});
