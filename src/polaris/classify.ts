import type { Outcome, RefusalReason } from '../core/types.ts';
import { retryAfterMs } from '../runtime/retry-after.ts';
import type { Answer } from './answer.ts';

/** An outcome other than success. */
export type Failure = Exclude<Outcome, { readonly kind: 'admitted' }>;

type Meaning =
  | RefusalReason
  | 'stale'
  | 'lost-race'
  | 'view'
  | 'generic table'
  | 'unavailable'
  | 'unauthorized'
  | 'unknown';

type Rule = {
  readonly statuses: readonly number[];
  readonly types?: readonly string[] | undefined;
  readonly message?: RegExp | undefined;
  readonly meaning: Meaning;
};

/**
 * What Polaris says, and what it means; the first match counts. Statuses alone mislead: a 503 can be one table's own
 * unreadable file, a 403 a location or a privilege, and five different things share 409. So status, type and message
 * decide together, and this table is the only place that knows messages. Recorded from Polaris 1.7.0 and pinned by
 * classify.test.ts, but for the rules marked "source": those come from reading Polaris's IcebergExceptionMapper, which
 * gives an exception the status of the object store's error inside it, and Iceberg's FileIO classes.
 */
const RULES: readonly Rule[] = [
  // 409
  {
    statuses: [409],
    types: ['AlreadyExistsException'],
    message: /^A notification with a newer timestamp has been processed/,
    meaning: 'stale',
  },
  { statuses: [409], types: ['AlreadyExistsException'], message: /^View already exists/, meaning: 'view' },
  {
    statuses: [409],
    types: ['AlreadyExistsException'],
    message: /^Generic table already exists/,
    meaning: 'generic table',
  },
  // Two CREATEs raced. The loser may be the newer one, so it is sent again and judged by its timestamp.
  { statuses: [409], types: ['AlreadyExistsException'], message: /^Table already exists/, meaning: 'lost-race' },
  // CommitFailedException: source.
  { statuses: [409], types: ['CommitConflictException', 'CommitFailedException'], meaning: 'lost-race' },

  // The catalog or the way to it
  { statuses: [404], types: ['MissingOrInvalidRealm'], meaning: 'no-such-realm' },
  // Every other namespace is made on the way; the root is missing only when the catalog is.
  {
    statuses: [404],
    types: ['NoSuchNamespaceException'],
    message: /^Namespace does not exist: ''$/,
    meaning: 'no-such-catalog',
  },
  { statuses: [404], types: ['NotFoundException'], message: /^Unable to find warehouse/, meaning: 'no-such-catalog' },
  {
    statuses: [400],
    types: ['BadRequestException'],
    message: /^Cannot update internal catalog via notifications/,
    meaning: 'internal-catalog',
  },
  { statuses: [403], types: ['ForbiddenException'], message: /is not authorized for op/, meaning: 'not-authorized' },
  // Polaris itself can't get credentials for the object store. Source; a 500 SdkClientException of this kind was recorded.
  { statuses: [400, 403], types: ['StsException', 'MsalServiceException'], meaning: 'unavailable' },

  // Locations and names
  { statuses: [403], types: ['ForbiddenException'], message: /^Invalid locations/, meaning: 'location-not-allowed' },
  {
    statuses: [400],
    types: ['BadRequestException'],
    message: /^Metadata location .* is not allowed outside of table location/s,
    meaning: 'location-not-allowed',
  },
  // Polaris makes the location of a namespace of its name, which has no place in a file: URI when it holds a blank. A
  // namespace's location ends in a slash; without one it's the metadata location that can't be parsed.
  {
    statuses: [400],
    types: ['IllegalArgumentException'],
    message: /^Illegal character in .*\/$/s,
    meaning: 'name-not-addressable',
  },
  // Something on the way took the table's name out of the path, and another operation looked for `notifications`.
  {
    statuses: [404],
    types: ['NoSuchTableException'],
    message: /^Table does not exist: (.*\.)?notifications$/s,
    meaning: 'name-not-addressable',
  },

  // The metadata file
  // Local and Hadoop file systems say the first, S3, GCS and ADLS the second (source). Where an object store's own 404
  // is inside, Polaris answers 400 (source).
  {
    statuses: [400, 404],
    types: ['NotFoundException'],
    message: /^(Failed to open input stream for file|Location does not exist):/,
    meaning: 'metadata-missing',
  },
  {
    statuses: [400, 403, 503],
    types: ['RuntimeIOException'],
    message: /^Failed to (read|open)/,
    meaning: 'metadata-unreadable',
  },
  // The object store denied or refused the read. Source.
  {
    statuses: [400, 403, 422],
    types: [
      'S3Exception',
      'NoSuchBucketException',
      'StorageException',
      'BlobStorageException',
      'HttpResponseException',
    ],
    meaning: 'metadata-unreadable',
  },
  // The object store's host is unknown. Source.
  { statuses: [404], types: ['FileIOUnknownHostException'], meaning: 'metadata-unreadable' },
  // The body of the request is checked elsewhere (WebApplicationException), so this comes from parsing the file.
  { statuses: [400], types: ['IllegalArgumentException'], meaning: 'metadata-invalid' },

  // Races and mishaps inside Polaris
  // Seen once while another request made the same namespaces, which existed throughout.
  { statuses: [404], types: ['NotFoundException'], message: /^Parent path does not exist/, meaning: 'lost-race' },
  // The request lacked a field, or the metadata file did: the same request fails for ever.
  { statuses: [500], types: ['NullPointerException'], meaning: 'unrecognized' },
  // Source.
  { statuses: [500], types: ['CommitStateUnknownException'], meaning: 'unknown' },

  // Whatever stands before Polaris
  { statuses: [401, 407], meaning: 'unauthorized' },
  { statuses: [408, 425, 429], meaning: 'unavailable' },
  // The request was passed on, and nobody knows how it ended.
  { statuses: [504], meaning: 'unknown' },
];

