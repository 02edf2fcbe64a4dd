import { expect, test } from 'vitest';
import { killRounds, type Round } from './kill.ts';
import { World } from './world.ts';

const ROUNDS = 5;

test('killed at any moment, the agent needs no operator: source and Polaris become equal, timestamps only grow, no living table is dropped', async () => {
  await using world = await World.open({ seed: 20_240_611 });
  const rounds: Round[] = [];
  await killRounds(world, { rounds: ROUNDS, onRound: (round) => rounds.push(round) });
  expect(rounds).toHaveLength(ROUNDS);
  expect(world.witness.violations).toEqual([]);
  // The load was one: tables came, changed and went, through several lives.
  const { admitted } = world.witness;
  for (const type of ['CREATE', 'UPDATE', 'DROP']) expect(admitted.get(type)).toBeGreaterThan(5);
}, 180_000);

test('the same holds while the network between the agent and both its neighbours fails in every way', async () => {
  await using world = await World.open({ seed: 20_251_124, settings: { wal_sender_timeout: '5s' } });
  const rounds: Round[] = [];
  await killRounds(world, { rounds: 3, faults: true, onRound: (round) => rounds.push(round) });
  expect(rounds.reduce((sum, { faults }) => sum + faults, 0)).toBeGreaterThan(3);
  expect(world.witness.violations).toEqual([]);
}, 180_000);
