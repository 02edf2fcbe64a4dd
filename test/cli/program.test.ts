import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { commandNames, runCli } from '../../src/cli/program.ts';
import { agentFile } from './agent-file.ts';
import { ndjson, recordingIo, run } from './command-line.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** A configuration file of the given text. */
async function configFile(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'polaris-push-cli-'));
  const path = join(folder, 'agent.yaml');
  await writeFile(path, text);
  return { path, folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Runs a command line in a process of its own. */
const spawn = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  promisify(execFile)(process.execPath, [MAIN, ...argv], { env: { ...process.env, ...env } }).then(
    ({ stdout, stderr }) => ({ exitCode: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({ ...error, exitCode: error.code }),
  );

const errorsOf = async (isTTY: boolean, env: Record<string, string> = {}) =>
  (await run(['chek'], { isTTY, env })).stderr;

describe('The command line', () => {
  test('has the documented commands', () => {
    expect(commandNames).toEqual(
      expect.arrayContaining(['run', 'check', 'validate', 'backfill', 'status', 'retry', 'drops', 'config', 'emulate']),
    );
  });

  test('helps on standard output with 0, also for each command', async () => {
    const { exitCode, stdout, stderr } = await run(['--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const name of commandNames) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'));
      const help = await run([name, '--help']);
      expect(help.exitCode).toBe(0);
      expect(help.stdout).toContain(`Usage: polaris-push ${name}`);
      expect(help.stdout).toContain('Examples:');
    }
  });

  test('without a command it helps on standard error with 2', async () => {
    const { exitCode, stdout, stderr } = await run([]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('Usage: polaris-push <command>');
  });

  test.for([
    [['chek'], "polaris-push: [USAGE] The command line is not valid. Unknown command 'chek'. Did you mean check?"],
    [['check'], 'It needs --config FILE. fix: polaris-push check --config FILE'],
    [['config', 'print'], 'fix: polaris-push config print --config FILE'],
    [['check', '--config'], "Option '-c, --config <file>' argument missing."],
    [['check', '--confg', 'x'], "Unknown option '--confg'. Did you mean --config?"],
    [['status', '--config', 'x', 'y'], 'Too many arguments'],
    [['config', 'print', '--config', 'x', '--log-level', 'loud'], 'Allowed choices are debug, info, warn, error.'],
    [['config', 'schema', '--kind', 'hvie'], 'No connector is called hvie; known: file, hive, glue'],
    [['status', '--config', 'x', '--limit', 'many'], 'Expected a whole number.'],
  ] as const)('%j is a usage error: %s', async ([argv, message]) => {
    const { exitCode, stdout, stderr } = await run(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr.replaceAll(/\n {0,2}/g, ' ')).toContain(message);
    expect(stderr).toMatch(/^fix: /m);
  });

  test('tells an error as NDJSON, too, with --json', async () => {
    const { exitCode, stdout } = await run(['check', '--config', '/none/agent.yaml', '--json']);
    expect(exitCode).toBe(2);
    expect(ndjson(stdout)).toEqual([
      {
        event: 'error',
        code: 'CONFIG_UNREADABLE',
        message: 'The configuration file cannot be read. /none/agent.yaml: it does not exist.',
        fix: 'Name a readable YAML file with --config FILE.',
      },
    ]);
  });

  test('has no stack trace in an error but with --log-level debug, and no line over 80 columns', async () => {
    const quiet = await run(['check', '--config', '/none/agent.yaml']);
    expect(quiet.stderr).not.toContain('    at ');
    expect(Math.max(...quiet.stderr.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect((await run(['check', '--config', '/none/agent.yaml', '--log-level', 'debug'])).stderr).toContain('    at ');
  });

  test('has colours on a terminal only, and not with NO_COLOR', async () => {
    expect(await errorsOf(true)).toContain('\u001B[31m');
    expect(await errorsOf(false)).not.toContain('\u001B');
    expect(await errorsOf(true, { NO_COLOR: '1' })).not.toContain('\u001B');
  });

  test('reports every problem of a configuration, one a line', async () => {
    await using config = await configFile('source: { kind: hive }\ntargts: []\n');
    const { exitCode, stderr } = await run(['run', '--config', config.path]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('[CONFIG_INVALID]');
    const joined = stderr.replaceAll(/\n {2}(?!\/)/g, ' ');
    expect(joined).toContain(`agent.yaml:1: source.connection: missing`);
    expect(joined).toContain(`agent.yaml:2: targts: unknown key, did you mean targets?`);
  });
});

describe('What nobody caught', () => {
  test('is reported like any other error, without secrets, and ends the process with 1', async () => {
    await using agent = await agentFile({ clientSecret: 'MARKED-SECRET' });
    const crash = Promise.withResolvers<(error: unknown) => void>();
    const exits: number[] = [];
    const { io, written } = recordingIo({
      onCrash: crash.resolve,
      exit: (code) => exits.push(code),
    });
    await runCli(['config', 'print', '--config', agent.config], io);
    (await crash.promise)(new TypeError('in the middle of MARKED-SECRET'));
    expect(exits).toEqual([1]);
    expect(written.stderr).toContain('polaris-push: [UNEXPECTED] An unexpected error. in the middle of ***');
  });
});

describe('The process', () => {
  test('prints its version and exits with 0', async () => {
    const { exitCode, stdout } = await spawn(['--version']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string });
  });

  test('loads neither connectors, database drivers, HTTP clients nor schemas to help', async () => {
    const script = `
      import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
      process.argv.splice(1, process.argv.length, 'main', '--help');
      process.on('exit', () => process.stderr.write(loaded.join('\\n')));
      await import(${JSON.stringify(MAIN)});
    `;
    const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    expect(stderr).toContain('commander');
    expect(stderr).not.toMatch(/connectors\/|node_modules\/(pg|undici|zod|pino|yaml)\/|src\/(app|polaris|ledger)/);
  });

  test('exits with 2 for a wrong command line', async () => {
    expect(await spawn(['nonsense'])).toMatchObject({ exitCode: 2, stdout: '' });
  });

  test('ends quietly when its reader has seen enough', async () => {
    const { stdout, stderr } = await promisify(execFile)('bash', [
      '-c',
      `set -o pipefail; "$1" "$2" config schema | head -c 10`,
      '-',
      process.execPath,
      MAIN,
    ]);
    expect({ stdout: stdout.length, stderr }).toEqual({ stdout: 10, stderr: '' });
  });
});
