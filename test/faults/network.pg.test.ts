import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Agent } from './agent.ts';
import type { FaultProxy } from './fault-proxy.ts';
import { codeOf, recovered } from './recovery.ts';
import { World } from './world.ts';

/** One agent lives through all of it: what a fault leaves behind must not hurt at the next. */
describe('On a network that fails', () => {
  let world: World;
  let agent: Agent;
  beforeAll(async () => {
    world = await World.open({ seed: 3, settings: { wal_sender_timeout: '3s' } });
    agent = world.agent();
    await agent.caughtUp();
  });
  afterAll(async () => {
    await agent[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  const sides = () => [world.toSource, world.toPolaris];

  /** Engines work until they have done so much more. */
  async function someWork(operations: number, meanwhile: () => void = () => {}): Promise<void> {
    const work = await world.work({ engines: 3, pauseMs: 10 });
    const until = world.operations.total + operations;
    while (world.operations.total < until) {
      meanwhile();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await work.stop();
  }

  /** Both sides become equal while the bytes still travel in this way. */
  async function bears(shape: Parameters<FaultProxy['shape']>[0]): Promise<number> {
    for (const side of sides()) side.shape(shape);
    await someWork(40);
    const ms = await recovered(world, agent);
    for (const side of sides()) side.heal();
    expect(agent.running).toBe(true);
    return ms;
  }

  test('latency of 100 ms on both sides only delays', async ({ annotate }) => {
    await annotate(`equal ${await bears({ latencyMs: 100 })} ms after the last commit`);
    expect(world.witness.violations).toEqual([]);
  });

  test('bytes that come one by one change nothing', async ({ annotate }) => {
    await annotate(`equal ${await bears({ pieceBytes: 1 })} ms after the last commit`);
    expect(world.witness.violations).toEqual([]);
  });

  test('bytes that drip, at 16 KiB a second, change nothing', async ({ annotate }) => {
    await annotate(`equal ${await bears({ pieceBytes: 160, pauseMs: 10 })} ms after the last commit`);
    expect(world.witness.violations).toEqual([]);
  });

  test('connections that are reset again and again are made anew', async ({ annotate }) => {
    const before = sides().map(({ connections }) => connections);
    await someWork(60, () => {
      for (const side of sides()) if (world.random() < 0.3) side.reset();
    });
    await annotate(`equal ${await recovered(world, agent)} ms after the last commit`);
    for (const [i, side] of sides().entries()) expect(side.connections).toBeGreaterThan(before[i]! + 2);
    expect(world.witness.violations).toEqual([]);
  });

  test('half-open connections, which stay and say nothing, are given up', async ({ annotate }) => {
    for (const [name, side] of [
      ['PostgreSQL', world.toSource],
      ['Polaris', world.toPolaris],
    ] as const) {
      await someWork(10);
      const before = side.connections;
      side.freeze();
      await someWork(10);
      const ms = await recovered(world, agent);
      expect(side.connections).toBeGreaterThan(before);
      // Not one timeout after the other, for each connection that there was.
      expect(ms).toBeLessThan(12_000);
      await annotate(`${name}: equal ${ms} ms after the last commit`);
    }
    expect(world.witness.violations).toEqual([]);
  });

  test('a black hole before PostgreSQL is noticed and told of, and what happened meanwhile is made good', async ({
    annotate,
  }) => {
    const from = agent.log.length;
    world.toSource.blackHole();
    await someWork(20);
    const failure = await agent.logged('task-failed', undefined, from);
    // Whichever notices first: the stream that hears nothing, or a query that gets no answer.
    expect(codeOf(failure)).toMatch(/^HIVE_(SERVER_SILENT|UNREACHABLE|TIMEOUT)$/);
    expect((await world.compare()).equal).toBeLessThan((await world.compare()).tables);
    world.toSource.heal();
    await annotate(`equal ${await recovered(world, agent)} ms after its end`);
    await agent.logged('task-recovered', undefined, from);
    expect(world.witness.violations).toEqual([]);
  });

  test('a black hole before Polaris is noticed and told of, and what happened meanwhile is made good', async ({
    annotate,
  }) => {
    const from = agent.log.length;
    world.toPolaris.blackHole();
    await someWork(60);
    const down = await agent.logged('target-down', undefined, from);
    expect(down['detail']).toMatch(/127\.0\.0\.1/);
    world.toPolaris.heal();
    await annotate(`equal ${await recovered(world, agent)} ms after its end`);
    await agent.logged('target-up', undefined, from);
    expect(world.witness.violations).toEqual([]);
  });
});
