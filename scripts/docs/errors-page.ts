import { ERRORS } from '../../src/errors/errors.ts';
import { PARKED } from '../../src/errors/parked.ts';
import { code, heading, table } from './markdown.ts';

const RETRY = {
  never: 'no: the same call fails again',
  backoff: 'yes, with growing delays',
  'after-fix': 'yes, but it helps only after the fix',
} as const;

/** Every error code, and every reason for which a table is parked. */
export function errorsPage(): string {
  const errors = Object.entries(ERRORS).map(([name, { summary, fix, retry, exitCode }]) =>
    [
      `### ${name}\n`,
      `${summary}\n`,
      `- **Fix:** ${fix}`,
      `- **Tried again by itself:** ${RETRY[retry]}`,
      `- **Exit code:** ${exitCode}\n`,
    ].join('\n'),
  );
  return [
    heading('Errors'),
    'An error that ends a command is printed on standard error as `polaris-push: [CODE] what happened` and `fix: what to do`,',
    'and with `--json` as `{"event":"error","code":…,"message":…,"fix":…}` on standard output. `--log-level debug` adds the stack trace.\n',
    '## Exit codes\n',
    table(
      ['code', 'means'],
      [
        ['0', 'fine'],
        ['1', 'an unexpected error'],
        ['2', 'the command line or the configuration is wrong'],
        ['3', 'there are findings: a failed check or validation, drift, parked tables'],
        ['4', 'the source or a target is unreachable, or refuses the agent'],
        ['130', 'interrupted'],
      ],
    ),
    '\n## Why a table is parked\n',
    'A parked table waits for something outside the agent and delays no other. `polaris-push status` lists it; after the fix, its next change or the next reconciliation tries again.\n',
    table(
      ['code', 'means', 'fix'],
      Object.entries(PARKED).map(([name, { summary, fix }]) => [code(name), summary, fix]),
    ),
    '\n## Error codes\n',
    ...errors,
  ].join('\n');
}
