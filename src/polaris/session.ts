import hyperid from 'hyperid';
import { showTable } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Redactor } from '../runtime/redact.ts';
import type { TokenSource } from '../runtime/token.ts';
import type { Tracing } from '../runtime/tracing.ts';
import type { Exchange, Obstacle, Transport } from '../runtime/transport.ts';
import { readAnswer, type Answer } from './answer.ts';
import { classifyFailure, type Failure } from './classify.ts';
import type { TargetConfig } from './config.ts';

/** What a request is for, in logs and metrics. */
export type RequestKind = 'notify' | 'serves' | 'list' | 'config' | 'check' | 'policies' | 'load';

export type RequestSeen = {
  readonly kind: RequestKind;
  /** The status of the answer; undefined when there was none. */
  readonly status: number | undefined;
  readonly ms: number;
};

export type ApiRequest = {
  readonly kind: RequestKind;
  readonly method: 'GET' | 'POST';
  /** Below `<uri>/`, percent-encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  readonly maxBodyBytes: number;
  /** The table that it is about, for the log: with the request's id it leads to Polaris's own log. */
  readonly table?: TableIdentifier | undefined;
};

export type Reply =
  | { readonly kind: 'answer'; readonly answer: Answer; readonly body: string; readonly cut: boolean }
  /** No answer to go by. `obstacle` is set when no connection could be made. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly obstacle?: Obstacle | undefined };

export type SessionOptions = {
  readonly config: TargetConfig;
  readonly transport: Transport;
  readonly tokens: TokenSource<Failure>;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Log;
  readonly onRequest?: ((request: RequestSeen) => void) | undefined;
  /** Undefined: requests carry no trace. */
  readonly tracing?: Pick<Tracing, 'headers'> | undefined;
};

/** Requests to one Polaris with everything that each of them carries: token, realm, request id, extra headers. */
export class Session implements AsyncDisposable {
  readonly config: TargetConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly tokens: TokenSource<Failure>;
  readonly #options: SessionOptions;
  readonly #basePath: string;
  readonly #requestId = hyperid({ urlSafe: true });

  constructor(options: SessionOptions) {
    this.#options = options;
    this.config = options.config;
    this.clock = options.clock;
    this.log = options.log;
    this.tokens = options.tokens;
    this.#basePath = new URL(options.config.uri).pathname.replace(/\/$/, '');
  }

  /**
   * Sends once. A refused token is renewed and the request sent again, once: Polaris looks at the token before anything
   * else, so the first one did nothing. Throws only the signal's reason.
   */
  async call(request: ApiRequest, signal: AbortSignal): Promise<Reply> {
    const token = await this.tokens.token(signal);
    if (token.kind !== 'token') return { kind: 'failed', failure: token };
    const reply = await this.send(request, token.value, signal);
    if (reply.kind !== 'answer' || reply.answer.status !== 401) return reply;
    const other = await this.tokens.replacement(token.value, signal);
    if (other === undefined) return reply;
    if (other.kind !== 'token') return { kind: 'failed', failure: other };
    return await this.send(request, other.value, signal);
  }

  /** The same without a token source; undefined: without a token. */
  async send(request: ApiRequest, token: string | undefined, signal: AbortSignal): Promise<Reply> {
    const { transport, config, clock, redactor, tracing } = this.#options;
    const requestId = this.#requestId();
    const startedMs = clock.monotonicMs();
    const exchange = await transport.send(
      {
        method: request.method,
        path: `${this.#basePath}/${request.path}`,
        headers: {
          ...tracing?.headers(),
          ...config.headers,
          accept: 'application/json',
          'x-request-id': requestId,
          ...(config.realm === undefined ? {} : { 'polaris-realm': config.realm }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...request.headers,
        },
        body: request.body,
        maxBodyBytes: request.maxBodyBytes,
      },
      signal,
    );
    this.#observe(request, requestId, exchange, clock.monotonicMs() - startedMs);
    switch (exchange.kind) {
      case 'answer':
        return {
          kind: 'answer',
          answer: this.#read(exchange),
          body: exchange.body,
          cut: exchange.cut,
        };
      case 'unsent': {
        const failure: Failure = { kind: 'unavailable', message: redactor.clean(exchange.message) };
        return { kind: 'failed', failure, obstacle: exchange.obstacle };
      }
      case 'silence':
        return { kind: 'failed', failure: { kind: 'unknown', message: redactor.clean(exchange.message) } };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.tokens[Symbol.asyncDispose](), this.#options.transport[Symbol.asyncDispose]()]);
  }

  /** Success needs no reading, and its body may be large. */
  #read({ status, headers, body }: Extract<Exchange, { readonly kind: 'answer' }>): Answer {
    if (status < 300) return { status, message: `HTTP ${status}`, headers };
    return readAnswer(status, headers, this.#options.redactor.clean(body));
  }

  #observe(request: ApiRequest, requestId: string, exchange: Exchange, ms: number): void {
    const status = exchange.kind === 'answer' ? exchange.status : undefined;
    this.#options.onRequest?.({ kind: request.kind, status, ms });
    this.log.debug('polaris-request', {
      kind: request.kind,
      table: request.table && showTable(request.table),
      method: request.method,
      path: request.path,
      requestId,
      ms: Math.round(ms * 10) / 10,
      ...(exchange.kind === 'answer'
        ? { status }
        : { problem: exchange.kind, message: this.#options.redactor.clean(exchange.message) }),
    });
  }
}

/** Any answer but success, for a caller who wanted one. */
export const failureOf = (reply: Reply): Failure =>
  reply.kind === 'failed' ? reply.failure : classifyFailure(reply.answer);
