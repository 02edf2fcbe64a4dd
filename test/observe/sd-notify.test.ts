import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serviceManager } from '../../src/observe/sd-notify.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog, type Log } from '../../src/runtime/log.ts';
import { eventually } from '../pipeline/world.ts';

/** A folder with a `systemd-notify` that writes down what it was told, and where. */
async function standIn() {
  const folder = await mkdtemp(join(tmpdir(), 'polaris-push-notify-'));
  const told = join(folder, 'told');
  const program = join(folder, 'systemd-notify');
  await writeFile(program, `#!/bin/sh\nprintf '%s %s\\n' "$NOTIFY_SOCKET" "$*" >> '${told}'\n`);
  await chmod(program, 0o755);
  const lines = () => (existsSync(told) ? readFileSync(told, 'utf8').trim().split('\n') : []);
  const env = { NOTIFY_SOCKET: '/run/notify', PATH: `${folder}:${process.env['PATH'] ?? ''}` };
  return { env, lines, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

const managerOf = (env: Readonly<Record<string, string>>, log: Log = silentLog) =>
  serviceManager({ env, pid: 4711, clock: systemClock, log });

test('without a socket nobody is told anything', () => {
  expect(managerOf({ PATH: '/usr/bin' })).toBeUndefined();
  expect(managerOf({ NOTIFY_SOCKET: '' })).toBeUndefined();
});

test('hands each state over, as one argument whatever is in it', async () => {
  await using place = await standIn();
  await managerOf(place.env)?.tell('READY=1', 'STATUS=all "fine"; $(exit 1)');
  expect(place.lines()).toEqual(['/run/notify READY=1 STATUS=all "fine"; $(exit 1)']);
});

test('keeps the watchdog quiet twice as often as it must, and only while the agent is alive', async () => {
  await using place = await standIn();
  const stop = new AbortController();
  let alive = true;
  const env = { ...place.env, WATCHDOG_USEC: '100000', WATCHDOG_PID: '4711' };
  const kept = managerOf(env)?.keepAlive(() => alive, stop.signal);
  await eventually(async () => (place.lines().length >= 3 ? undefined : 'not told three times'));
  alive = false;
  await systemClock.sleep(100);
  const told = place.lines().length;
  await systemClock.sleep(300);
  expect(place.lines().length).toBe(told);
  expect(new Set(place.lines())).toEqual(new Set(['/run/notify WATCHDOG=1']));
  stop.abort();
  await kept;
});

test.each([
  ['there is none', {}],
  ['it watches another process', { WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' }],
])('tells a watchdog nothing when %s', async (_, watchdog) => {
  await using place = await standIn();
  await managerOf({ ...place.env, ...watchdog })?.keepAlive(() => true, new AbortController().signal);
  expect(place.lines()).toEqual([]);
});

test('warns once when systemd-notify is not there, and goes on', async () => {
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (event) => void warnings.push(event) };
  const manager = managerOf({ NOTIFY_SOCKET: '/run/notify', PATH: '/nowhere' }, log);
  await manager?.tell('READY=1');
  await manager?.tell('STOPPING=1');
  expect(warnings).toEqual(['service-manager-not-told']);
});
