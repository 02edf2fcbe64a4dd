import { parseArgs } from 'node:util';
import { killRounds } from './kill.ts';
import { World } from './world.ts';

// node test/faults/kill-loop.ts [--rounds 200] [--faults] [--seed 1]: kill -9 under load, again and again, and with --faults on a
// network that fails on both sides of the agent; exits with 0 if nothing ever went wrong.

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    faults: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
  },
});
const rounds = Number(values.rounds);
console.log(`${rounds} rounds, --seed ${values.seed}${values.faults ? ', with faults of the network' : ''}`);
// A sender whose agent is gone behind a frozen connection keeps the slot for so long.
await using world = await World.open({ seed: Number(values.seed), settings: { wal_sender_timeout: '5s' } });
const healed: number[] = [];
let [kills, allFaults] = [0, 0];
await killRounds(world, {
  rounds,
  faults: values.faults,
  onRound: ({ round, livesMs, healedMs, tables, faults }) => {
    healed.push(healedMs);
    kills += livesMs.length;
    allFaults += faults;
    console.log(
      `round ${round}: killed after ${livesMs.join(' and ')} ms; ${faults} faults; ${tables} tables equal after ${healedMs} ms; ` +
        `${world.operations.total} operations, ${world.witness.notifications.length} notifications, ${world.witness.violations.length} violations`,
    );
  },
});
const { violations, notifications } = world.witness;
for (const violation of violations) console.log(violation);
healed.sort((a, b) => a - b);
console.log(
  `${rounds} rounds, ${kills} kills, ${allFaults} faults, ${world.operations.total} operations, ${notifications.length} notifications; ` +
    `equal after p50 ${healed[Math.floor(healed.length / 2)]} ms, max ${healed.at(-1)} ms from the start; ${violations.length} violations`,
);
process.exitCode = violations.length === 0 ? 0 : 3;
