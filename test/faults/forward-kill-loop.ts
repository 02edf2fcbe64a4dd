import { parseArgs } from 'node:util';
import { seeded } from '../../examples/quickstart/workload.ts';
import { EventReceiver } from './event-receiver.ts';
import { forwardKillRounds, type ForwardRound } from './forward-kill.ts';
import { World } from './world.ts';

// node test/faults/forward-kill-loop.ts [--rounds 200] [--seed 1]: kill -9 under load, again and again, with an agent that
// forwards events to a receiver with troubles of its own; exits with 0 if no event was lost and nothing else went wrong.

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
  },
});
const rounds = Number(values.rounds);
const seed = Number(values.seed);
console.log(`${rounds} rounds, --seed ${seed}`);
await using world = await World.open({ seed, settings: { wal_sender_timeout: '5s' } });
await using receiver = await EventReceiver.start(seeded(seed + 1));
let kills = 0;
let lost = 0;
let last: ForwardRound | undefined;
await forwardKillRounds({
  world,
  receiver,
  rounds,
  onRound: (round) => {
    last = round;
    kills += round.livesMs.length;
    const sinks = round.forwarded.map((one) => {
      lost += one.lost.length;
      for (const table of one.lost) console.log(`lost for ${one.sink}: ${table}`);
      return `${one.sink}: ${one.events} events, ${one.doubled} doubled, ${one.superseded} superseded, ${one.lost.length} lost`;
    });
    console.log(`round ${round.round}: killed after ${round.livesMs.join(' and ')} ms; ${sinks.join('; ')}`);
  },
});
const violations = [...world.witness.violations, ...receiver.violations];
for (const violation of violations) console.log(violation);
for (const { sink, admitted, events, doubled, superseded } of last?.forwarded ?? []) {
  console.log(
    `${sink}: ${admitted} notifications admitted, ${events} events, ${doubled} doubled, ${superseded} superseded by later ones`,
  );
}
console.log(`${rounds} rounds, ${kills} kills; ${lost} events lost, ${violations.length} violations`);
process.exitCode = lost === 0 && violations.length === 0 ? 0 : 3;
