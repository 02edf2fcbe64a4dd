import type { Database, Table } from '@aws-sdk/client-glue';
import type { EpochMillis, TableIdentifier, TableState } from '../../src/core/types.ts';

/** Why a whole database can't be mirrored; undefined if it can. */
export function whyNotDatabase({ TargetDatabase, FederatedDatabase }: Database): string | undefined {
  if (TargetDatabase !== undefined)
    return `in a resource link to database ${TargetDatabase.DatabaseName ?? '?'} of catalog ${TargetDatabase.CatalogId ?? '?'}: follow the owner's catalog, as its events come there`;
  if (FederatedDatabase === undefined) return undefined;
  if (FederatedDatabase.ConnectionType === 'aws:s3tables' || FederatedDatabase.ConnectionName === 'aws:s3tables')
    return 'in an S3 Tables catalog: its commits go around Glue, without events';
  return `in a federated database (connection ${FederatedDatabase.ConnectionName ?? FederatedDatabase.ConnectionType ?? '?'})`;
}

/** What Glue's answer says of a table. `databaseReason` is that of `whyNotDatabase`. */
export function stateOf(
  identifier: TableIdentifier,
  table: Table,
  asOf: EpochMillis,
  databaseReason?: string,
): TableState & { kind: 'present' | 'unsupported' } {
  const incarnation = incarnationOf(table);
  const reason = databaseReason ?? whyNot(identifier, table);
  if (reason !== undefined) return { kind: 'unsupported', table: identifier, reason, incarnation, asOf };
  const metadataLocation = pointerOf(table) ?? '';
  return { kind: 'present', table: identifier, metadataLocation, tableUuid: uuidOf(table), incarnation, asOf };
}

/** Whether a table, of which Glue says nothing else any more, is no Iceberg table by its parameters. */
export const lacksMarkers = (table: Table): boolean =>
  !isView(table) && table.TargetTable === undefined && table.FederatedTable === undefined && !isIceberg(table);

/** Differs whenever Glue has another version of the table, and tells nothing else. */
export const fingerprintOf = (table: Table): string =>
  `${incarnationOf(table)}/${table.VersionId ?? ''}/${pointerOf(table) ?? ''}`;

/**
 * Glue shows whole seconds in all samples of AWS's; should one operation show more digits than the other, they must still
 * agree. So a table that is dropped and created again within a second is taken for the same one: its next pointer is sent
 * as an update.
 */
const incarnationOf = ({ CreateTime }: Table): string =>
  CreateTime === undefined ? 'unknown' : String(Math.floor(CreateTime.getTime() / 1000));

function whyNot(identifier: TableIdentifier, table: Table): string | undefined {
  if (table.Name !== undefined && table.Name !== identifier.name)
    return `Glue names this table ${table.Name}: names in Glue are in lower case`;
  if (table.TargetTable !== undefined)
    return `a resource link to table ${table.TargetTable.Name ?? '?'} of database ${table.TargetTable.DatabaseName ?? '?'}`;
  if (table.FederatedTable !== undefined)
    return `a federated table (connection ${table.FederatedTable.ConnectionName ?? table.FederatedTable.ConnectionType ?? '?'})`;
  if (isView(table)) return pointerOf(table) === undefined ? 'a view' : 'a materialized view';
  if (!isIceberg(table)) return `not an Iceberg table (${kindOf(table)})`;
  // Lake Formation's and S3 Tables' ways of creating a table make a placeholder first.
  if (pointerOf(table) === undefined) return 'an Iceberg table whose first metadata is not written yet';
  return undefined;
}

/** Trino's materialized views have the parameters of an Iceberg table, too. */
const isView = (table: Table): boolean =>
  table.TableType === 'VIRTUAL_VIEW' ||
  table.TableType === 'MATERIALIZED_VIEW' ||
  table.IsMaterializedView === true ||
  table.IsMultiDialectView === true ||
  table.ViewDefinition !== undefined;

const isIceberg = ({ Parameters }: Table): boolean =>
  Parameters?.['table_type']?.toUpperCase() === 'ICEBERG' || Parameters?.['format']?.toUpperCase() === 'ICEBERG';

const pointerOf = ({ Parameters }: Table): string | undefined => Parameters?.['metadata_location'] || undefined;

const uuidOf = (table: Table): string | undefined =>
  table.IcebergTableMetadata?.TableUuid ?? table.Parameters?.['table-uuid'] ?? table.Parameters?.['uuid'];

function kindOf({ TableType, Parameters }: Table): string {
  const provider =
    Parameters?.['table_type'] ?? Parameters?.['spark.sql.sources.provider'] ?? Parameters?.['classification'];
  return [TableType, provider].filter((part) => part !== undefined && part !== '').join(', ') || 'of no type';
}
