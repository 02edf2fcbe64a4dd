import type { EpochMillis, TableIdentifier, TableState } from '../../src/core/types.ts';
import type { PushError } from '../../src/errors/errors.ts';
import type { KnownTable } from './known.ts';

type Listed = TableState & { readonly kind: 'present' | 'unsupported' };

/** Why a table can't be mirrored whose catalog sends no `metadata-location`. */
export const NO_LOCATION = 'the catalog does not tell where its metadata is (no metadata-location in loadTable)';

/** What was read of a table, as a state. Its uuid is what tells it from its predecessor; old tables (format 1) may have none. */
export function stateOf({ table, metadataLocation, tableUuid, asOf }: KnownTable): Listed {
  if (metadataLocation === undefined)
    return { kind: 'unsupported', table, reason: NO_LOCATION, incarnation: tableUuid, asOf };
  return { kind: 'present', table, metadataLocation, tableUuid, incarnation: tableUuid ?? 'unknown', asOf };
}

/** A view has the name. Its uuid differs from that of any table, so a mirrored table of that name is known to be gone. */
export const viewState = (table: TableIdentifier, viewUuid: string, asOf: EpochMillis): Listed => ({
  kind: 'unsupported',
  table,
  reason: 'an Iceberg view',
  incarnation: viewUuid,
  asOf,
});

/** It may not be read. Without an incarnation this never means that a mirrored table is gone. */
export const unreadableState = (table: TableIdentifier, error: PushError, asOf: EpochMillis): Listed => ({
  kind: 'unsupported',
  table,
  reason: `can't be read: [${error.code}] ${error.message}`,
  asOf,
});
