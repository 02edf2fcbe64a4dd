import type { TableIdentifier } from '../core/types.ts';
import type { Driver } from './driver.ts';

export type DeliverParts = {
  readonly drivers: readonly Driver[];
  /** Which tables of which target. */
  readonly orders: readonly { readonly target: string; readonly tables: readonly TableIdentifier[] }[];
  /** Nothing is skipped because the ledger says that Polaris holds it already. */
  readonly doubt: boolean;
};

/** Delivers some tables and nothing else. Ends when all are settled or parked, or `stop` aborts; `kill` ends it at once. */
export async function deliver(
  { drivers, orders, doubt }: DeliverParts,
  stop: AbortSignal,
  kill: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const until = AbortSignal.any([stop, done.signal]);
  const running = drivers.map((driver) => driver.run(until, kill));
  for (const run of running) run.catch(() => done.abort());
  try {
    for (const { target, tables } of orders) {
      const driver = drivers.find(({ name }) => name === target);
      await driver?.changed(tables.map((table) => ({ table, doubt: doubt || undefined })));
    }
    await Promise.all(drivers.map((driver) => driver.settled(until)));
  } finally {
    done.abort();
    await Promise.all(running);
  }
}
