import { showTable } from '../core/table.ts';
import type { EpochMillis, ParkCode, Parked, TableIdentifier } from '../core/types.ts';
import { PARKED } from '../errors/parked.ts';
import type { Ledger, Totals } from '../ledger/ledger.ts';

/** A table that somebody may want to know of. */
export type Notable = ParkedTable | PendingTable | SkippedTable;

/** `held`: its DROP waits for a human. */
export type ParkedTable = {
  readonly table: string;
  readonly identifier: TableIdentifier;
  readonly state: 'parked' | 'held';
  readonly code: ParkCode;
  readonly detail: string;
  readonly fix: string;
  readonly since: EpochMillis;
  /** The notification that could not be delivered. */
  readonly type: string;
};

export type PendingTable = {
  readonly table: string;
  readonly state: 'pending';
  /** Hints that no finished read covers. */
  readonly hints: number;
  /** A notification whose answer is not known. */
  readonly open?: string | undefined;
};

export type SkippedTable = { readonly table: string; readonly state: 'skipped'; readonly reason: string };

/** How one target stands. What is parked or held is in the order of time, oldest first; the rest by name. */
export type Standing = {
  readonly target: string;
  readonly totals: Totals;
  /** The greatest timestamp that Polaris admitted, by the source's clock; undefined: nothing was delivered yet. */
  readonly newestDelivery: EpochMillis | undefined;
  readonly parked: readonly ParkedTable[];
  readonly pending: readonly PendingTable[];
  readonly skipped: readonly SkippedTable[];
};

export function standingOf(ledger: Pick<Ledger, 'entries' | 'totals'>, target: string): Standing {
  const parked: ParkedTable[] = [];
  const pending: PendingTable[] = [];
  const skipped: SkippedTable[] = [];
  let newestDelivery: EpochMillis | undefined;
  for (const entry of ledger.entries(target)) {
    const table = showTable(entry.table);
    const { open, seen, settled } = entry;
    if (entry.delivered !== undefined) newestDelivery = Math.max(newestDelivery ?? 0, entry.delivered.timestamp);
    if (entry.parked !== undefined) parked.push(parkedTable(entry.table, entry.parked));
    if (settled < seen || open !== undefined)
      pending.push({ table, state: 'pending', hints: seen - settled, open: open?.type });
    if (entry.skipped !== undefined) skipped.push({ table, state: 'skipped', reason: entry.skipped });
  }
  return {
    target,
    totals: ledger.totals(target),
    newestDelivery,
    parked: parked.toSorted((a, b) => a.since - b.since || byName(a, b)),
    pending: pending.toSorted(byName),
    skipped: skipped.toSorted(byName),
  };
}

const parkedTable = (identifier: TableIdentifier, { code, detail, since, type }: Parked): ParkedTable => ({
  table: showTable(identifier),
  identifier,
  state: code === 'DROP_HELD' ? 'held' : 'parked',
  code,
  detail,
  fix: PARKED[code].fix,
  since,
  type,
});

const byName = (a: { readonly table: string }, b: { readonly table: string }) => (a.table < b.table ? -1 : 1);
