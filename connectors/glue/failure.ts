import { PushError, type ErrorCode } from '../../src/errors/errors.ts';
import { statementFor, type Action, type Place } from './statement.ts';

export type Doing = Place & {
  /** Begins the detail, e.g. `reading table sales.orders`. */
  readonly doing: string;
  readonly action: Action;
};

type Service = 'GLUE' | 'SQS';
/** Codes that exist for both services. */
type Common = 'UNREACHABLE' | 'ACCESS_DENIED' | 'THROTTLED' | 'ENCRYPTION' | 'FAILED';

/**
 * What an error of the AWS SDK means here; `PushError`s pass unchanged. AWS's own text is kept where it can't hold a secret:
 * the answer to a wrong signature repeats the request with its session token, so of that only the first sentence is.
 */
export function awsFailure(error: unknown, doing: Doing): PushError {
  if (error instanceof PushError) return error;
  const service = doing.action.startsWith('sqs:') ? 'SQS' : 'GLUE';
  const name = nameOf(error);
  const text = textOf(error);
  const code = codeOf(name, text, error, service);
  return new PushError(code, `While ${doing.doing}: ${text}${/[.!?]$/.test(text) ? '' : '.'}`, {
    cause: withoutSecrets(error, name, text),
    fix: fixOf(code, text, doing),
  });
}

/** The error's code as AWS names it, e.g. `EntityNotFoundException`; or that of a system call. */
export function nameOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const name = 'name' in error && typeof error.name === 'string' ? error.name : '';
  // A socket's error is an `Error` by name; an answer of AWS has its code as name.
  return (name === '' || name === 'Error') && code !== undefined ? code : name;
}

/** A table, a database or the catalog that Glue doesn't have. Which of them, the error doesn't tell reliably. */
export const isNotFound = (error: unknown): boolean => nameOf(error) === 'EntityNotFoundException';

export const isDenied = (error: unknown): boolean =>
  /^AccessDenied|^UnauthorizedOperation$|^NotAuthorized|^InvalidSecurity$/.test(nameOf(error));

/** Too many calls, by whatever name. */
export const isThrottling = (error: unknown): boolean =>
  /Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|^BandwidthLimitExceeded$/.test(nameOf(error));

/** Concerns the one table that was asked for; another one may be readable. */
export const isOfOneTable = (error: unknown): boolean =>
  isDenied(error) || /^(InvalidInputException|ValidationException|FederationSourceException)$/.test(nameOf(error));

const BY_NAME: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^CredentialsProviderError$/, 'GLUE_CREDENTIALS_MISSING'],
  [/^ExpiredToken|^TokenRefreshRequired$|^ExpiredCredentials|^RequestExpired$/, 'GLUE_CREDENTIALS_EXPIRED'],
  [/^RequestTimeTooSkewed$/, 'GLUE_CLOCK_SKEWED'],
  [
    /^(UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|AuthFailure|InvalidToken)/,
    'GLUE_CREDENTIALS_REFUSED',
  ],
  [/^(FederationSource|EntityNotFound).*$/, 'GLUE_FEDERATION'],
  [/QueueDoesNotExist|NonExistentQueue|^InvalidAddress$|^QueueDeletedRecently$/, 'SQS_QUEUE_MISSING'],
  [/^OverLimit$/, 'SQS_TOO_MANY_IN_FLIGHT'],
];

function codeOf(name: string, text: string, error: unknown, service: Service): ErrorCode {
  if (/sts:AssumeRole/i.test(text)) return 'GLUE_ROLE_REFUSED';
  if (/region is missing/i.test(text)) return 'GLUE_REGION_MISSING';
  if (name.startsWith('InvalidSignature') && /expired|not yet current/i.test(text)) return 'GLUE_CLOCK_SKEWED';
  if (name === 'EntityNotFoundException' && !fromFederation(error)) return 'GLUE_CATALOG_UNKNOWN';
  const known = BY_NAME.find(([pattern]) => pattern.test(name))?.[1];
  if (known !== undefined) return known;
  return `${service}_${commonCode(name, text, error)}`;
}

function commonCode(name: string, text: string, error: unknown): Common {
  if (/^Glue?Encryption|^KMS[._A-Z]|^Kms/i.test(name) || /\bkms:\w+/i.test(text)) return 'ENCRYPTION';
  if (isDenied(error)) return 'ACCESS_DENIED';
  if (isThrottling(error)) return 'THROTTLED';
  const status = statusOf(error);
  if (status === undefined || status >= 500 || /Timeout|^(Internal|ServiceUnavailable|ResourceNotReady)/.test(name))
    return 'UNREACHABLE';
  return status === 403 ? 'ACCESS_DENIED' : 'FAILED';
}

function fixOf(code: ErrorCode, text: string, doing: Doing): string | undefined {
  if (code === 'GLUE_ACCESS_DENIED' && /lake formation/i.test(text))
    return `In Lake Formation, grant the agent's role DESCRIBE on the database and on its tables: aws lakeformation grant-permissions --permissions DESCRIBE --principal DataLakePrincipalIdentifier=ROLE_ARN --resource '{"Table":{"DatabaseName":"NAME","TableWildcard":{}}}'`;
  if (code === 'GLUE_ACCESS_DENIED')
    return `Add to the policy of the agent's role: ${statementFor(doing.action, doing)}`;
  if (code === 'SQS_ACCESS_DENIED')
    return `Add to the policy of the agent's role: ${statementFor(doing.action, doing)} (a queue in another account needs it in the queue's policy, too)`;
  if (code === 'SQS_QUEUE_MISSING')
    return `Correct \`queue_url\` (${doing.queueUrl ?? 'not set'}); a queue in another region is missing, too.`;
  return undefined;
}

const fromFederation = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'FromFederationSource' in error && error.FromFederationSource === true;

function statusOf(error: unknown): number | undefined {
  const metadata = typeof error === 'object' && error !== null && '$metadata' in error ? error.$metadata : undefined;
  const status = (metadata as { readonly httpStatusCode?: number } | undefined)?.httpStatusCode;
  return typeof status === 'number' ? status : undefined;
}

const LONGEST = 500;

function textOf(error: unknown): string {
  const text = messageOf(error);
  if (/Signature/.test(nameOf(error)) || /x-amz-security-token/i.test(text))
    return /^[^.\n]{1,200}\.?/.exec(text)?.[0] ?? 'the signature does not match';
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return [...new Set(error.errors.map(messageOf))].join(', ');
  if (!(error instanceof Error)) return String(error);
  return error.message === '' || error.message === 'UnknownError' ? nameOf(error) || 'no answer' : error.message;
}

/** Errors of the SDK carry the answer with all headers, and on request the request: only text, name and request id are kept. */
function withoutSecrets(error: unknown, name: string, text: string): Error {
  const cause = new Error(text);
  cause.name = name || 'Error';
  const metadata = error instanceof Error && '$metadata' in error ? error.$metadata : undefined;
  const requestId = (metadata as { readonly requestId?: string } | undefined)?.requestId;
  return Object.assign(cause, requestId === undefined ? {} : { requestId });
}
