import { parseArgs } from 'node:util';
import { following } from './following.ts';
import { largeTransaction } from './large-transaction.ts';

// node test/faults/large-transaction-report.ts [--mib 1024] [--updates 100000]: one transaction of so much on the metastore's
// database, under a running agent; prints its memory and how long it took until source and Polaris were equal.

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '1024' }, updates: { type: 'string', default: '100000' } },
});
const MIB = 1024 ** 2;
await using parts = await following();
const seen = await largeTransaction(parts, { mib: Number(values.mib), updates: Number(values.updates) });
console.log(`one transaction: ${Math.round(seen.walBytes / MIB)} MiB of WAL, ${seen.updates} updates of followed rows`);
console.log(`source and Polaris equal ${seen.equalMs} ms after its commit`);
console.log(
  `agent: at most ${Math.round(seen.before / MIB)} MiB resident before, ${Math.round(seen.after / MIB)} MiB after`,
);
