import { PushError, type ErrorCode } from '../../src/errors/errors.ts';
import type { HiveConfig } from './config.ts';

/** SQLSTATE → error code. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const BY_SQLSTATE: Readonly<Record<string, ErrorCode>> = {
  '28P01': 'HIVE_LOGIN_REFUSED',
  '28000': 'HIVE_LOGIN_REFUSED',
  '3D000': 'HIVE_DATABASE_UNKNOWN',
  '42501': 'HIVE_PRIVILEGE_MISSING',
  '42P01': 'HIVE_NOT_A_METASTORE',
  '42703': 'HIVE_NOT_A_METASTORE',
  '3F000': 'HIVE_NOT_A_METASTORE',
  '55006': 'HIVE_SLOT_IN_USE',
  '53400': 'HIVE_SLOTS_EXHAUSTED',
  '57014': 'HIVE_TIMEOUT',
};

/** SQLSTATE classes of a server that is away, stopping or full; another attempt can succeed. */
const UNREACHABLE_CLASSES = new Set(['08', '53', '57', '58']);

const TLS_CODES =
  /^(ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_|EPROTO|HOSTNAME_MISMATCH)|^(ERR_OSSL|CERTIFICATE)/;

/**
 * What an error of `pg`, of a socket or of PostgreSQL means here. `PushError`s pass unchanged. The server's own text is
 * kept, without the password should it hold it; `doing` begins the detail, e.g. `listing the tables`.
 */
export function hiveFailure(error: unknown, doing: string, config: HiveConfig): PushError {
  if (error instanceof PushError) return error;
  const code = codeOf(error);
  if (code === '42501' && /row-level security/.test(messageOf(error))) return rowsHidden(error);
  const text = redact(messageOf(error), config);
  return new PushError(errorCodeOf(code, text), `While ${doing}: ${text}${/[.!?]$/.test(text) ? '' : '.'}`, {
    cause: withoutSecrets(error, text, code),
  });
}

/** That a question about tables could have no complete answer. */
export function rowsHidden(cause?: unknown): PushError {
  return new PushError('HIVE_PRIVILEGE_MISSING', 'Row-level security hides rows; a hidden table would look absent.', {
    fix: 'As a superuser: ALTER ROLE … BYPASSRLS; `polaris-push check` names the role.',
    cause,
  });
}

/** The SQLSTATE or the code of the system call; undefined if there is none. */
export function codeOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

function errorCodeOf(code: string | undefined, text: string): ErrorCode {
  if (code === undefined) {
    // `pg` gives these no code.
    if (/does not support SSL|certificate/i.test(text)) return 'HIVE_TLS';
    if (/terminated|timeout|not queryable|ended/i.test(text)) return 'HIVE_UNREACHABLE';
    return 'HIVE_QUERY_FAILED';
  }
  const known = BY_SQLSTATE[code];
  if (known !== undefined) return known;
  if (TLS_CODES.test(code)) return 'HIVE_TLS';
  if (/^E[A-Z_]+$/.test(code)) return 'HIVE_UNREACHABLE';
  if (/^[0-9A-Z]{5}$/.test(code))
    return UNREACHABLE_CLASSES.has(code.slice(0, 2)) ? 'HIVE_UNREACHABLE' : 'HIVE_QUERY_FAILED';
  return 'HIVE_UNREACHABLE';
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '')
    return [...new Set(error.errors.map(messageOf))].join(', ') || 'connection failed';
  return error instanceof Error && error.message !== '' ? error.message : String(error);
}

/** The password, as written in the URL and decoded. */
function redact(text: string, config: HiveConfig): string {
  const password = /^[a-z]+:\/\/[^/?#]*?:([^@/?#]+)@/.exec(config.connection)?.[1];
  if (password === undefined) return text;
  let redacted = text.replaceAll(config.connection, '***').replaceAll(password, '***');
  try {
    redacted = redacted.replaceAll(decodeURIComponent(password), '***');
  } catch {
    // Not percent-encoded: it was replaced as it stands.
  }
  return redacted;
}

/** Errors of `pg` carry the query's fields and, when a URL can't be read, the URL itself: only text and code are kept. */
function withoutSecrets(error: unknown, text: string, code: string | undefined): Error {
  const cause = new Error(text);
  if (error instanceof Error) {
    cause.name = error.name;
    if (error.stack !== undefined)
      cause.stack = `${error.name}: ${text}\n${error.stack
        .split('\n    at ')
        .slice(1)
        .map((line) => `    at ${line}`)
        .join('\n')}`;
  }
  return Object.assign(cause, { code });
}
