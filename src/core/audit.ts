import { heldBy, isCertain, vanished } from './decide.ts';
import type { Entry, Served, TableState } from './types.ts';

/** How source, ledger and Polaris differ: see DRIFTS for what each word means. */
export type Drift = 'missing' | 'stale' | 'orphan' | 'foreign' | 'ahead';

export const DRIFTS: Readonly<Record<Drift, string>> = {
  missing: 'The source has the table, Polaris was not told of it.',
  stale: 'Polaris holds another state of the table than the source has.',
  orphan: 'Polaris holds a table that the source does not list any more.',
  foreign: 'Polaris holds a table that this agent never told it of.',
  ahead: 'Another sender told Polaris a timestamp that ours do not reach.',
};

/**
 * Compares what a listing of the source says of a table (undefined: not listed) with the ledger, and with what Polaris
 * serves where that was asked. A listing is a hint like any other: a drift leads to a read of the table, never to a DROP.
 */
export function driftOf(state: TableState | undefined, entry: Entry | undefined, served?: Served): Drift | undefined {
  if (entry?.parked?.code === 'TIMESTAMP_AHEAD') return 'ahead';
  const held = entry === undefined ? undefined : heldBy(entry);
  const mayBeHeld = entry !== undefined && (held !== undefined || !isCertain(entry));
  if (state === undefined || state.kind === 'absent') {
    if (mayBeHeld) return 'orphan';
    return served === 'other' || served === 'this' ? 'foreign' : undefined;
  }
  if (state.kind === 'unsupported') {
    if (entry !== undefined && vanished(entry, state)) return 'orphan';
    return served === 'other' && !mayBeHeld ? 'foreign' : undefined;
  }
  if (entry === undefined || (held === undefined && isCertain(entry))) return served === 'this' ? 'foreign' : 'missing';
  if (!isCertain(entry)) return 'stale';
  const same = held?.metadataLocation === state.metadataLocation && held.incarnation === state.incarnation;
  if (!same || served === 'other') return 'stale';
  return served === 'nothing' ? 'missing' : undefined;
}
