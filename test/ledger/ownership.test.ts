import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, stat, symlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test, vi } from 'vitest';
import type { EntryRecord } from '../../src/core/types.ts';
import { networkFileSystem } from '../../src/ledger/location.ts';
import type { Owner } from '../../src/ledger/ledger.ts';
import { openLedgerReader } from '../../src/ledger/reader.ts';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { deps, temporaryLedger } from './temporary-ledger.ts';

const seen: EntryRecord = { kind: 'seen', target: 'main', table: { namespace: ['a'], name: 'b' }, count: 1 };

/** A process that owns the ledger at `path` and writes to it without end. */
async function owner(path: string) {
  const child: ChildProcess = spawn(process.execPath, [fileURLToPath(new URL('writer.ts', import.meta.url)), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout!, 'data');
  child.stdout!.resume();
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  return { pid: child.pid, kill, [Symbol.asyncDispose]: kill };
}

describe('The owner of a ledger', () => {
  test('keeps a second process out, at once and by name, until it is killed', async () => {
    await using place = await temporaryLedger();
    await using first = await owner(place.path);
    const startMs = performance.now();
    await expect(place.open()).rejects.toMatchObject({
      code: 'LEDGER_IN_USE',
      detail: expect.stringContaining(
        `${place.path} is owned by process ${first.pid} on ${hostname()}, since 20`,
      ) as string,
      spec: { exitCode: 2 },
    });
    expect(performance.now() - startMs).toBeLessThan(2000);
    await first.kill();
    await using ledger = await place.open();
    expect(Number(ledger.position('sequence'))).toBeGreaterThanOrEqual(0);
  });

  test('keeps out a second opening in its own process too, and lets go when closed', async () => {
    await using place = await temporaryLedger();
    const first = await place.open();
    await expect(place.open()).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    await first.append([seen]);
    await first[Symbol.asyncDispose]();
    await using second = await place.open();
    expect(second.totals('main').entries).toBe(1);
  });

  test('is found through a symbolic link, to the file or to its folder', async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    await ledger.append([seen]);
    const [file, folder] = [join(place.folder, 'link.db'), join(place.folder, 'link')];
    await symlink(place.path, file);
    await symlink(place.folder, folder);
    for (const path of [file, join(folder, 'ledger.db')]) {
      await expect(openLedger({ path }, deps)).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    }
  });

  test('stops writing when somebody deleted the lock and another process took over', async () => {
    await using place = await temporaryLedger();
    await using first = await place.open();
    await first.append([seen]);
    await rm(`${place.path}.lock`);
    await using second = await place.open();
    await second.append([seen]);
    await expect(first.append([seen])).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    await first[Symbol.asyncDispose]();
    await second.append([seen]);
    expect(second.entry('main', seen.table)?.seen).toBe(3);
  });

  test('is seen alive or dead by a reader', async () => {
    await using place = await temporaryLedger();
    await using first = await owner(place.path);
    using reader = openLedgerReader(place.path);
    expect(reader.owner()).toMatchObject({ pid: first.pid, host: hostname(), alive: true });
    await first.kill();
    expect(reader.owner()).toMatchObject({ pid: first.pid, alive: false });
  });

  test("isn't kept from starting by readers that look for it", async () => {
    await using place = await temporaryLedger();
    await (await place.open())[Symbol.asyncDispose]();
    using reader = openLedgerReader(place.path);
    expect(reader.owner()?.alive).toBe(false);
    await using ledger = await place.open();
    expect(reader.owner()?.alive).toBe(true);
    await ledger.append([seen]);
  });
});

/** A wait of a standby, and whom it was told of. */
function waiting() {
  const stopping = new AbortController();
  const told: (Owner | undefined)[] = [];
  const standby = { signal: stopping.signal, onWait: (active: Owner | undefined) => told.push(active) };
  return { standby, told, stop: (reason: Error) => stopping.abort(reason) };
}

