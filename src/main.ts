#!/usr/bin/env node
import type { Io } from './cli/context.ts';
import { ERRORS } from './errors/errors.ts';

const OLDEST_NODE = 24;

/** What needs no newer Node.js than commander does: to look around before installing one is fine. */
const LOOKING = new Set(['--help', '-h', '--version', 'help']);

const exit = (code: number) => process.exit(code);
/** Rejections that nobody handles arrive here, too. */
const onCrash = (listener: (error: unknown) => void) => void process.on('uncaughtException', listener);

async function main(argv: readonly string[]): Promise<number> {
  const { runCli } = await import('./cli/program.ts');
  const { systemClock } = await import('./runtime/clock.ts');
  const { systemRandom } = await import('./runtime/random.ts');
  const { stdout, stderr, env } = process;
  const io: Io = { stdout, stderr, env, signals: process, clock: systemClock, random: systemRandom, exit, onCrash };
  return runCli(argv, io);
}

function isTooOld(argv: readonly string[]): boolean {
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE || argv.some((arg) => LOOKING.has(arg))) return false;
  const { summary, fix } = ERRORS.NODE_TOO_OLD;
  process.stderr.write(`polaris-push: [NODE_TOO_OLD] ${summary} It is ${process.versions.node}.\nfix: ${fix}\n`);
  return true;
}

// A reader that has seen enough, such as head, closes the pipe.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const argv = process.argv.slice(2);
const code = isTooOld(argv) ? 2 : await main(argv);
// Not process.exit() at once: what was written to a pipe may still be on its way.
process.exitCode = code;
process.stdout.write('', () => process.exit(code));
