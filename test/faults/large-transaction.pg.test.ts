import { expect, test } from 'vitest';
import { following } from './following.ts';
import { largeTransaction } from './large-transaction.ts';

const MIB = 1024 ** 2;

test("a transaction of 200 MB on the metastore's database, with 20,000 updates of its tables, needs no memory of the agent", async ({
  annotate,
}) => {
  await using parts = await following();
  const seen = await largeTransaction(parts, { mib: 200, updates: 20_000 });
  expect(seen.walBytes).toBeGreaterThan(200 * MIB);
  expect(seen.after - seen.before).toBeLessThan(100 * MIB);
  await annotate(
    `${Math.round(seen.walBytes / MIB)} MiB of WAL: equal ${seen.equalMs} ms after the commit; ` +
      `at most ${Math.round(seen.before / MIB)} MiB resident before, ${Math.round(seen.after / MIB)} MiB after`,
  );
  expect(parts.world.witness.violations).toEqual([]);
}, 120_000);
