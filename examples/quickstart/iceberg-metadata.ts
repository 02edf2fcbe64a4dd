import { randomInt, randomUUID } from 'node:crypto';

/** A column as Iceberg types it (`long`, `string`, ...); required means NOT NULL. */
export type Column = {
  readonly name: string;
  readonly type: 'long' | 'string';
  readonly required?: boolean | undefined;
  readonly comment?: string | undefined;
};

type Field = { id: number; name: string; required: boolean; type: string; doc?: string };
type Schema = { type: 'struct'; 'schema-id': number; fields: Field[] };
type Snapshot = {
  'sequence-number': number;
  'snapshot-id': number;
  'parent-snapshot-id'?: number;
  'timestamp-ms': number;
  summary: Record<string, string>;
  'manifest-list': string;
  'schema-id': number;
};

/** A table metadata file of Iceberg's format version 2, with the fields that the specification requires. */
export type IcebergMetadata = {
  'format-version': 2;
  'table-uuid': string;
  location: string;
  'last-sequence-number': number;
  'last-updated-ms': number;
  'last-column-id': number;
  'current-schema-id': number;
  schemas: Schema[];
  'default-spec-id': 0;
  'partition-specs': { 'spec-id': 0; fields: [] }[];
  'last-partition-id': 999;
  'default-sort-order-id': 0;
  'sort-orders': { 'order-id': 0; fields: [] }[];
  properties: Record<string, string>;
  'current-snapshot-id': number;
  refs: Record<string, { 'snapshot-id': number; type: 'branch' }>;
  snapshots: Snapshot[];
  statistics: [];
  'snapshot-log': { 'timestamp-ms': number; 'snapshot-id': number }[];
  'metadata-log': { 'timestamp-ms': number; 'metadata-file': string }[];
};

/** One Iceberg commit: any of these at once, as a transaction of several updates does it. */
export type TableUpdate = {
  /** Appends this many data files (as rows of the summary only; no data file is written). */
  readonly appendedFiles?: number | undefined;
  readonly set?: Readonly<Record<string, string>> | undefined;
  readonly addColumns?: readonly Column[] | undefined;
  /** Replaces schema and contents and keeps identity and history, as CREATE OR REPLACE TABLE does. */
  readonly replaceWith?: readonly Column[] | undefined;
};

/** Tables that are written for ever keep this many snapshots, as one with snapshot expiry does. */
const SNAPSHOTS_KEPT = 20;
/** Iceberg's default for `write.metadata.previous-versions-max`. */
const METADATA_LOG_KEPT = 100;

/** Iceberg's HiveCatalog leaves a property out when it is longer (`iceberg.hive.table-property-max-size`). */
const MAX_HIVE_PARAMETER = 32_672;

export function newMetadata(location: string, columns: readonly Column[], nowMs: number): IcebergMetadata {
  const fields = columns.map((column, index) => field(column, index + 1));
  return {
    'format-version': 2,
    'table-uuid': randomUUID(),
    location,
    'last-sequence-number': 0,
    'last-updated-ms': nowMs,
    'last-column-id': fields.length,
    'current-schema-id': 0,
    schemas: [{ type: 'struct', 'schema-id': 0, fields }],
    'default-spec-id': 0,
    'partition-specs': [{ 'spec-id': 0, fields: [] }],
    'last-partition-id': 999,
    'default-sort-order-id': 0,
    'sort-orders': [{ 'order-id': 0, fields: [] }],
    properties: { 'write.parquet.compression-codec': 'zstd' },
    'current-snapshot-id': -1,
    refs: {},
    snapshots: [],
    statistics: [],
    'snapshot-log': [],
    'metadata-log': [],
  };
}

/** The metadata after one commit on top of `base`, which was read from `baseLocation` (undefined: the table is new). */
export function updated(
  base: IcebergMetadata,
  baseLocation: string | undefined,
  update: TableUpdate,
  nowMs: number,
): IcebergMetadata {
  const next = structuredClone(base);
  next['last-updated-ms'] = Math.max(nowMs, base['last-updated-ms'] + (baseLocation === undefined ? 0 : 1));
  Object.assign(next.properties, update.set);
  if (update.addColumns !== undefined) {
    const added = update.addColumns.map((column, index) => field(column, next['last-column-id'] + index + 1));
    useSchema(next, [...currentSchema(next).fields, ...added]);
  }
  if (update.replaceWith !== undefined) {
    useSchema(
      next,
      update.replaceWith.map((column, index) => field(column, index + 1)),
    );
    next['current-snapshot-id'] = -1;
    next.refs = {};
  }
  if (update.appendedFiles !== undefined) append(next, update.appendedFiles);
  if (baseLocation !== undefined) {
    next['metadata-log'].push({ 'timestamp-ms': base['last-updated-ms'], 'metadata-file': baseLocation });
    next['metadata-log'] = next['metadata-log'].slice(-METADATA_LOG_KEPT);
  }
  return next;
}

