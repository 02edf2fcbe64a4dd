import type { Delivered, Entry, EntryRecord, Notification, OutcomeKind, TableIdentifier } from './types.ts';

export const blank = (target: string, table: TableIdentifier): Entry => ({
  target,
  table,
  seen: 0,
  settled: 0,
  doubt: false,
});

/** An entry is the fold of its records, so a restart knows exactly what was known. */
export function fold(entry: Entry, record: EntryRecord): Entry {
  switch (record.kind) {
    case 'seen':
      // The latest hint decides what a DROP waits for: a table dropped after its rename waits for nothing.
      return {
        ...entry,
        seen: entry.seen + record.count,
        after: record.after,
        doubt: entry.doubt || record.doubt === true,
      };
    case 'intent':
      return {
        ...overtaken(entry),
        open: record.notification,
        lastTimestamp: record.notification.timestamp,
        parked: undefined,
        skipped: undefined,
      };
    case 'outcome':
      return foldOutcome(entry, record.outcome);
    case 'settled':
      return { ...covered(entry, record.seen), skipped: record.skipped, parked: undefined };
    case 'parked':
      return { ...covered(entry, record.seen), parked: record.parked, skipped: undefined };
  }
}

const deliveredBy = (
  { timestamp, metadataLocation, incarnation }: Notification,
  type: Delivered['type'],
): Delivered => ({ type, timestamp, metadataLocation, incarnation });

/**
 * An intent without an outcome that is left behind: nobody will ask any more whether it was applied. So Polaris is taken
 * to hold what it may hold, in doubt: enough to drop it one day, and never a reason to skip anything.
 */
function leftBehind(entry: Entry): Entry {
  const { open } = entry;
  if (open === undefined || open.type === 'VALIDATE') return entry;
  const delivered = open.type === 'DROP' ? entry.delivered : deliveredBy(open, open.type);
  return { ...entry, open: undefined, delivered, doubt: true };
}

/**
 * An intent without an outcome that another one follows: it may have been applied, whatever becomes of the next. Of a
 * re-created table the latest incarnation that Polaris was told of counts, or it could be taken for its predecessor.
 * A table that Polaris isn't known to hold doesn't become one that it is known to hold by that.
 */
function overtaken(entry: Entry): Entry {
  const { delivered, open } = entry;
  if (open === undefined) return entry;
  return delivered === undefined || delivered.type === 'DROP' ? { ...entry, doubt: true } : leftBehind(entry);
}

/** A rename is done with when the read covers its hint. */
const covered = (entry: Entry, seen: number): Entry => ({
  ...leftBehind(entry),
  settled: Math.max(entry.settled, seen),
  after: seen >= entry.seen ? undefined : entry.after,
});

function foldOutcome(entry: Entry, outcome: OutcomeKind): Entry {
  const { open } = entry;
  if (open === undefined || open.type === 'VALIDATE') return entry;
  switch (outcome) {
    case 'admitted':
    case 'served': {
      return { ...entry, delivered: deliveredBy(open, open.type), open: undefined, doubt: false };
    }
    // Polaris refused it without touching the table.
    case 'refused':
    case 'unauthorized':
    case 'withdrawn':
      return { ...entry, open: undefined };
    // It wasn't applied, but another writer was there: what Polaris serves isn't certain any more.
    case 'stale':
    case 'lost-race':
    case 'name-taken':
      return { ...entry, open: undefined, doubt: true };
    // It may have been applied, so the intent stays open until a later one is admitted.
    case 'unavailable':
    case 'unknown':
      return entry;
  }
}
