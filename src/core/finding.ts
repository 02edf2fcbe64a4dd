/** One line of a preflight. `fix` is what to type or change, verbatim where possible. */
export type Finding = {
  readonly level: 'ok' | 'warning' | 'error';
  /** What was looked at, e.g. `wal_level`. */
  readonly subject: string;
  readonly detail: string;
  readonly fix?: string | undefined;
  /** The error of the catalogue that this would be if it weren't a finding: decides the exit code of `check`. */
  readonly code?: string | undefined;
};
