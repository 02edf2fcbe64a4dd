import { PushError } from '../../src/errors/errors.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { Log } from '../../src/runtime/log.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { Redactor } from '../../src/runtime/redact.ts';
import { retryAfterMs } from '../../src/runtime/retry-after.ts';
import { Transport, type Exchange } from '../../src/runtime/transport.ts';
import type { Admission, Rank } from './admission.ts';
import type { Authorizer } from './auth.ts';
import type { RestConfig } from './config.ts';
import { answerFailure, exchangeFailure, type RestAnswer } from './failure.ts';
import type { RequestKind, RestMeter } from './meter.ts';

/** One question to the catalog. All of them only read, so all may be asked again. */
export type Question = {
  readonly kind: RequestKind;
  /** For errors and logs, e.g. `loading sales.orders`. */
  readonly doing: string;
  /** Percent-encoded, with the query: `https://catalog.example.com/v1/lake/namespaces?pageToken=`. */
  readonly address: string;
  readonly etag?: string | undefined;
  readonly maxBodyBytes: number;
  /** Goes before what can wait, when requests are rationed. */
  readonly urgent?: boolean | undefined;
};

type Ranked = Question & { readonly rank: Rank };

export type RestClientOptions = {
  readonly config: RestConfig;
  readonly authorizer: Authorizer;
  readonly admission: Admission;
  readonly meter: RestMeter;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Log;
  readonly ca: string | undefined;
  /** How often a question is asked at most, when there is no answer or the catalog is in trouble. */
  readonly tries: number;
};

const FIRST_PAUSE_MS = 250;
/** A catalog that wants to be left alone for longer is asked again by whoever needs the answer. */
const LONGEST_PAUSE_MS = 30_000;
const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** GET requests to one catalog, with credentials, within the budget, and repeated where that helps. */
export class RestClient implements AsyncDisposable {
  readonly #options: RestClientOptions;
  readonly #transports = new Map<string, Transport>();

  constructor(options: RestClientOptions) {
    this.#options = options;
  }

  /**
   * The answer, whatever its status but 401, 429 and 5xx (501 aside): those throw, as does no answer, after some tries. Throws
   * `PushError`, or the signal's reason.
   */
  async ask(question: Question, signal: AbortSignal): Promise<RestAnswer> {
    const { clock, meter, tries } = this.#options;
    for (let tried = 1; ; tried++) {
      const rank = tried > 1 ? 'first' : question.urgent === true ? 'urgent' : 'later';
      const exchange = await this.#authorized({ ...question, rank }, signal);
      if (exchange.kind === 'answer' && !isTrouble(exchange.status)) {
        if (exchange.status === 401 || exchange.status === 419) throw this.failure(exchange, question.doing);
        return exchange;
      }
      const pauseMs = this.#pauseAfter(exchange, tried);
      // A name that isn't known or a certificate that isn't trusted won't be in a second or two.
      const hopeless = exchange.kind === 'unsent' && (exchange.obstacle === 'name' || exchange.obstacle === 'tls');
      if (tried >= tries || hopeless || pauseMs > LONGEST_PAUSE_MS) throw this.failure(exchange, question.doing);
      meter.add('retried');
      await clock.sleep(pauseMs, signal);
      signal.throwIfAborted();
    }
  }