/** What an answer to a notification means. Pure; never throws. Unknown: `unavailable` for 5xx, `unrecognized` otherwise. */
export function classify(answer: Answer): Outcome {
  // Polaris answers 204 and nothing else; a 200 is the login page of a gateway.
  if (answer.status === 204) return { kind: 'admitted' };
  const rule = RULES.find((candidate) => matches(candidate, answer));
  return outcomeOf(rule?.meaning ?? fallback(answer), answer);
}

/** What an answer other than success means for any other request, e.g. a GET. */
export function classifyFailure(answer: Answer): Failure {
  const outcome = classify(answer);
  return outcome.kind === 'admitted' ? outcomeOf('unrecognized', answer) : outcome;
}

/** The table is unknown, or the caller may not see it: Polaris doesn't tell these apart (recorded). */
export const saysNoSuchTable = (answer: Answer): boolean =>
  answer.status === 404 && answer.type === 'NoSuchTableException';

export const saysNoSuchNamespace = (answer: Answer): boolean =>
  answer.status === 404 && answer.type === 'NoSuchNamespaceException' && !answer.message.endsWith(": ''");

/** No operation of this API has that path. */
export const saysNoSuchPath = (answer: Answer): boolean =>
  answer.status === 404 && answer.message.startsWith('Unable to find matching target resource method');

/** Who was denied, from the message of `not-authorized`. */
export function deniedPrincipal(message: string): { readonly principal?: string; readonly principalRole?: string } {
  const [, principal, roles] = /^Principal '([^']*)' with activated PrincipalRoles '\[([^\]]*)\]'/.exec(message) ?? [];
  const [principalRole] = (roles ?? '').split(', ');
  return {
    ...(principal === undefined ? {} : { principal }),
    ...(principalRole === undefined || principalRole === '' ? {} : { principalRole }),
  };
}

function matches(rule: Rule, answer: Answer): boolean {
  return (
    rule.statuses.includes(answer.status) &&
    (rule.types === undefined || (answer.type !== undefined && rule.types.includes(answer.type))) &&
    (rule.message === undefined || rule.message.test(answer.message))
  );
}

function fallback({ status, type }: Answer): Meaning {
  if (status >= 500) return 'unavailable';
  // Polaris always says what it didn't find, so this is an ingress without a Polaris behind it, as during a rollout.
  if (status === 404 && type === undefined) return 'unavailable';
  return 'unrecognized';
}

function outcomeOf(meaning: Meaning, answer: Answer): Failure {
  const { status } = answer;
  const message = oneLine(answer.message);
  switch (meaning) {
    case 'stale':
    case 'lost-race':
    case 'unauthorized':
    case 'unknown':
      return { kind: meaning, message };
    case 'view':
    case 'generic table':
      return { kind: 'name-taken', by: meaning, message };
    case 'unavailable':
      return { kind: 'unavailable', retryAfterMs: pauseAskedFor(answer), message };
    case 'metadata-missing':
    case 'metadata-unreadable':
    case 'metadata-invalid':
    case 'location-not-allowed':
    case 'name-not-addressable':
    case 'not-authorized':
    case 'internal-catalog':
    case 'no-such-catalog':
    case 'no-such-realm':
    case 'unrecognized':
      return { kind: 'refused', reason: meaning, status, message };
  }
}

/** Long enough for every recorded message that matters, short enough for a log line. */
const MAX_MESSAGE_CHARS = 800;

function oneLine(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  return line.length <= MAX_MESSAGE_CHARS ? line : `${line.slice(0, MAX_MESSAGE_CHARS - 1)}…`;
}

/** A date is read against the answer's own `Date`, so our clock needn't agree with the server's. Polaris 1.7.0 sends neither. */
const pauseAskedFor = ({ headers }: Answer): number | undefined =>
  retryAfterMs(headers['retry-after'], Date.parse(headers['date'] ?? ''));
