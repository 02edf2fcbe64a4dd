import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { IcebergMetadata } from './iceberg-metadata.ts';

/** An endless workload must not fill the disk: a table's older metadata files are deleted, as Iceberg can be told to. */
const VERSIONS_KEPT = 100; // no more than the metadata log holds

/** Where the metadata of Iceberg tables is kept: in real files, or in memory alone when nobody else will read it. */
export class MetadataFiles {
  readonly #memory: Map<string, IcebergMetadata> | undefined;

  constructor(inFiles: boolean) {
    this.#memory = inFiles ? undefined : new Map();
  }

  /** Writes the next version below a table's location and returns its metadata location. Not yet part of any table. */
  write(metadata: IcebergMetadata, previous: string | undefined): string {
    const version = previous === undefined ? 0 : versionOf(previous) + 1;
    const name = `${String(version).padStart(5, '0')}-${randomUUID()}.metadata.json`;
    const location = `${metadata.location}/metadata/${name}`;
    if (this.#memory !== undefined) this.#memory.set(location, metadata);
    else writeFile(location, JSON.stringify(metadata));
    return location;
  }

  /** The metadata at a location, or undefined when it was deleted in the meantime. */
  read(location: string): IcebergMetadata | undefined {
    if (this.#memory !== undefined) return this.#memory.get(location);
    try {
      return JSON.parse(readFileSync(pathOf(location), 'utf8')) as IcebergMetadata;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Forgets one version: it lost its race, or (in memory) it was replaced. */
  delete(location: string): void {
    if (this.#memory !== undefined) this.#memory.delete(location);
    else rmSync(pathOf(location), { force: true });
  }

  /** After a successful commit: what is too old to be of use to any reader goes. */
  prune(metadata: IcebergMetadata, previous: string): void {
    if (this.#memory !== undefined) return void this.#memory.delete(previous);
    const oldest = metadata['metadata-log'].at(0)?.['metadata-file'];
    if (oldest !== undefined && metadata['metadata-log'].length >= VERSIONS_KEPT) this.delete(oldest);
  }

  /** A view's metadata, compressed as Iceberg writes it for views by default. Nothing here ever reads it. */
  writeView(location: string, text: string, previous: string | undefined): string {
    const version = previous === undefined ? 0 : versionOf(previous) + 1;
    const name = `${String(version).padStart(5, '0')}-${randomUUID()}.gz.metadata.json`;
    const file = `${location}/metadata/${name}`;
    if (this.#memory === undefined) writeFile(file, gzipSync(JSON.stringify(viewMetadata(location, text))));
    return file;
  }
}

/** The path of a `file:` location, with one slash (as Hadoop writes it) or three. */
export const pathOf = (location: string): string => decodeURI(location.replace(/^file:(\/\/)?/, ''));

const versionOf = (location: string): number => Number(/\/(\d+)-[^/]*$/.exec(location)?.[1] ?? 0);

function writeFile(location: string, content: string | Uint8Array): void {
  const path = pathOf(location);
  try {
    writeFileSync(path, content);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

const viewMetadata = (location: string, text: string) => ({
  'format-version': 1,
  'view-uuid': randomUUID(),
  location,
  'current-version-id': 1,
  versions: [
    {
      'version-id': 1,
      'timestamp-ms': Date.now(),
      'schema-id': 0,
      summary: {},
      'default-namespace': [],
      representations: [{ type: 'sql', sql: text, dialect: 'spark' }],
    },
  ],
  'version-log': [{ 'timestamp-ms': Date.now(), 'version-id': 1 }],
  schemas: [{ type: 'struct', 'schema-id': 0, fields: [] }],
});
