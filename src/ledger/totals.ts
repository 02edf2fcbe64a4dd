import type { Entry } from '../core/types.ts';
import type { Totals } from './ledger.ts';

export type Tally = { -readonly [K in keyof Totals]: Totals[K] };

export const emptyTally = (): Tally => ({ entries: 0, delivered: 0, pending: 0, parked: 0, skipped: 0 });

/** Work is left: a hint that no finished read covers, or an intent without an outcome. */
export const isUnfinished = (entry: Entry): boolean => entry.settled < entry.seen || entry.open !== undefined;

/** Polaris admitted the table and no DROP of it since. */
const isDelivered = ({ delivered }: Entry): boolean => delivered !== undefined && delivered.type !== 'DROP';

/** Counts an entry's change of state. `before` is undefined for a new entry. */
export function recount(tally: Tally, before: Entry | undefined, after: Entry): void {
  if (before !== undefined) count(tally, before, -1);
  count(tally, after, 1);
}

function count(tally: Tally, entry: Entry, by: 1 | -1): void {
  tally.entries += by;
  if (isDelivered(entry)) tally.delivered += by;
  if (isUnfinished(entry)) tally.pending += by;
  if (entry.parked !== undefined) tally.parked += by;
  if (entry.skipped !== undefined) tally.skipped += by;
}
