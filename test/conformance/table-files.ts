import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A metadata file that lies on disk. */
export type MetadataFile = {
  /** `file:///…/metadata/00000-….metadata.json`. */
  readonly uri: string;
  readonly path: string;
  /** The table's uuid, and its location as the file says. */
  readonly uuid: string;
  readonly location: string;
};

export type MetadataOptions = {
  readonly location?: string | undefined;
  readonly uuid?: string | undefined;
  /** Numbers the file's name. */
  readonly version?: number | undefined;
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /** Where to put it, instead of `metadata` in the table's folder. */
  readonly folder?: string | undefined;
  readonly fileName?: string | undefined;
  /** The file's content, instead of good metadata. */
  readonly content?: string | Buffer | undefined;
};

/** The metadata of an empty table, format version 2. */
export function tableMetadata(location: string, uuid: string = randomUUID()): Record<string, unknown> {
  return {
    'format-version': 2,
    'table-uuid': uuid,
    location,
    'last-sequence-number': 0,
    'last-updated-ms': 1_700_000_000_000,
    'last-column-id': 2,
    'current-schema-id': 0,
    schemas: [
      {
        type: 'struct',
        'schema-id': 0,
        fields: [
          { id: 1, name: 'id', required: true, type: 'long' },
          { id: 2, name: 'v', required: false, type: 'string' },
        ],
      },
    ],
    'default-spec-id': 0,
    'partition-specs': [{ 'spec-id': 0, fields: [] }],
    'last-partition-id': 999,
    'default-sort-order-id': 0,
    'sort-orders': [{ 'order-id': 0, fields: [] }],
    properties: {},
    'current-snapshot-id': -1,
    refs: {},
    snapshots: [],
    statistics: [],
    'partition-statistics': [],
    'snapshot-log': [],
    'metadata-log': [],
  };
}

/** Writes a metadata file of the table whose folder is `folder`. */
export function writeMetadata(folder: string, options: MetadataOptions = {}): MetadataFile {
  const location = options.location ?? `file://${folder}`;
  const uuid = options.uuid ?? randomUUID();
  const into = options.folder ?? join(folder, 'metadata');
  const version = String(options.version ?? 0).padStart(5, '0');
  const path = join(into, options.fileName ?? `${version}-${randomUUID()}.metadata.json`);
  const metadata = { ...tableMetadata(location, uuid), properties: options.properties ?? {} };
  mkdirSync(into, { recursive: true });
  writeFileSync(path, options.content ?? JSON.stringify(metadata));
  return { uri: `file://${path}`, path, uuid, location };
}