describe('The standby of a ledger', () => {
  test('waits for the owner, whom it is told of, and has the ledger a moment after its `kill -9`', async () => {
    await using place = await temporaryLedger();
    await using first = await owner(place.path);
    const { standby, told } = waiting();
    const opening = place.open({ standby });
    await vi.waitFor(() => expect(told).toMatchObject([{ pid: first.pid, host: hostname() }]));
    using reader = openLedgerReader(place.path);
    await vi.waitFor(() => expect(Number(reader.position('sequence'))).toBeGreaterThanOrEqual(0));
    await first.kill();
    const killedMs = performance.now();
    await using ledger = await opening;
    expect(performance.now() - killedMs).toBeLessThan(1000);
    // What the owner recorded is there, and the ledger is ours now.
    expect(Number(ledger.position('sequence'))).toBeGreaterThanOrEqual(0);
    await ledger.append([seen]);
    await expect(place.open()).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    expect(told).toHaveLength(1);
  });

  test('waits for nobody when the ledger is free', async () => {
    await using place = await temporaryLedger();
    const { standby, told } = waiting();
    await using ledger = await place.open({ standby });
    await ledger.append([seen]);
    expect(told).toEqual([]);
  });

  test('is one of several: only one of them gets the ledger, the others wait on', async () => {
    await using place = await temporaryLedger();
    await using first = await owner(place.path);
    const standbys = [waiting(), waiting(), waiting()];
    const opening = standbys.map(({ standby }) => place.open({ standby }));
    await vi.waitFor(() => expect(standbys.flatMap(({ told }) => told)).toHaveLength(3));
    await first.kill();
    const order: number[] = [];
    await Promise.all(
      opening.map(async (one, i) => {
        await using ledger = await one;
        order.push(i);
        await ledger.append([seen]);
      }),
    );
    expect(new Set(order)).toEqual(new Set([0, 1, 2]));
    await using last = await place.open();
    expect(last.entry('main', seen.table)?.seen).toBe(3);
  });

  test('stops waiting when it is told to, and keeps nothing', async () => {
    await using place = await temporaryLedger();
    const first = await place.open();
    const { standby, told, stop } = waiting();
    const opening = place.open({ standby });
    await vi.waitFor(() => expect(told).toHaveLength(1));
    stop(new Error('Stopped.'));
    await expect(opening).rejects.toThrow('Stopped.');
    await first[Symbol.asyncDispose]();
    await using second = await place.open();
    await second.append([seen]);
  });

  test('changes nothing in a ledger that it waits for, as it may be of an older release', async () => {
    await using place = await temporaryLedger();
    await using first = await place.open();
    using db = new DatabaseSync(place.path);
    const before = db.prepare('PRAGMA data_version').get();
    const { standby, told, stop } = waiting();
    const opening = place.open({ standby });
    await vi.waitFor(() => expect(told).toHaveLength(1));
    expect(db.prepare('PRAGMA data_version').get()).toEqual(before);
    await first.append([seen]);
    stop(new Error('Stopped.'));
    await expect(opening).rejects.toThrow('Stopped.');
  });
});

describe('A backup of a ledger', () => {
  test('is made beside a working agent by `VACUUM INTO`, and is a ledger', async () => {
    await using place = await temporaryLedger();
    await using ledger = await place.open();
    await ledger.append([seen]);
    const path = join(place.folder, 'ledger-backup.db');
    using shell = new DatabaseSync(place.path);
    shell.prepare('VACUUM INTO ?').run(path);
    await ledger.append([seen]);
    await using backup = await openLedger({ path }, deps);
    expect(backup.entry('main', seen.table)?.seen).toBe(1);
    expect(ledger.entry('main', seen.table)?.seen).toBe(2);
  });
});

describe('The folder of a ledger', () => {
  test('is created when it is missing', async () => {
    await using place = await temporaryLedger();
    const path = join(place.folder, 'var', 'lib', 'ledger.db');
    await using ledger = await openLedger({ path }, deps);
    await ledger.append([seen]);
    expect((await stat(path)).isFile()).toBe(true);
    expect((await stat(join(place.folder, 'var'))).mode & 0o777).toBe(0o700);
  });

  test.for([
    ['lies under a regular file', (folder: string) => join(folder, 'ledger.db', 'x', 'ledger.db'), "can't be created"],
    ['is a regular file', (folder: string) => join(folder, 'ledger.db', 'ledger.db'), 'unable to open database file'],
    ['takes no files', () => '/proc/ledger.db', 'unable to open database file'],
    ['takes no folders', () => '/proc/polaris-push/ledger.db', "can't be created"],
    ['has a folder of the same name', (folder: string) => join(folder, 'folder'), 'is a folder'],
  ] as const)('that %s is a clear error', async ([, pathIn, why]) => {
    await using place = await temporaryLedger();
    await (await place.open())[Symbol.asyncDispose]();
    await mkdir(join(place.folder, 'folder'));
    const path = pathIn(place.folder);
    await expect(openLedger({ path }, deps)).rejects.toMatchObject({
      code: 'LEDGER_UNWRITABLE',
      detail: expect.stringMatching(new RegExp(`${path}.*${why}`)) as string,
      fix: expect.stringContaining('ledger.path') as string,
      spec: { exitCode: 2 },
    });
  });

  test('is known to be of another host by the type of its file system', () => {
    expect(networkFileSystem(0x6969)).toBe('NFS');
    expect(networkFileSystem(0xef53)).toBeUndefined();
  });
});
