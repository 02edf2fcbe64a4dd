import { driftOf } from '../core/audit.ts';
import { heldBy, isCertain } from '../core/decide.ts';
import { keyOf, type TableKey } from '../core/table.ts';
import type { Entry, TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver, Hint } from './driver.ts';
import type { Emit } from './events.ts';

/** Hints recorded together, at most. */
const BATCH = 1000;

export type ReconcileParts = {
  readonly connector: Connector;
  readonly ledger: Ledger;
  readonly drivers: readonly Driver[];
  readonly clock: Clock;
  readonly emit: Emit;
};

/**
 * Lists the source and records a hint for every table whose listed state differs from the ledger, and for every table
 * that the ledger knows and the list lacks. The one way in which first start, restart, lost slot and lost events heal.
 * A hint leads to a read of the table, so a list that is out of date does no harm. Returns the number of tables listed.
 */
export async function reconcile(parts: ReconcileParts, signal: AbortSignal): Promise<number> {
  const { connector, ledger, drivers, clock, emit } = parts;
  const before = clock.monotonicMs();
  const listed = new Set<TableKey>();
  let hints = 0;
  for await (const page of connector.list(signal)) {
    for (const state of page) listed.add(keyOf(state.table));
    for (const driver of drivers) hints += await hintDifferences(page, driver, ledger);
  }
  signal.throwIfAborted();
  for (const driver of drivers) hints += await hintUnlisted(listed, driver, ledger);
  emit({ kind: 'reconciled', tables: listed.size, hints, tookMs: clock.monotonicMs() - before });
  return listed.size;
}

async function hintDifferences(page: readonly TableState[], driver: Driver, ledger: Ledger): Promise<number> {
  const entries = ledger.lookup(
    driver.name,
    page.map((state) => state.table),
  );
  const hints = page.flatMap((state, i) => (differs(state, entries[i]) ? [hintOf(state.table, entries[i])] : []));
  if (hints.length > 0) await driver.changed(hints);
  return hints.length;
}

/** Whether a read of this table may lead to anything. A parked entry gets another try at every reconciliation. */
export function differs(state: TableState, entry: Entry | undefined): boolean {
  if (driftOf(state, entry) !== undefined || entry?.parked !== undefined) return true;
  // The reason why a table is not mirrored is recorded too: status shows it.
  return entry?.skipped !== (state.kind === 'unsupported' ? state.reason : undefined);
}

/** A list knows nothing of renames, so it takes nothing back of what a change told. */
export const hintOf = (table: TableIdentifier, entry: Entry | undefined): Hint => ({ table, after: entry?.after });

async function hintUnlisted(listed: ReadonlySet<TableKey>, driver: Driver, ledger: Ledger): Promise<number> {
  let count = 0;
  let hints: Hint[] = [];
  const flush = async () => {
    count += hints.length;
    const batch = hints;
    hints = [];
    if (batch.length > 0) await driver.changed(batch);
  };
  for (const entry of ledger.entries(driver.name)) {
    if (listed.has(keyOf(entry.table))) continue;
    const gone =
      heldBy(entry) !== undefined || !isCertain(entry) || entry.skipped !== undefined || entry.parked !== undefined;
    if (gone && hints.push(hintOf(entry.table, entry)) >= BATCH) await flush();
  }
  await flush();
  return count;
}
