import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A folder on a disk that can be full, and that can refuse to be written to. */
export type Disk = Disposable & {
  readonly kind: 'tmpfs' | 'limits';
  readonly folder: string;
  /** Shell commands for a process that shall find the disk small; undefined where it is small for everybody. */
  readonly shell: string | undefined;
  /** Nothing more fits. */
  fill(): void;
  free(): void;
  refuseWrites(): void;
  allowWrites(): void;
};

/**
 * A file system of its own in memory, where this user may mount one. Where not, what comes closest for any user, root
 * included, whom permissions don't bind: a limit on the size of files, and a file in the folder's place.
 */
export function smallDisk(parent: string): Disk {
  const folder = join(parent, 'disk');
  mkdirSync(folder);
  return mounted(folder) ?? limited(folder);
}

const MIB = 1024 ** 2;

const mount = (...args: string[]) => execFileSync('mount', args, { stdio: 'ignore' });

function mounted(folder: string): Disk | undefined {
  try {
    mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder);
  } catch {
    return undefined;
  }
  const filler = join(folder, 'filler');
  return {
    kind: 'tmpfs',
    folder,
    shell: undefined,
    fill: () => {
      for (let left = MIB; left >= 512; left /= 2) append(filler, left);
    },
    free: () => rmSync(filler),
    refuseWrites: () => mount('-o', 'remount,ro', folder),
    allowWrites: () => mount('-o', 'remount,rw', folder),
    [Symbol.dispose]: () => void execFileSync('umount', [folder]),
  };
}

function append(file: string, bytes: number): void {
  try {
    appendFileSync(file, Buffer.alloc(bytes));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
}

function limited(folder: string): Disk {
  const aside = `${folder}.aside`;
  return {
    kind: 'limits',
    folder,
    // In blocks of 512 bytes: the ledger fits, and its log soon doesn't.
    shell: 'ulimit -f 256',
    fill: () => {},
    free: () => {},
    refuseWrites: () => {
      renameSync(folder, aside);
      writeFileSync(folder, '');
    },
    allowWrites: () => {
      rmSync(folder);
      renameSync(aside, folder);
    },
    [Symbol.dispose]: () => {},
  };
}
