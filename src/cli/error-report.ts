import { CommanderError } from 'commander';
import { PushError } from '../errors/errors.ts';
import type { Secrets } from '../runtime/secrets.ts';
import { visible } from '../runtime/visible.ts';
import { paintFor, widthOf, wrap, type TextStream } from './terminal.ts';

export type ReportOptions = {
  readonly json: boolean;
  readonly debug: boolean;
  readonly coloured: boolean;
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly secrets: Secrets;
};

/**
 * Tells the user of an error that ended a command: code, what happened and what to do, without a stack trace unless
 * --log-level debug asks for it. Returns the exit code.
 */
export function reportError(thrown: unknown, options: ReportOptions): number {
  const { json, secrets, stdout, stderr } = options;
  const error = asPushError(thrown);
  const paint = paintFor(options.coloured);
  const width = widthOf(stderr);
  const mask = (text: string) => secrets.mask(text);
  if (json) {
    const { code, message, fix } = error;
    stdout.write(`${mask(JSON.stringify({ event: 'error', code, message, fix }))}\n`);
  }
  const shown = (text: string) => visible(mask(text));
  const head = `polaris-push: ${paint.red(`[${error.code}]`)} ${error.message}`;
  const [advice = '', ...commands] = error.fix.split('\n');
  stderr.write(`${wrap(shown(head), width, '  ')}\n${wrap(shown(`${paint.bold('fix:')} ${advice}`), width, '  ')}\n`);
  // Verbatim, as they are there to be copied.
  for (const command of commands) stderr.write(`  ${shown(command)}\n`);
  if (options.debug) stderr.write(`${shown(traceOf(thrown))}\n`);
  return error.spec.exitCode;
}

/** Every error as one that has a code. */
export function asPushError(thrown: unknown): PushError {
  if (thrown instanceof PushError) return thrown;
  if (thrown instanceof CommanderError) return usageError(thrown);
  return new PushError('UNEXPECTED', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
}

function usageError(error: CommanderError): PushError {
  const text = error.message.replace(/^error: /, '');
  const [problem = '', suggestion] = text.split('\n');
  const detail = `${problem.charAt(0).toUpperCase()}${problem.slice(1)}${/[.?!]$/.test(problem) ? '' : '.'}`;
  return new PushError('USAGE', suggestion === undefined ? detail : `${detail} ${suggestion.replace(/[()]/g, '')}`);
}

const traceOf = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return '';
  const cause = thrown.cause === undefined ? '' : `\ncaused by: ${traceOf(thrown.cause)}`;
  return (thrown.stack ?? thrown.message) + cause;
};
