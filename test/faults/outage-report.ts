import { parseArgs } from 'node:util';
import { outage } from './outage.ts';
import { World } from './world.ts';

// node test/faults/outage-report.ts [--seconds 60] [--engines 4] [--seed 1]: Polaris is down for so long, under load; prints what was seen.

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    engines: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
  },
});
await using world = await World.open({ seed: Number(values.seed) });
const seen = await outage(world, {
  outageMs: Number(values.seconds) * 1_000,
  engines: Number(values.engines),
  pauseMs: 10,
});
const mib = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
console.log(
  `Polaris down for ${values.seconds} s: ${seen.operations} operations on the metastore, ${mib(seen.writtenBytes)} of WAL`,
);
console.log(
  `WAL not confirmed by the agent: at most ${mib(seen.unconfirmedBytes)}; kept for its slot: at most ${mib(seen.retainedBytes)}`,
);
console.log(`confirmed position: never still for more than ${Math.round(seen.longestStandstillMs)} ms`);
console.log(`agent: ${mib(seen.agentRssBytes)} resident at the end of the outage`);
console.log(
  `after Polaris's return: ${seen.notificationsAfter} notifications, ${seen.tables} tables equal after ${Math.round(seen.convergedMs)} ms`,
);
console.log(`violations: ${world.witness.violations.length}`);
for (const violation of world.witness.violations) console.log(violation);
process.exitCode = world.witness.violations.length === 0 ? 0 : 3;
