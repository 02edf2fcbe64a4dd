import type { Policy } from './policy.ts';
import { nextTimestamp } from './timestamp.ts';
import type { Delivered, Entry, Notification, TableIdentifier, TableState } from './types.ts';

export type Decision =
  /** `precheck`: VALIDATE first. `more`: this alone doesn't say all of the state that was read; read again after it. */
  | { readonly kind: 'send'; readonly notification: Notification; readonly precheck: boolean; readonly more: boolean }
  /** Nothing to send; `reason` where the source's table is not mirrored. */
  | { readonly kind: 'skip'; readonly reason?: string | undefined }
  /** A DROP that waits until the table's new name has settled. */
  | { readonly kind: 'await'; readonly table: TableIdentifier }
  /** A DROP that waits for a human. */
  | { readonly kind: 'hold'; readonly detail: string };

export type DecideOptions = {
  readonly policy: Policy;
  /** The word of the drop budget, or of whoever released this DROP; asked when `vanished()` is true. */
  readonly mayDrop: boolean;
  /** The new name of a renamed table has settled. */
  readonly released: boolean;
  /** See `Policy.leapsMs`. */
  readonly leapMs: number;
};

const HELD = {
  fenced: 'The drop budget is used up, so this DROP waits for a release.',
  report: 'drops.mode is report, so every DROP waits for a release.',
} as const;

/** What Polaris is known to hold of this table, if anything. */
export const heldBy = (entry: Entry): Delivered | undefined =>
  entry.delivered?.type === 'DROP' ? undefined : entry.delivered;

/** Whether `delivered` can be relied on. An intent without an outcome, or another writer, may have changed it. */
export const isCertain = (entry: Entry): boolean => entry.open === undefined && !entry.doubt;

/** The incarnation that Polaris holds or may hold: the one that it was told of last. */
const mirroredBy = (entry: Entry): string | undefined => entry.open?.incarnation ?? heldBy(entry)?.incarnation;

/** Whether the table that Polaris holds (or may hold) is gone from the source, by the source's own word. */
export function vanished(entry: Entry, state: TableState): boolean {
  const mayBeHeld = heldBy(entry) !== undefined || !isCertain(entry);
  switch (state.kind) {
    case 'present':
      return false;
    case 'absent':
      return mayBeHeld;
    case 'unsupported': {
      // Something else has the name now. The mirrored table is gone only if that something is another incarnation: the
      // same one with its Iceberg markers stripped is a table that the source still has.
      const mirrored = mirroredBy(entry);
      return mirrored !== undefined && state.incarnation !== undefined && mirrored !== state.incarnation;
    }
  }
}

/**
 * The new name that must settle before this one may go. Even a name that Polaris never held waits, so that in a chain
 * a → b → c the name `a` goes only after `c` has come.
 */
export const awaited = (entry: Entry, state: TableState, released: boolean): TableIdentifier | undefined =>
  state.kind === 'absent' && !released ? entry.after : undefined;

/** Compares what the source holds now with what Polaris was last told. Pure: the same arguments, the same decision. */
export function decide(entry: Entry, state: TableState, options: DecideOptions): Decision {
  if (state.kind === 'present') return decidePresent(entry, state, options);
  const newName = awaited(entry, state, options.released);
  if (newName !== undefined) return { kind: 'await', table: newName };
  const reason = state.kind === 'unsupported' ? state.reason : undefined;
  if (!vanished(entry, state)) return { kind: 'skip', reason };
  const { policy } = options;
  if (policy.drops === 'never')
    return { kind: 'skip', reason: 'gone from the source, kept in Polaris: drops.mode is never' };
  if (!options.mayDrop) return { kind: 'hold', detail: HELD[policy.drops] };
  // Another read says why what has the name now is not mirrored: nothing is left out in silence.
  const more = state.kind === 'unsupported';
  return { kind: 'send', notification: dropOf(entry, state, options), precheck: false, more };
}

function decidePresent(entry: Entry, state: TableState & { kind: 'present' }, options: DecideOptions): Decision {
  const { policy, leapMs } = options;
  const held = heldBy(entry);
  const certain = isCertain(entry);
  const { table, metadataLocation, tableUuid, incarnation, asOf } = state;
  if (certain && held?.metadataLocation === metadataLocation && held.incarnation === incarnation)
    return { kind: 'skip' };
  if (policy.recreate === 'replace' && held !== undefined && held.incarnation !== incarnation) {
    return { kind: 'send', notification: dropOf(entry, state, options), precheck: false, more: true };
  }
  const timestamp = nextTimestamp(entry.lastTimestamp, asOf, leapMs);
  const type = held === undefined ? 'CREATE' : 'UPDATE';
  // What may have come there by an open CREATE needs no second VALIDATE.
  const isNew = held === undefined && (certain || entry.lastTimestamp === undefined);
  const precheck = policy.prechecks === 'always' || (policy.prechecks === 'new' && isNew);
  return {
    kind: 'send',
    notification: { type, table, timestamp, metadataLocation, tableUuid, incarnation },
    precheck,
    more: false,
  };
}

const dropOf = (entry: Entry, { table, asOf }: TableState, { leapMs }: DecideOptions): Notification => ({
  type: 'DROP',
  table,
  timestamp: nextTimestamp(entry.lastTimestamp, asOf, leapMs),
  // Whose end it is: without it, a DROP without an answer would leave nobody who knows what may still be there.
  incarnation: mirroredBy(entry),
});
