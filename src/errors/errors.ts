import { CONNECTOR_ERRORS } from './connector-errors.ts';
import type { ErrorSpec } from './spec.ts';

/** The catalogue: what each code means to an operator. The page docs/reference/errors.md is generated from it. */
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
  HTTP_LISTEN_FAILED: {
    summary: "The agent can't listen for HTTP requests.",
    fix: 'Let http.listen name an address of this machine and a port that is free.',
    retry: 'never',
    exitCode: 2,
  },
  FILE_UNREADABLE: {
    summary: 'The file of recorded states cannot be read.',
    fix: 'Name a readable file, as `polaris-push run --record FILE` writes it.',
    retry: 'after-fix',
    exitCode: 2,
  },
  FILE_INVALID: {
    summary: 'The file of recorded states has a broken line.',
    fix: 'Correct or remove the named line; `polaris-push replay` tells of every broken line and pushes the others.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_OTHER_SOURCE: {
    summary: 'The ledger belongs to another source.',
    fix: 'Give this source a ledger of its own (ledger.path). If it is the same source under a new address, start once with `run --adopt-ledger`.',
    retry: 'never',
    exitCode: 2,
  },
  LEDGER_OTHER_CATALOG: {
    summary: 'The ledger knows this target as another catalog.',
    fix: 'Give the target another name, so that it starts without entries. If it is the same catalog under a new address, start once with `run --adopt-ledger`.',
    retry: 'never',
    exitCode: 2,
  },
  LEDGER_IN_USE: {
    summary: 'Another process owns the ledger.',
    fix: 'Stop that process, or give this one a ledger of its own in ledger.path.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_UNWRITABLE: {
    summary: "The ledger can't be opened for reading and writing.",
    fix: 'Let ledger.path name a file in a folder that this user may write to, on a local disk.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_CORRUPT: {
    summary: "The ledger's file isn't a ledger, or is damaged.",
    fix: 'Restore it from a backup, or move it away with its -wal and -shm files and start again: the start compares source and Polaris.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_NEWER: {
    summary: 'The ledger was written by a newer release.',
    fix: 'Use that release or a later one; or move the ledger away with its -wal and -shm files and start again: the start compares source and Polaris.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_OLDER: {
    summary: 'The ledger was written by an older release.',
    fix: 'Use the release that the agent runs, or start the agent once with this one, which brings the ledger up to date.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_MISSING: {
    summary: 'There is no ledger.',
    fix: 'Correct ledger.path, or start the agent once: `polaris-push run` creates the ledger.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_FAILED: {
    summary: "The ledger can't be read or written any more.",
    fix: "Look at the disk of ledger.path (space, quota, the system's log), then start again. Nothing that was acknowledged to the source is lost.",
    retry: 'after-fix',
    exitCode: 1,
  },
  LEDGER_REQUESTS_FULL: {
    summary: 'Too many requests wait for the agent.',
    fix: 'Start the agent: it takes them within a second.',
    retry: 'after-fix',
    exitCode: 1,
  },
  SOURCE_NOT_LISTED: {
    summary: "The source's tables have not all been listed yet, so a table cannot be called absent.",
    fix: 'Nothing: it is tried again after the first complete list.',
    retry: 'backoff',
    exitCode: 1,
  },
  TARGET_NOT_READY: {
    summary: 'Polaris is not ready to take notifications.',
    fix: '`polaris-push check` looks at everything and says what to do.',
    retry: 'after-fix',
    exitCode: 4,
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
  POLARIS_NO_SUCH_TABLE: {
    summary: 'Polaris has no such Iceberg table or namespace.',
    fix: 'Correct the name, as `polaris-push status` writes it; `polaris-push wait` waits until a table is there.',
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
  POLICY_CONTENT_INVALID: {
    summary: "A policy's content can't be read.",
    fix: 'Correct the content of the named policy in Polaris; other policies are not affected.',
    retry: 'after-fix',
    exitCode: 3,
  },
  EMULATOR_NOT_LISTENING: {
    summary: 'The emulated Polaris can not listen.',
    fix: 'Give a free port with `--port`, or `--port 0` for any.',
    retry: 'after-fix',
    exitCode: 2,
  },
  ...CONNECTOR_ERRORS,
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
