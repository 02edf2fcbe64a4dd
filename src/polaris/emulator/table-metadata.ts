import { readFile } from 'node:fs';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Refusal, illegalArgument, notFound } from './reply.ts';

/** What Polaris looks at in a table's metadata file. */
export type TableMetadata = {
  readonly uuid: string | undefined;
  readonly location: string;
  /** `location`, then `write.data.path` and `write.metadata.path` where set: all must be allowed. */
  readonly locations: readonly string[];
  /** The file's JSON, as it is. */
  readonly text: string;
};

const unzip = promisify(gunzip);
const HIGHEST_FORMAT_VERSION = 4;

/** The path of a FILE location. Taken literally, as Polaris does: `%20` and `#` stay what they are. */
export const pathOf = (location: string): string => location.replace(/^file:\/*/, '/');

// The callback form takes about half the time of node:fs/promises for small files, and this is the hot path.
const read = (path: string): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    readFile(path, (error, content) => (error === null ? resolve(content) : reject(error)));
  });

/**
 * Reads and checks a metadata file as Polaris 1.7.0 with Iceberg 1.11 does. Throws its answers: 404 for a missing file,
 * 503 (!) for one that isn't JSON, 400 for JSON that isn't table metadata or a format version that it doesn't know.
 */
export async function readTableMetadata(location: string): Promise<TableMetadata> {
  const name = location.slice(location.lastIndexOf('/') + 1);
  if (!name.includes('.metadata.json')) throw illegalArgument(`${location} is not a valid metadata file`);
  const text = await readText(location, /\.gz\.metadata\.json$|\.metadata\.json\.gz$/.test(name));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unreadable(location);
  }
  return { ...parseTableMetadata(value), text };
}

/** The JSON text of a metadata file (of a table or a view), unchecked. */
export async function readText(location: string, gzip: boolean): Promise<string> {
  let content: Buffer;
  try {
    content = await read(pathOf(location));
  } catch {
    throw notFound(`Failed to open input stream for file: file:${pathOf(location)}`);
  }
  if (!gzip) return content.toString();
  try {
    return (await unzip(content)).toString();
  } catch {
    throw unreadable(location);
  }
}

const unreadable = (location: string): Refusal =>
  new Refusal(503, 'RuntimeIOException', `Failed to read file: ${location}`);

/** Iceberg's order of checks, as far as a file from a real writer can fail them. */
export function parseTableMetadata(value: unknown): Omit<TableMetadata, 'text'> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw illegalArgument(`Cannot parse metadata from a non-object: ${JSON.stringify(value)}`);
  }
  const node = value as Readonly<Record<string, unknown>>;
  const version = requireNumber(node, 'format-version', 'int');
  if (version > HIGHEST_FORMAT_VERSION) throw illegalArgument(`Cannot read unsupported version ${version}`);
  const location = node['location'];
  if (location === undefined) throw illegalArgument('Cannot parse missing string: location');
  if (typeof location !== 'string') {
    throw illegalArgument(`Cannot parse to a string value: location: ${JSON.stringify(location)}`);
  }
  if (version > 1) requireNumber(node, 'last-sequence-number', 'long');
  requireNumber(node, 'last-column-id', 'int');
  for (const list of ['schemas', 'partition-specs', 'sort-orders']) requireList(node, list, version);
  const uuid = node['table-uuid'];
  if (typeof uuid !== 'string' && version > 1) throw illegalArgument(`UUID is required in format v${version}`);
  const properties = (node['properties'] ?? {}) as Readonly<Record<string, unknown>>;
  const paths = [properties['write.data.path'], properties['write.metadata.path']];
  return {
    uuid: typeof uuid === 'string' ? uuid : undefined,
    location,
    locations: [location, ...paths.filter((path) => typeof path === 'string')],
  };
}

function requireNumber(node: Readonly<Record<string, unknown>>, key: string, kind: 'int' | 'long'): number {
  const value = node[key];
  if (value === undefined) throw illegalArgument(`Cannot parse missing ${kind}: ${key}`);
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    const article = kind === 'int' ? 'an integer' : 'a long';
    throw illegalArgument(`Cannot parse to ${article} value: ${key}: ${JSON.stringify(value)}`);
  }
  return value;
}

function requireList(node: Readonly<Record<string, unknown>>, key: string, version: number): void {
  const value = node[key];
  if (value === undefined && version > 1) throw illegalArgument(`${key} must exist in format v${version}`);
  if (value === undefined || Array.isArray(value)) return;
  throw illegalArgument(`Cannot parse ${key.replace('-', ' ')} from non-array: ${JSON.stringify(value)}`);
}
