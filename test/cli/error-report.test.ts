import { describe, expect, test } from 'vitest';
import { asPushError, reportError } from '../../src/cli/error-report.ts';
import { PushError } from '../../src/errors/errors.ts';
import { Secrets } from '../../src/runtime/secrets.ts';

function report(error: unknown, { json = false, debug = false } = {}) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const secrets = new Secrets();
  secrets.add('MARKED-SECRET');
  const streams = { stdout: stream('stdout'), stderr: stream('stderr') };
  const exitCode = reportError(error, { json, debug, coloured: false, secrets, ...streams });
  return { exitCode, ...written };
}

describe('An error that ends a command', () => {
  test('is code, summary, detail and fix, wrapped at 80 columns', () => {
    const detail = `The file is ${'long '.repeat(30)}.`;
    const { exitCode, stderr } = report(new PushError('CONFIG_INVALID', detail));
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(
      /^polaris-push: \[CONFIG_INVALID\] The configuration is not valid\. The file is\n  long long/,
    );
    expect(stderr).toMatch(/\nfix: Correct the named key/);
    expect(Math.max(...stderr.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('has its own fix in the place of the usual one, and commands in it are not broken', () => {
    const command = `CREATE PUBLICATION polaris_push FOR TABLE ${'"A_LONG_NAME", '.repeat(10)}"X";`;
    const { stderr } = report(new PushError('USAGE', 'Wrong.', { fix: `Run:\n${command}` }));
    expect(stderr).toContain(`\nfix: Run:\n  ${command}\n`);
  });

  test('of an unknown kind is unexpected, exits with 1, and shows its stack and causes for --log-level debug only', () => {
    const error = new TypeError('x is not a function', { cause: new RangeError('deep') });
    expect(report(error)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('[UNEXPECTED]') as string });
    expect(report(error).stderr).not.toContain('    at ');
    expect(report(error, { debug: true }).stderr).toMatch(
      /TypeError: x is not a function\n +at [^]*caused by: RangeError: deep/,
    );
  });

  test('may be anything that was thrown', () => {
    expect(asPushError('text')).toMatchObject({ code: 'UNEXPECTED', detail: 'text' });
    expect(asPushError(undefined)).toMatchObject({ code: 'UNEXPECTED', detail: 'undefined' });
  });

  test('shows no secret: not in its text, its fix, its stack, nor its JSON', () => {
    const error = new PushError('USAGE', 'MARKED-SECRET', {
      fix: 'MARKED-SECRET',
      cause: new Error('postgresql://me:MARKED-OTHER@db/x MARKED-SECRET'),
    });
    const { stdout, stderr } = report(error, { json: true, debug: true });
    expect(stdout + stderr).not.toContain('MARKED');
    expect(JSON.parse(stdout)).toMatchObject({ event: 'error', code: 'USAGE', fix: '***' });
  });
});
