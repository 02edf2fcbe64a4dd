import { expect, test } from 'vitest';
import { seeded } from '../../examples/quickstart/workload.ts';
import { EventReceiver } from './event-receiver.ts';
import { forwardKillRounds, type ForwardRound } from './forward-kill.ts';
import { World } from './world.ts';

const ROUNDS = 4;

test('killed at any moment, the agent forwards at least once what Polaris admitted, in order, to a receiver with troubles of its own', async () => {
  await using world = await World.open({ seed: 20_260_101 });
  await using receiver = await EventReceiver.start(seeded(7));
  const rounds: ForwardRound[] = [];
  await forwardKillRounds({ world, receiver, rounds: ROUNDS, onRound: (round) => rounds.push(round) });
  expect(rounds).toHaveLength(ROUNDS);
  expect(rounds.flatMap(({ forwarded }) => forwarded.flatMap(({ lost }) => lost))).toEqual([]);
  expect([...world.witness.violations, ...receiver.violations]).toEqual([]);
  const [each, last] = rounds.at(-1)?.forwarded ?? [];
  // The load was one, and so were the troubles.
  expect(each?.events).toBeGreaterThan(100);
  expect(each?.doubled).toBeGreaterThan(0);
  expect(last?.events).toBeGreaterThan(20);
  expect(last?.events).toBeLessThanOrEqual(each?.events ?? 0);
}, 180_000);
