import { EventEmitter } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import type { CommandContext, ExitCode, PlainContext } from '../../src/cli/context.ts';
import { Frame } from '../../src/cli/frame.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { ManualClock } from '../runtime/manual-clock.ts';
import { agentFile } from './agent-file.ts';

/** A frame on streams that are kept, with one command `x` in it. */
function setUp({ isTTY = false } = {}) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    isTTY,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const signals = new EventEmitter();
  const clock = new ManualClock();
  const exits: number[] = [];
  const frame = new Frame({
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    env: {},
    signals,
    clock,
    random: seededRandom(1),
    exit: (code) => exits.push(code),
  });
  const program = new Command()
    .option('--json')
    .option('--log-level <level>')
    .option('--log-format <format>')
    .exitOverride();
  const run = async (...argv: string[]) => {
    await program.parseAsync(['x', ...argv], { from: 'user' });
    return frame.exitCode;
  };
  const plain = (body: (context: PlainContext) => Promise<ExitCode>) => {
    program.addCommand(frame.plain(new Command('x'), body));
    return run;
  };
  const configured = (body: (context: CommandContext) => Promise<ExitCode>) => {
    program.addCommand(frame.configured(new Command('x'), body));
    return run;
  };
  return { written, signals, clock, exits, plain, configured };
}

/** A signal may come while the command is still being loaded. */
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

describe('The frame of a command', () => {
  test('takes its exit code', async () => {
    expect(await setUp().plain(async () => 3)()).toBe(3);
  });

  test('gives arguments and options, its own and the global ones', async () => {
    const { plain } = setUp();
    let given: unknown;
    const run = plain(async ({ out }) => {
      given = out.json;
      return 0;
    });
    await run('--json');
    expect(given).toBe(true);
  });

  test.for([
    [[], false, '{"level":"info"'],
    [[], true, ' INFO  hello n=1'],
    [['--log-format', 'text'], false, ' INFO  hello n=1'],
    [['--log-format', 'json'], true, '{"level":"info"'],
    [['--log-level', 'warn'], false, ''],
  ] as const)('logs by %j on a terminal: %s', async ([argv, isTTY, expected]) => {
    const { plain, written } = setUp({ isTTY });
    await plain(async ({ log }) => {
      log.info('hello', { n: 1 });
      return 0;
    })(...argv);
    expect(stripVTControlCharacters(written.stderr)).toContain(expected);
    expect(written.stderr === '').toBe(expected === '');
  });

  test('takes level and format from the configuration where no option says otherwise', async () => {
    await using agent = await agentFile({ more: 'log: { level: debug, format: text }\n' });
    const { configured, written } = setUp();
    await configured(async ({ log }) => {
      log.debug('hello');
      return 0;
    })('--config', agent.config);
    expect(written.stderr).toContain(' DEBUG hello');
  });

  test('masks the secrets of the configuration in logs and outputs', async () => {
    await using agent = await agentFile({ clientSecret: 'MARKED-SECRET' });
    const { configured, written } = setUp();
    await configured(async ({ log, out }) => {
      log.info('hello', { text: 'MARKED-SECRET and MARKED-PASSWORD', error: new Error('MARKED-SECRET') });
      out.line('MARKED-SECRET');
      return 0;
    })('--config', agent.config);
    expect(written.stdout).toBe('***\n');
    expect(written.stderr).toContain('*** and ***');
    expect(written.stdout + written.stderr).not.toContain('MARKED');
  });
});

describe('A signal', () => {
  test('stops the intake, and what the command then returns is its exit code', async () => {
    const { plain, signals } = setUp();
    const ended = plain(async ({ signal }) => {
      await aborted(signal);
      return 0;
    })();
    await expect.poll(() => signals.listenerCount('SIGTERM')).toBe(1);
    signals.emit('SIGTERM', 'SIGTERM');
    expect(await ended).toBe(0);
    expect(signals.listenerCount('SIGTERM')).toBe(0);
  });

  test('that makes the command throw its reason ends it with 130', async () => {
    const { plain, signals } = setUp();
    const ended = plain(async ({ signal }) => {
      await aborted(signal);
      signal.throwIfAborted();
      return 0;
    })();
    await expect.poll(() => signals.listenerCount('SIGINT')).toBe(1);
    signals.emit('SIGINT', 'SIGINT');
    expect(await ended).toBe(130);
  });

  test('does not hide an error of another kind', async () => {
    const { plain, signals } = setUp();
    const ended = plain(async ({ signal }) => {
      await aborted(signal);
      throw new TypeError('broken');
    })();
    await expect.poll(() => signals.listenerCount('SIGINT')).toBe(1);
    signals.emit('SIGINT', 'SIGINT');
    await expect(ended).rejects.toThrow('broken');
  });

  test('leaves as much time to finish as the configuration says', async () => {
    await using agent = await agentFile({ more: 'shutdown: { drain: 90s }\n' });
    const { configured, signals, clock } = setUp();
    const seen: boolean[] = [];
    const began = Promise.withResolvers<void>();
    const ended = configured(async ({ signal, deadline }) => {
      began.resolve();
      await aborted(signal);
      await clock.advance(89_999);
      seen.push(deadline.aborted);
      await clock.advance(1);
      seen.push(deadline.aborted);
      return 0;
    })('--config', agent.config);
    await began.promise;
    signals.emit('SIGTERM', 'SIGTERM');
    await ended;
    expect(seen).toEqual([false, true]);
  });

  test('tells a person at a terminal what happens', async () => {
    const { plain, signals, written } = setUp({ isTTY: true });
    const ended = plain(async ({ signal }) => {
      await aborted(signal);
      return 0;
    })();
    await expect.poll(() => signals.listenerCount('SIGINT')).toBe(1);
    signals.emit('SIGINT', 'SIGINT');
    await ended;
    expect(written.stderr).toContain('SIGINT: finishing what is under way, at most 5 s; once more to exit now');
  });

  test('given twice ends the process at once', async () => {
    const { plain, signals, exits } = setUp();
    const ended = plain(async ({ signal }) => {
      await aborted(signal);
      signals.emit('SIGTERM', 'SIGTERM');
      return 0;
    })();
    await expect.poll(() => signals.listenerCount('SIGTERM')).toBe(1);
    signals.emit('SIGINT', 'SIGINT');
    await ended;
    expect(exits).toEqual([130]);
  });
});
