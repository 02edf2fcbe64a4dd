import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed } from './child.ts';
import { demonstrate } from './demonstration.ts';
import { Interrupted, Interruption } from './interruption.ts';
import { HELP, parseOptions, UsageError } from './options.ts';
import { mirrorOwnSystems } from './own-systems.ts';

/** `npm start`. Returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const { once, help, own } = parseOptions(argv, process.env);
  if (help) {
    process.stdout.write(HELP);
    return 0;
  }
  using interruption = new Interruption();
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'polaris-push-quickstart-')));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  process.once('exit', removeFolder);
  const { env, stdout } = process;
  const terminal = stdout.isTTY && env['TERM'] !== 'dumb';
  const run = {
    folder,
    live: terminal && !once,
    coloured: terminal && (env['NO_COLOR'] ?? '') === '',
    signal: interruption.signal,
    print: (line: string) => stdout.write(`${line}\n`),
  };
  // Awaited here: the interruption is listened for until the end.
  return own === undefined ? await demonstrate(run) : await mirrorOwnSystems(run, own);
}

function failed(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode;
  if (error instanceof UsageError) {
    process.stderr.write(`npm start: ${error.message}\nSee npm start -- --help.\n`);
    return 2;
  }
  if (error instanceof CommandFailed) {
    process.stderr.write(`npm start: ${error.message}\n`);
    return error.exitCode;
  }
  process.stderr.write(`npm start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}

// A reader that has seen enough, such as head, closes the pipe.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
}

let code: number;
try {
  code = await main(process.argv.slice(2));
} catch (error) {
  code = failed(error);
}
// Not process.exit() at once: what was written to a pipe may still be on its way.
process.exitCode = code;
process.stdout.write('', () => process.exit(code));
