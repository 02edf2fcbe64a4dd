import type { LedgerRecord, TableIdentifier, Timestamp } from '../../src/core/types.ts';

export const TABLES: readonly TableIdentifier[] = Array.from({ length: 24 }, (_, n) => ({
  namespace: ['db', `schema ${n % 3}`],
  name: `table "${n}"`,
}));

/**
 * The records of append `n` of an endless, known sequence: some of them on several tables, and always a position that
 * says `n`, so that what a ledger holds tells how many of the appends it holds. Timestamps grow with `n`.
 */
export function appendOf(n: number): readonly LedgerRecord[] {
  const touched = 1 + (n % 4);
  const entryRecords = Array.from({ length: touched }, (_, k) =>
    recordsOf(n, TABLES[(n * 5 + k * 7) % TABLES.length]!),
  );
  return [...entryRecords.flat(), { kind: 'position', source: 'sequence', position: String(n) }];
}

function recordsOf(n: number, table: TableIdentifier): readonly LedgerRecord[] {
  const on = { target: 'main', table };
  switch (n % 5) {
    case 0:
      return [{ ...on, kind: 'seen', count: 1 + (n % 3) }];
    case 1:
      return [{ ...on, kind: 'intent', notification: notificationOf(n, table) }];
    case 2:
      return [
        { ...on, kind: 'outcome', outcome: n % 2 === 0 ? 'admitted' : 'unknown' },
        { ...on, kind: 'settled', seen: n },
      ];
    case 3:
      return [{ ...on, kind: 'settled', seen: n % 7, skipped: n % 2 === 0 ? 'a view' : undefined }];
    default:
      return [
        { ...on, kind: 'seen', count: 1 },
        { ...on, kind: 'parked', seen: n, parked: { code: 'REFUSED', detail: `at ${n}`, since: n, type: 'UPDATE' } },
      ];
  }
}

const notificationOf = (n: number, table: TableIdentifier) => ({
  type: n % 3 === 0 ? ('DROP' as const) : ('UPDATE' as const),
  table,
  timestamp: (1_700_000_000_000 + n) as Timestamp,
  metadataLocation: `s3://bucket/warehouse/${table.name}/metadata/${String(n).padStart(5, '0')}.metadata.json`,
  incarnation: String(n % 11),
});
