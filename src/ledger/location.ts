import { existsSync, mkdirSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { unwritable } from './sqlite-error.ts';

/** The file systems of other hosts, by the magic number that Linux reports (statfs(2)). */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0x01021997, '9p'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x0bd00bd0, 'Lustre'],
]);

/** The name of a network file system, where SQLite's locks and shared memory can't be relied on; undefined for others. */
export const networkFileSystem = (type: number): string | undefined => NETWORK_FILE_SYSTEMS.get(type);

/**
 * The one path of a ledger: absolute, symbolic links followed, so that two ways to name a file share one lock.
 * Creates the folder (mode 0700) when it is missing. Throws `LEDGER_UNWRITABLE`.
 */
export function prepareLocation(path: string): string {
  const folder = dirname(resolve(path));
  try {
    createFolder(folder);
  } catch (error) {
    throw unwritable(resolve(path), `the folder ${folder} can't be created (${codeOf(error)})`, error);
  }
  const file = canonical(path);
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) throw unwritable(file, 'it is a folder');
  return file;
}

/** Not `recursive` of mkdir, which tries for ever where a folder can't hold another one (Node 24 on Linux, /proc). */
function createFolder(folder: string): void {
  if (existsSync(folder)) return;
  createFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process may have been faster.
    if (!existsSync(folder)) throw error;
  }
}

/** The same path for a reader, which creates nothing; as given when nothing is there. */
export function findLocation(path: string): string {
  return existsSync(dirname(resolve(path))) ? canonical(path) : resolve(path);
}

export const networkFileSystemOf = (path: string): string | undefined =>
  networkFileSystem(statfsSync(dirname(path)).type);

function canonical(path: string): string {
  const absolute = resolve(path);
  return existsSync(absolute) ? realpathSync(absolute) : join(realpathSync(dirname(absolute)), basename(absolute));
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);
