import type { Finding } from '../../src/core/finding.ts';
import { PushError, type ErrorCode } from '../../src/errors/errors.ts';

/** Something that isn't as it must be (`error`) or should be (`warning`): an error of `prepare`, a finding of `check`. */
export type Problem = {
  readonly level: 'warning' | 'error';
  readonly subject: string;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly fix: string;
};

export function findingOf({ level, subject, detail, fix, code }: Problem): Finding {
  return { level, subject, detail, fix, code };
}

/** Throws the first error among them. */
export function refuse(problems: readonly Problem[]): void {
  const error = problems.find(({ level }) => level === 'error');
  if (error !== undefined) throw new PushError(error.code, error.detail, { fix: error.fix });
}
