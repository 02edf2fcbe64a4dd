import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { Io } from '../../src/cli/context.ts';
import { emulateCommand } from '../../src/cli/emulate.ts';
import { Frame } from '../../src/cli/frame.ts';
import { PushError } from '../../src/errors/errors.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { Command } from 'commander';

/** `emulate` with its output in memory. */
function start(...args: string[]) {
  const signals = new EventEmitter();
  const written: string[] = [];
  const stderr: string[] = [];
  const io: Io = {
    stdout: { write: (text) => written.push(text) },
    stderr: { write: (text) => stderr.push(text) },
    env: {},
    signals,
    clock: systemClock,
    random: systemRandom,
    exit: () => {},
  };
  const frame = new Frame(io);
  const program = new Command()
    .option('--json')
    .option('--log-level <level>')
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  program.addCommand(emulateCommand(frame).copyInheritedSettings(program));
  const ended = program.parseAsync(['emulate', ...args], { from: 'user' }).then(() => frame.exitCode);
  const line = () =>
    expect
      .poll(() => written[0])
      .toBeDefined()
      .then(() => written[0] ?? '');
  return { ended, line, signals, stderr };
}

describe('emulate', () => {
  test('says where it listens and stops with 0 on SIGTERM', async () => {
    const { ended, line, signals } = start('--port', '0', '--catalog', 'main=file:///tmp/warehouse/');
    expect(await line()).toMatch(
      /^Emulated Polaris listens at http:\/\/127\.0\.0\.1:\d+: catalogs main \(file:\/\/\/tmp\/warehouse\); credentials root \/ s3cr3t\.\n$/,
    );
    signals.emit('SIGTERM', 'SIGTERM');
    expect(await ended).toBe(0);
  });

  test('writes one NDJSON line with --json, and serves the management API on the same port', async () => {
    const { ended, line, signals, stderr } = start('--port', '0', '--json', '--log-level', 'debug');
    const said = JSON.parse(await line()) as { event: string; uri: string };
    expect(said.event).toBe('listening');
    const response = await fetch(`${said.uri}/api/management/v1/catalogs`);
    expect(response.status).toBe(401);
    await expect.poll(() => stderr.join('')).toContain('/api/management/v1/catalogs');
    signals.emit('SIGINT', 'SIGINT');
    expect(await ended).toBe(0);
  });

  test.each([
    [['--catalog', 'main'], 'Expected NAME=LOCATION'],
    [['--catalog', 'main=/tmp/warehouse'], 'Expected NAME=LOCATION'],
    [['--catalog', 'a=file:///x', '--catalog', 'a=file:///y'], 'There is a second a'],
    [['--port', '70000'], 'Expected a port'],
  ])('refuses %j', async (args, message) => {
    await expect(start(...args).ended).rejects.toThrow(message);
  });

  test('names the port that is taken', async () => {
    await using other = await startEmulator();
    const { port } = new URL(other.uri);
    const error: unknown = await start('--port', port).ended.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PushError);
    expect(error).toMatchObject({ code: 'EMULATOR_NOT_LISTENING', detail: `Port ${port} is taken.` });
  });
});