export const currentSchema = (metadata: IcebergMetadata): Schema => {
  const schema = metadata.schemas.find((candidate) => candidate['schema-id'] === metadata['current-schema-id']);
  if (schema === undefined) throw new Error('The metadata lacks its current schema.');
  return schema;
};

/** The table parameters that Iceberg's HiveCatalog writes for this metadata; `previous` is the location that a commit replaces. */
export function hiveParameters(
  metadata: IcebergMetadata,
  metadataLocation: string,
  previous?: string,
): Map<string, string> {
  const parameters = new Map(Object.entries(metadata.properties));
  parameters.set('uuid', metadata['table-uuid']);
  parameters.set('metadata_location', metadataLocation);
  parameters.set('table_type', 'ICEBERG');
  parameters.set('EXTERNAL', 'TRUE');
  parameters.set('snapshot-count', String(metadata.snapshots.length));
  if (previous !== undefined) parameters.set('previous_metadata_location', previous);
  const schema = JSON.stringify(currentSchema(metadata));
  if (schema.length <= MAX_HIVE_PARAMETER) parameters.set('current-schema', schema);
  const snapshot = metadata.snapshots.find((candidate) => candidate['snapshot-id'] === metadata['current-snapshot-id']);
  if (snapshot !== undefined) {
    const total = (key: string) => snapshot.summary[`total-${key}`] ?? '0';
    parameters.set('current-snapshot-id', String(snapshot['snapshot-id']));
    parameters.set('current-snapshot-timestamp-ms', String(snapshot['timestamp-ms']));
    parameters.set('current-snapshot-summary', JSON.stringify({ ...snapshot.summary, operation: undefined }));
    parameters.set('numRows', total('records'));
    parameters.set('numFiles', total('data-files'));
    parameters.set('totalSize', total('files-size'));
  }
  return parameters;
}

function field(column: Column, id: number): Field {
  const { name, type, required = false, comment } = column;
  return { id, name, required, type, ...(comment === undefined ? {} : { doc: comment }) };
}

/** An equal schema of the table's history is used again, as Iceberg does it. */
function useSchema(metadata: IcebergMetadata, fields: Field[]): void {
  const wanted = JSON.stringify(fields);
  const known = metadata.schemas.find((schema) => JSON.stringify(schema.fields) === wanted);
  const id = known?.['schema-id'] ?? Math.max(...metadata.schemas.map((schema) => schema['schema-id'])) + 1;
  if (known === undefined) metadata.schemas.push({ type: 'struct', 'schema-id': id, fields });
  metadata['current-schema-id'] = id;
  metadata['last-column-id'] = Math.max(metadata['last-column-id'], ...fields.map((one) => one.id));
}

function append(metadata: IcebergMetadata, files: number): void {
  const parent = metadata.snapshots.find((candidate) => candidate['snapshot-id'] === metadata['current-snapshot-id']);
  const before = (key: string) => Number(parent?.summary[key] ?? 0);
  const snapshotId = randomInt(1, 2 ** 47);
  metadata['last-sequence-number'] += 1;
  metadata.snapshots.push({
    'sequence-number': metadata['last-sequence-number'],
    'snapshot-id': snapshotId,
    ...(parent === undefined ? {} : { 'parent-snapshot-id': parent['snapshot-id'] }),
    'timestamp-ms': metadata['last-updated-ms'],
    summary: {
      operation: 'append',
      'manifests-created': '1',
      'manifests-kept': String(before('manifests-created') + before('manifests-kept')),
      'manifests-replaced': '0',
      'added-data-files': String(files),
      'added-records': String(files),
      'added-files-size': String(files * 10),
      'changed-partition-count': '1',
      'total-records': String(before('total-records') + files),
      'total-files-size': String(before('total-files-size') + files * 10),
      'total-data-files': String(before('total-data-files') + files),
      'total-delete-files': '0',
      'total-position-deletes': '0',
      'total-equality-deletes': '0',
    },
    'manifest-list': `${metadata.location}/metadata/snap-${snapshotId}-1-${randomUUID()}.avro`,
    'schema-id': metadata['current-schema-id'],
  });
  metadata.snapshots = metadata.snapshots.slice(-SNAPSHOTS_KEPT);
  metadata['current-snapshot-id'] = snapshotId;
  metadata.refs = { main: { 'snapshot-id': snapshotId, type: 'branch' } };
  metadata['snapshot-log'].push({ 'timestamp-ms': metadata['last-updated-ms'], 'snapshot-id': snapshotId });
  metadata['snapshot-log'] = metadata['snapshot-log'].slice(-SNAPSHOTS_KEPT);
}
