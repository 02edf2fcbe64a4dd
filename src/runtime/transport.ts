import { getCACertificates } from 'node:tls';
import { Pool, type Dispatcher } from 'undici';
import type { Clock } from './clock.ts';
import type { HttpTimeouts } from './http-schema.ts';

export type HttpRequest = {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** From the slash behind the host on, percent-encoded; goes out as it is. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** What the answer's body is cut at. */
  readonly maxBodyBytes: number;
};

/** What stood in the way of a request that never left. */
export type Obstacle = 'name' | 'refused' | 'tls' | 'timeout' | 'connection';

export type Exchange =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** Names in lower case; the first value of each. */
      readonly headers: Readonly<Record<string, string | undefined>>;
      readonly body: string;
      /** The body was longer than `maxBodyBytes`. */
      readonly cut: boolean;
    }
  /** The request was certainly not sent. */
  | { readonly kind: 'unsent'; readonly obstacle: Obstacle; readonly message: string }
  /** It was handed to a connection, and no whole answer came back: it may or may not have been acted on. */
  | { readonly kind: 'silence'; readonly message: string };

export type TransportOptions = {
  readonly origin: string;
  readonly connections: number;
  readonly timeouts: HttpTimeouts;
  /** PEM certificates to trust besides those of the system. */
  readonly ca?: string | undefined;
  readonly clock: Clock;
};

/** Longer than between two commits of a busy metastore, shorter than what load balancers close idle connections after. */
const KEEP_ALIVE_MS = 30_000;

/** An abort without a reason would make an exception with its stack for every request. */
const FINISHED = 'finished';

/**
 * HTTP/1.1 to one origin. A request is sent once and every phase has its timeout; nothing is repeated here, as only
 * the caller knows what may be repeated.
 */
export class Transport implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #totalMs: number;
  readonly #clock: Clock;
  readonly #origin: string;

  constructor({ origin, connections, timeouts, ca, clock }: TransportOptions) {
    this.#pool = new Pool(origin, {
      connections,
      pipelining: 1,
      // What is known of the servers' behaviour was recorded over HTTP/1.1.
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectTimeout: timeouts.connectMs,
      headersTimeout: timeouts.headersMs,
      bodyTimeout: timeouts.bodyMs,
      ...(ca === undefined ? {} : { connect: { ca: [...getCACertificates('default'), ca] } }),
    });
    this.#totalMs = timeouts.totalMs;
    this.#clock = clock;
    this.#origin = origin;
  }

  /** Throws the signal's reason when it aborts, and nothing else. */
  async send(request: HttpRequest, signal: AbortSignal): Promise<Exchange> {
    signal.throwIfAborted();
    const handler = new Handler(request.maxBodyBytes, this.#origin);
    const finished = new AbortController();
    const onAbort = () => handler.abort(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    void this.#expire(handler, finished.signal);
    try {
      const { method, path, headers, body } = request;
      this.#pool.dispatch({ method, path, headers, ...(body === undefined ? {} : { body }) }, handler);
      return await handler.exchange;
    } finally {
      finished.abort(FINISHED);
      signal.removeEventListener('abort', onAbort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }

  async #expire(handler: Handler, finished: AbortSignal): Promise<void> {
    await this.#clock.sleep(this.#totalMs, finished);
    if (!finished.aborted) handler.expire(this.#totalMs);
  }
}

/** Follows one request. From when it has a controller, the request may be on the wire; before, it certainly isn't. */
class Handler implements Dispatcher.DispatchHandler {
  readonly exchange: Promise<Exchange>;
  readonly #resolve: (exchange: Exchange) => void;
  readonly #reject: (reason: Error) => void;
  readonly #maxBodyBytes: number;
  readonly #origin: string;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #controller: Dispatcher.DispatchController | undefined;
  #head: { readonly status: number; readonly headers: Readonly<Record<string, string | undefined>> } | undefined;
  /** Set when nobody waits any more; the connection is then given up as soon as there is one. */
  #abandoned: Error | undefined;

  constructor(maxBodyBytes: number, origin: string) {
    const { promise, resolve, reject } = Promise.withResolvers<Exchange>();
    this.exchange = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#maxBodyBytes = maxBodyBytes;
    this.#origin = origin;
  }

  /** The caller's abort. */
  abort(reason: Error): void {
    this.#reject(reason);
    this.#abandon(reason);
  }

  expire(totalMs: number): void {
    const message = `no answer from ${this.#origin} within ${totalMs} ms`;
    this.#resolve(
      this.#controller === undefined
        ? { kind: 'unsent', obstacle: 'timeout', message: `no connection to ${this.#origin} within ${totalMs} ms` }
        : { kind: 'silence', message },
    );
    this.#abandon(new Error(message));
  }

  #abandon(reason: Error): void {
    this.#abandoned = reason;
    this.#controller?.abort(reason);
  }

  /** Called right before the request is written to a connection that stands. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#abandoned !== undefined) return controller.abort(this.#abandoned);
    this.#controller = controller;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: NodeJS.Dict<string | string[]>): void {
    // 1xx comes before the answer.
    if (status < 200) return;
    this.#head = {
      status,
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name.toLowerCase(), Array.isArray(value) ? value[0] : value]),
      ),
    };
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#maxBodyBytes) return;
    this.#answer(true);
    this.#abandon(new Error('The rest of the answer is not wanted.'));
  }

  onResponseEnd(): void {
    this.#answer(false);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#controller === undefined) {
      this.#resolve(unsent(error, this.#origin));
    } else {
      const where = this.#head === undefined ? 'before' : 'in the middle of';
      this.#resolve({
        kind: 'silence',
        message: `${where} its answer, the exchange with ${this.#origin} failed: ${codeOf(error) ?? error.message}`,
      });
    }
  }

  #answer(cut: boolean): void {
    const { status, headers } = this.#head ?? { status: 0, headers: {} };
    const body = Buffer.concat(this.#chunks).toString('utf8', 0, this.#maxBodyBytes);
    this.#resolve({ kind: 'answer', status, headers, body, cut });
  }
}

function unsent(error: Error, origin: string): Exchange {
  const code = codeOf(error);
  const because = code === undefined ? error.message : code;
  const obstacle = obstacleOf(code);
  switch (obstacle) {
    case 'name':
      return { kind: 'unsent', obstacle, message: `the host name of ${origin} is not known (${because})` };
    case 'refused':
      return { kind: 'unsent', obstacle, message: `nothing listens at ${origin} (${because})` };
    case 'tls':
      return { kind: 'unsent', obstacle, message: `TLS with ${origin} failed: ${error.message} (${because})` };
    case 'timeout':
      return { kind: 'unsent', obstacle, message: `connecting to ${origin} took too long (${because})` };
    case 'connection':
      return { kind: 'unsent', obstacle, message: `no connection to ${origin} (${because})` };
  }
}

function obstacleOf(code: string | undefined): Obstacle {
  if (code === undefined) return 'connection';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'name';
  if (code === 'ECONNREFUSED') return 'refused';
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'timeout';
  // OpenSSL's names of verification failures, and Node's of everything else that has to do with TLS.
  return /CERT|SIGNATURE|ISSUER|^ERR_(TLS|SSL|OSSL)|^EPROTO$/.test(code) ? 'tls' : 'connection';
}

function codeOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}
