import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent } from './agent.ts';
import { Storm } from './storm.ts';
import type { LifeOptions, World } from './world.ts';

export type Round = {
  readonly round: number;
  /** How long each of the agent's lives of this round was, from its start to its `kill -9`. */
  readonly livesMs: readonly number[];
  /** From the start of the last life until both sides were equal. */
  readonly healedMs: number;
  readonly tables: number;
  /** Faults of the network during the round. */
  readonly faults: number;
};

export type KillOptions = {
  readonly rounds: number;
  /** With faults of the network on both sides of the agent, while the load is on. */
  readonly faults?: boolean | undefined;
  /** Of all of the agent's lives. */
  readonly life?: LifeOptions | undefined;
  /** While the last life of the round still runs. */
  readonly onRound: (round: Round) => unknown;
};

/** A life takes up to this. A third of it is the start: loading the program, listing, catching up. */
const LIFE_MS = 2_500;

/**
 * Rounds of: the agent runs under load, is killed with SIGKILL at a random moment, now and then again while it is starting;
 * then load and faults stop, the agent starts once more, and source and Polaris must become equal.
 */
export async function killRounds(world: World, { rounds, faults = false, life, onRound }: KillOptions): Promise<void> {
  let agent: Agent = world.agent(life);
  try {
    // The very first start refuses to go on where it reaches nobody: a wrong setting looks the same.
    if (faults) await agent.caughtUp();
    for (let round = 1; round <= rounds; round += 1) {
      const livesMs: number[] = [];
      const work = await world.work({ engines: 4, pauseMs: 10 });
      const storm = faults ? new Storm([world.toSource, world.toPolaris], world.random) : undefined;
      for (let kills = world.random() < 0.3 ? 2 : 1; kills > 0; kills -= 1) {
        if (!agent.running) agent = world.agent(life);
        const lifeMs = Math.round(world.random() * LIFE_MS);
        await sleep(lifeMs);
        agent.check();
        await agent.kill();
        livesMs.push(lifeMs);
        await sleep(world.random() * 200);
      }
      await storm?.end();
      await work.stop();
      agent = world.agent(life);
      await agent.caughtUp();
      const { tables } = await world.equal(agent);
      const healedMs = Math.round(performance.now() - agent.startedAt);
      for (const proxy of [world.toSource, world.toPolaris]) proxy.buryFrozen();
      await onRound({ round, livesMs, healedMs, tables, faults: storm?.faults ?? 0 });
    }
  } finally {
    await agent.kill();
  }
}
