import type { Table } from '@aws-sdk/client-glue';
import { showTable } from '../../src/core/table.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import type { Log } from '../../src/runtime/log.ts';
import type { KnownTables } from './known.ts';
import { fingerprintOf, lacksMarkers } from './state.ts';

/**
 * Warns of a table that was an Iceberg table when it was last read and has lost the parameters that say so. Infrastructure
 * tools overwrite parameters that they don't know; the table lives on, so it stays in Polaris as it was.
 */
export function warnIfStripped(
  identifier: TableIdentifier,
  table: Table,
  { known, log }: { readonly known: KnownTables; readonly log: Log },
): void {
  const before = known.fingerprint(identifier.namespace[0] ?? '', identifier.name);
  if (before === undefined || !lacksMarkers(table) || !hadPointer(before, fingerprintOf(table))) return;
  log.warn('iceberg-markers-gone', {
    table: showTable(identifier),
    detail: 'Its parameters table_type and metadata_location are gone, though it is the same table.',
    fix: 'Find out who updated it (CloudTrail: UpdateTable); tools such as Terraform must ignore changes of its parameters.',
  });
}

/** Of the same incarnation, with a pointer. */
function hadPointer(before: string, now: string): boolean {
  const [incarnation, , ...pointer] = before.split('/');
  return pointer.join('/') !== '' && now.startsWith(`${incarnation}/`);
}
