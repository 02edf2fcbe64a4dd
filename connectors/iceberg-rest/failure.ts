import { PushError, type ErrorCode } from '../../src/errors/errors.ts';
import type { Exchange, Obstacle } from '../../src/runtime/transport.ts';
import { readProblem, type Problem } from './problem.ts';

export type RestAnswer = Extract<Exchange, { readonly kind: 'answer' }>;

/** `doing` begins the detail, e.g. `loading sales.orders`. Bodies are free of our secrets when they come here. */
export function answerFailure(answer: RestAnswer, doing: string): PushError {
  const problem = readProblem(answer);
  return new PushError(codeOf(answer.status, problem), `While ${doing}: ${sentence(problem.message)}`);
}

/** No answer came: it was not sent, or the connection broke. */
export function exchangeFailure(exchange: Exclude<Exchange, RestAnswer>, doing: string): PushError {
  const fix = exchange.kind === 'unsent' ? OBSTACLES[exchange.obstacle] : undefined;
  return new PushError('REST_UNREACHABLE', `While ${doing}: ${sentence(exchange.message)}`, { fix });
}

function codeOf(status: number, { type, isPage }: Problem): ErrorCode {
  // 419 is Iceberg's "authentication timeout".
  if (status === 401 || status === 419) return 'REST_UNAUTHORIZED';
  if (status === 403) return type !== undefined && AWS_CREDENTIALS.test(type) ? 'REST_UNAUTHORIZED' : 'REST_FORBIDDEN';
  if (status === 429 || (type !== undefined && /Throttl|TooManyRequests/i.test(type))) return 'REST_THROTTLED';
  if (status >= 500 && status !== 501) return 'REST_UNAVAILABLE';
  return isPage ? 'REST_NOT_A_CATALOG' : 'REST_FAILED';
}

/** AWS answers 403 to a wrong signature as well. */
const AWS_CREDENTIALS =
  /^(UnrecognizedClient|InvalidClientTokenId|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|ExpiredToken|RequestExpired)/;

const OBSTACLES: Readonly<Record<Obstacle, string>> = {
  name: 'Correct the host in `source.uri`, or the DNS of this host.',
  refused: 'Start the catalog, or correct the port in `source.uri`.',
  tls: 'Give the authority that signed the server certificate as `source.tls.ca_file`; the certificate must name the host in `source.uri`.',
  timeout: 'Check the network to the host in `source.uri` (firewall, routing), or raise `source.timeouts.connect`.',
  connection: 'Check the network to the host in `source.uri`.',
};

/** Concerns the one thing that was asked for; another one may be readable. */
export const isDenial = (error: unknown): error is PushError =>
  error instanceof PushError && (error.code === 'REST_FORBIDDEN' || error.code === 'REST_TABLE_HIDDEN');

/** One table's own trouble, denial included: others may well be readable. */
export const isOfOneTable = (error: unknown): error is PushError =>
  isDenial(error) ||
  (error instanceof PushError && /^REST_(UNAVAILABLE|ANSWER_TOO_LARGE|FAILED|NOT_A_CATALOG)$/.test(error.code));

export const sentence = (text: string): string => (/[.!?…]$/.test(text) ? text : `${text}.`);