  /** The error for a caller who can't go on with that answer. `doing` begins its detail. */
  failure(exchange: Exchange, doing: string): PushError {
    const { redactor } = this.#options;
    return exchange.kind === 'answer'
      ? answerFailure({ ...exchange, body: redactor.clean(exchange.body) }, doing)
      : exchangeFailure({ ...exchange, message: redactor.clean(exchange.message) }, doing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { authorizer, admission } = this.#options;
    admission[Symbol.dispose]();
    await Promise.all([...this.#transports.values(), authorizer].map((part) => part[Symbol.asyncDispose]()));
  }

  /** A refused proof is renewed and the request sent again, once. */
  async #authorized(question: Ranked, signal: AbortSignal): Promise<Exchange> {
    const { authorizer } = this.#options;
    const { exchange, proof } = await this.#followed(question, signal);
    if (exchange.kind !== 'answer' || (exchange.status !== 401 && exchange.status !== 419)) return exchange;
    if (!(await authorizer.renew(proof, signal))) return exchange;
    return (await this.#followed(question, signal)).exchange;
  }

  /** Follows redirections within the origin, some of them: elsewhere the credentials have no business. */
  async #followed(question: Ranked, signal: AbortSignal): Promise<Sent> {
    let url = new URL(question.address);
    const visited = new Set<string>();
    for (;;) {
      visited.add(url.href);
      const sent = await this.#send(url, question, signal);
      const { exchange } = sent;
      if (exchange.kind !== 'answer' || !REDIRECTS.has(exchange.status)) return sent;
      const { location } = exchange.headers;
      const next = location === undefined ? null : URL.parse(location, url.href);
      if (next === null) return sent;
      const refuse = (why: string, fix?: string) =>
        // The query of a redirection to a login page may repeat the request.
        new PushError('REST_REDIRECTED', `While ${question.doing}: HTTP ${exchange.status}, ${why}.`, { fix });
      if (next.origin !== url.origin)
        throw refuse(
          `a redirection to ${next.origin}`,
          `If that is the catalog's own address, set it as source.uri; if it is a login page, let the gateway pass requests with a token.`,
        );
      if (visited.has(next.href)) throw refuse(`a redirection in a circle, back to ${next.origin}${next.pathname}`);
      if (visited.size > MAX_REDIRECTS) throw refuse(`after ${MAX_REDIRECTS} redirections one more`);
      url = next;
    }
  }

  async #send(url: URL, question: Ranked, signal: AbortSignal): Promise<Sent> {
    const { config, authorizer, admission, meter, clock } = this.#options;
    using _ = await admission.enter(question.rank, signal);
    // Not before it is let in: a signature holds for some minutes only.
    const proof = await authorizer.prove({ method: 'GET', url }, signal);
    const sentAt = clock.now();
    const startedMs = clock.monotonicMs();
    meter.sent(question.kind);
    const exchange = await this.#transport(url).send(
      {
        method: 'GET',
        path: `${url.pathname}${url.search}`,
        headers: {
          ...config.headers,
          accept: 'application/json',
          ...(question.etag === undefined ? {} : { 'if-none-match': question.etag }),
          ...proof,
        },
        maxBodyBytes: question.maxBodyBytes,
      },
      signal,
    );
    if (exchange.kind === 'answer') meter.skew.answered(exchange.headers['date'], sentAt, clock.now());
    this.#tell(url, question, exchange, clock.monotonicMs() - startedMs);
    return { exchange, proof };
  }

  #transport({ origin }: URL): Transport {
    const known = this.#transports.get(origin);
    if (known !== undefined) return known;
    const { config, ca, clock } = this.#options;
    const { concurrency: connections, timeouts } = config;
    const transport = new Transport({ origin, connections, timeouts, ca, clock });
    this.#transports.set(origin, transport);
    return transport;
  }

  #pauseAfter(exchange: Exchange, tried: number): number {
    const { admission, meter } = this.#options;
    const pauseMs = FIRST_PAUSE_MS * 2 ** (tried - 1) * (0.5 + systemRandom());
    if (exchange.kind !== 'answer') return pauseMs;
    const asked = retryAfterMs(exchange.headers['retry-after'], this.#options.clock.now());
    if (exchange.status !== 429) return asked ?? pauseMs;
    meter.add('throttled');
    // It is the agent as a whole that sends too much.
    admission.rest(Math.min(asked ?? pauseMs, LONGEST_PAUSE_MS));
    return asked ?? pauseMs;
  }

  #tell(url: URL, question: Question, exchange: Exchange, ms: number): void {
    const { log, redactor } = this.#options;
    log.debug('rest-request', {
      kind: question.kind,
      path: url.pathname,
      ms: Math.round(ms * 10) / 10,
      ...(exchange.kind === 'answer'
        ? { status: exchange.status }
        : { problem: exchange.kind, message: redactor.clean(exchange.message) }),
    });
  }
}

type Sent = { readonly exchange: Exchange; readonly proof: Readonly<Record<string, string>> };

/** 501 says that it will never be otherwise. */
const isTrouble = (status: number): boolean => status === 429 || (status >= 500 && status !== 501);
