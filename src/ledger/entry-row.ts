import type { SQLInputValue } from 'node:sqlite';
import { keyOf, tableOf, type TableKey } from '../core/table.ts';
import type { Delivered, Entry, Notification, ParkCode, Parked, Timestamp } from '../core/types.ts';

/** A row of the table `entries`. */
export type EntryRow = {
  readonly id: number;
  readonly table_key: TableKey;
  readonly seen: number;
  readonly settled: number;
  readonly doubt: number;
  readonly after: TableKey | null;
  readonly last_timestamp: Timestamp | null;
  readonly delivered_type: Delivered['type'] | null;
  readonly delivered_timestamp: Timestamp | null;
  readonly delivered_location: string | null;
  readonly delivered_incarnation: string | null;
  readonly open: string | null;
  readonly parked_code: ParkCode | null;
  readonly parked_detail: string | null;
  readonly parked_since: number | null;
  readonly parked_type: Parked['type'] | null;
  readonly skipped: string | null;
};

/** The columns that change, in the order of `valuesOf`. */
export const VALUE_COLUMNS = [
  'seen',
  'settled',
  'doubt',
  'after',
  'last_timestamp',
  'delivered_type',
  'delivered_timestamp',
  'delivered_location',
  'delivered_incarnation',
  'open',
  'parked_code',
  'parked_detail',
  'parked_since',
  'parked_type',
  'skipped',
] as const satisfies readonly (keyof EntryRow)[];

export function valuesOf(entry: Entry): SQLInputValue[] {
  const { delivered, parked } = entry;
  return [
    entry.seen,
    entry.settled,
    entry.doubt ? 1 : 0,
    entry.after === undefined ? null : keyOf(entry.after),
    entry.lastTimestamp ?? null,
    delivered?.type ?? null,
    delivered?.timestamp ?? null,
    delivered?.metadataLocation ?? null,
    delivered?.incarnation ?? null,
    entry.open === undefined ? null : JSON.stringify(entry.open),
    parked?.code ?? null,
    parked?.detail ?? null,
    parked?.since ?? null,
    parked?.type ?? null,
    entry.skipped ?? null,
  ];
}

/** The entry that `valuesOf` made the row of. Throws a `SyntaxError` where JSON is damaged. */
export function entryOf(target: string, row: EntryRow): Entry {
  return {
    target,
    table: tableOf(row.table_key),
    seen: row.seen,
    settled: row.settled,
    doubt: row.doubt !== 0,
    after: row.after === null ? undefined : tableOf(row.after),
    lastTimestamp: row.last_timestamp ?? undefined,
    delivered: deliveredOf(row),
    open: row.open === null ? undefined : (JSON.parse(row.open) as Notification),
    parked: parkedOf(row),
    skipped: row.skipped ?? undefined,
  };
}

function deliveredOf(row: EntryRow): Delivered | undefined {
  if (row.delivered_type === null || row.delivered_timestamp === null) return undefined;
  return {
    type: row.delivered_type,
    timestamp: row.delivered_timestamp,
    metadataLocation: row.delivered_location ?? undefined,
    incarnation: row.delivered_incarnation ?? undefined,
  };
}

function parkedOf(row: EntryRow): Parked | undefined {
  if (row.parked_code === null || row.parked_since === null || row.parked_type === null) return undefined;
  return {
    code: row.parked_code,
    detail: row.parked_detail ?? '',
    since: row.parked_since,
    type: row.parked_type,
  };
}
