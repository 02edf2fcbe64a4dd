/** What an error code means to an operator. The page docs/errors.md is generated from this table. */
type ErrorSpec = {
  /** One line, without secrets. */
  readonly summary: string;
  /** What the operator does about it. The error's own `fix`, more exact, takes its place in the message. */
  readonly fix: string;
  /** `never`: the same call fails again; `backoff`: try again; `after-fix`: try again when the operator acted. */
  readonly retry: 'never' | 'backoff' | 'after-fix';
  readonly exitCode: 1 | 2 | 3 | 4;
};

export const ERRORS = {
  UNEXPECTED: {
    summary: 'An unexpected error.',
    fix: 'Run again with --log-level debug and report what it prints.',
    retry: 'backoff',
    exitCode: 1,
  },
  USAGE: { summary: 'The command line is not valid.', fix: 'See `polaris-push --help`.', retry: 'never', exitCode: 2 },
  CONFIG_INVALID: {
    summary: 'The configuration is not valid.',
    fix: 'Correct the named key; `polaris-push config schema` prints what is allowed.',
    retry: 'never',
    exitCode: 2,
  },
  CONFIG_UNREADABLE: {
    summary: 'The configuration file cannot be read.',
    fix: 'Name a readable YAML file with --config FILE.',
    retry: 'never',
    exitCode: 2,
  },
  NODE_TOO_OLD: {
    summary: 'This version of Node.js is too old.',
    fix: 'Install Node.js 24 or newer.',
    retry: 'never',
    exitCode: 2,
  },
  SOURCE_NOT_LISTED: {
    summary: "The source's tables have not all been listed yet, so a table cannot be called absent.",
    fix: 'Nothing: it is tried again after the first complete list.',
    retry: 'backoff',
    exitCode: 1,
  },
  POLARIS_UNAVAILABLE: {
    summary: 'Polaris could not be asked.',
    fix: 'Make Polaris reachable at targets[].uri (host, port, TLS, firewall), or wait until it is available again; `polaris-push check` says which.',
    retry: 'backoff',
    exitCode: 4,
  },
  POLARIS_UNAUTHORIZED: {
    summary: 'Polaris did not accept the credentials.',
    fix: 'Correct targets[].auth; `polaris-push check` says what is wrong with it.',
    retry: 'after-fix',
    exitCode: 4,
  },
  POLARIS_FORBIDDEN: {
    summary: 'The principal lacks a privilege in Polaris.',
    fix: 'Grant it all five privileges on the catalog; `polaris-push check` prints the commands.',
    retry: 'after-fix',
    exitCode: 4,
  },
  POLARIS_NO_SUCH_CATALOG: {
    summary: 'Polaris has no such catalog.',
    fix: 'Correct targets[].catalog, or create it as an EXTERNAL catalog; `polaris-push check` prints the command.',
    retry: 'after-fix',
    exitCode: 2,
  },
  POLARIS_NO_SUCH_REALM: {
    summary: 'Polaris has no such realm, or wants one to be named.',
    fix: 'Set targets[].realm to a realm of the server.',
    retry: 'after-fix',
    exitCode: 2,
  },
  POLARIS_CATALOG_INTERNAL: {
    summary: 'The catalog is INTERNAL and takes no notifications.',
    fix: 'Create an EXTERNAL catalog and name it in targets[].catalog; `polaris-push check` prints the command.',
    retry: 'after-fix',
    exitCode: 2,
  },
  POLARIS_REFUSED: {
    summary: 'Polaris gave an answer that the agent can do nothing with.',
    fix: 'Read the message and look at the log of Polaris under the same time; report it if the agent should know better.',
    retry: 'backoff',
    exitCode: 1,
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

/** An error that an operator can act on: `[CODE] summary detail` and a fix. Neither detail nor fix holds a secret. */
export class PushError extends Error {
  override readonly name = 'PushError';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly fix: string;

  constructor(code: ErrorCode, detail: string, options?: ErrorOptions & { readonly fix?: string | undefined }) {
    super(`${ERRORS[code].summary} ${detail}`, options);
    this.code = code;
    this.detail = detail;
    this.fix = options?.fix ?? ERRORS[code].fix;
  }

  get spec(): ErrorSpec {
    return ERRORS[this.code];
  }
}
