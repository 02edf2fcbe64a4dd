import { setTimeout as sleep } from 'node:timers/promises';
import type { Session } from '../../examples/quickstart/session.ts';
import type { World } from './world.ts';

export type Round = {
  readonly round: number;
  /** How long each of the agent's lives of this round was, from its start to its `kill -9`. */
  readonly livesMs: readonly number[];
  /** From the start of the last life until both sides were equal. */
  readonly healedMs: number;
  readonly tables: number;
};

/** A life takes up to this. A third of it is the start: loading the program, listing, catching up. */
const LIFE_MS = 2_500;
const NEVER = new AbortController().signal;

/**
 * Rounds of: the agent runs under load, is killed with SIGKILL at a random moment, now and then again while it is starting;
 * then the load stops, the agent starts once more, and source and Polaris must become equal.
 */
export async function killRounds(
  world: World,
  rounds: number,
  onRound: (round: Round) => void = () => {},
): Promise<void> {
  let session: Session = world.session();
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const livesMs: number[] = [];
      const work = await world.work({ engines: 4, pauseMs: 10 });
      for (let kills = world.random() < 0.3 ? 2 : 1; kills > 0; kills -= 1) {
        if (!session.agent.running) session = world.session();
        const lifeMs = Math.round(world.random() * LIFE_MS);
        await sleep(lifeMs);
        session.check();
        await session.agent.kill();
        livesMs.push(lifeMs);
        await sleep(world.random() * 200);
      }
      await work.stop();
      const before = performance.now();
      session = world.session();
      await session.caughtUp(NEVER);
      const { tables } = await world.equal(session);
      onRound({ round, livesMs, healedMs: Math.round(performance.now() - before), tables });
    }
  } finally {
    await session.agent.kill();
  }
}
