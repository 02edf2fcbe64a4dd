/** What an error code means to an operator. The page docs/errors.md is generated from this table. */
export type ErrorSpec = {
  /** One line, without secrets. */
  readonly summary: string;
  /** What the operator does about it. The error's own `fix`, more exact, takes its place in the message. */
  readonly fix: string;
  /** `never`: the same call fails again; `backoff`: try again; `after-fix`: try again when the operator acted. */
  readonly retry: 'never' | 'backoff' | 'after-fix';
  readonly exitCode: 1 | 2 | 3 | 4;
};
