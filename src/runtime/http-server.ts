import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PushError } from '../errors/errors.ts';
import { systemClock } from './clock.ts';
import { HttpAccess, type HttpAccessConfig, type HttpArea, type Verdict } from './http-access.ts';
import { sendStream, type HttpStream } from './http-stream.ts';
import type { Log } from './log.ts';
import { RateLimit } from './rate-limit.ts';

export type HttpRequest = {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** It has the server's token, or none is needed. Never true for a hook, which finds out itself whom it trusts. */
  readonly trusted: boolean;
  /** Aborts when the client has gone away, or the server can't wait for the answer any longer. */
  readonly signal: AbortSignal;
  /** The whole body, once. A longer one is answered with 413, and what is thrown here is not for the handler to catch. */
  body(maxBytes: number): Promise<Buffer>;
};

export type HttpResponse = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * A text is sent as UTF-8; name its type in `headers`. Of a stream the next part is asked for when the client has taken
   * the last one; it ends when the client has gone, doesn't read for a minute, or the server closes.
   */
  readonly body?: string | Uint8Array | HttpStream | undefined;
};

export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** Where parts of the agent may be asked. */
export interface Routes {
  /**
   * Answers requests of this method for exactly this path, until it is disposed. A GET answers HEAD, too. Throws if another
   * part has taken the path.
   * @param area What it is of; default `page`. Whoever may not ask there is refused before the handler is called.
   */
  route(method: string, path: string, handler: HttpHandler, area?: HttpArea): Disposable;
}

export interface HttpServer extends Routes, AsyncDisposable {
  readonly host: string;
  /** The one it was given, or which the system chose for 0. */
  readonly port: number;
  /** Routes whose handlers find out by themselves whom they trust, by a signature: they need no token. */
  readonly hooks: Routes;
}

/** Where to listen, and who may ask what; `HttpAccessConfig`. */
export type ListenAddress = HttpAccessConfig & { readonly host: string; readonly port: number };

/** A client that sends its request slower than this is cut off. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;
const MOST_HEADER_BYTES = 16 * 1024;
const MOST_CONNECTIONS = 512;
/** How long what nobody reads of a refused body is taken in. */
const LINGER_MS = 1_000;
/** Far more than people and scrapers ask, and little work; signed announcements may be many. */
const LIMIT = { perSecond: 100, burst: 200 };
const HOOK_LIMIT = { perSecond: 2_000, burst: 4_000 };
/** How long whoever asks too often waits for the refusal: with so many connections at most, that bounds the work. */
const FLOOD_ANSWER_MS = 1_000;
/** How long a closing server waits for answers that are under way. */
const CLOSE_MS = 2_000;

/** Listens for requests. Throws `HTTP_LISTEN_FAILED` when the address can't be had. */
export async function openHttpServer(address: ListenAddress, { log }: { readonly log: Log }): Promise<HttpServer> {
  const server = new NodeServer(log);
  await server.listen(address);
  return server;
}

/** `area` is undefined for a hook. */
type Route = { readonly handler: HttpHandler; readonly area: HttpArea | undefined };

class NodeServer implements HttpServer {
  readonly hooks: Routes = { route: (method, path, handler) => this.#add(method, path, { handler, area: undefined }) };
  readonly #log: Log;
  readonly #routes = new Map<string, Map<string, Route>>();
  readonly #limit = new RateLimit(LIMIT);
  readonly #hookLimit = new RateLimit(HOOK_LIMIT);
  #access = new HttpAccess({}, '');
  readonly #closing = new AbortController();
  readonly #stopping = new AbortController();
  readonly #server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      maxHeaderSize: MOST_HEADER_BYTES,
      connectionsCheckingInterval: 1_000,
    },
    (message, response) => void this.#serve(message, response),
  );
  #address: ListenAddress = { host: '', port: 0 };

  constructor(log: Log) {
    this.#log = log;
    this.#server.maxConnections = MOST_CONNECTIONS;
  }

  get host(): string {
    return this.#address.host;
  }

  get port(): number {
    return this.#address.port;
  }

  async listen({ host, port, ...access }: ListenAddress): Promise<void> {
    this.#access = new HttpAccess(access, host);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject).listen({ host, port }, resolve);
    try {
      await promise;
    } catch (error) {
      throw cannotListen(`${showHost(host)}:${port}`, error);
    }
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => this.#log.error('http-server-failed', { error }));
    this.#address = { host, port: (this.#server.address() as AddressInfo).port };
  }

  route(method: string, path: string, handler: HttpHandler, area: HttpArea = 'page'): Disposable {
    return this.#add(method, path, { handler, area });
  }

  #add(method: string, path: string, route: Route): Disposable {
    const methods = this.#routes.get(path) ?? new Map<string, Route>();
    if (methods.has(method)) throw new Error(`${method} ${path} is taken.`);
    this.#routes.set(path, methods.set(method, route));
    return {
      [Symbol.dispose]: () => {
        if (methods.get(method) === route) methods.delete(method);
        if (methods.size === 0 && this.#routes.get(path) === methods) this.#routes.delete(path);
      },
    };
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.#stopping.signal]);
    let answer: HttpResponse;
    try {
      answer = await this.#answer(message, signal);
    } catch (error) {
      if (gone.signal.aborted) return;
      if (!(error instanceof BodyTooLarge)) this.#log.error('http-handler-failed', { path: pathOf(message), error });
      answer = error instanceof BodyTooLarge ? plain(413, error.message) : plain(500, 'It failed; the log says why.');
    }
    // A closing server waits for its connections, and this one would stay open for a request that nobody takes.
    if (!this.#server.listening) response.shouldKeepAlive = false;
    const { body } = answer;
    if (!isStream(body)) return send(message, response, { ...answer, body });
    if (message.method === 'HEAD') return void response.writeHead(answer.status, answer.headers).end();
    const until = AbortSignal.any([gone.signal, this.#closing.signal]);
    try {
      await sendStream(response, { ...answer, body }, until);
    } catch (error) {
      this.#log.error('http-handler-failed', { path: pathOf(message), error });
      response.destroy();
    }
  }

  #answer(message: IncomingMessage, signal: AbortSignal): Promise<HttpResponse> {
    const [path = '', query] = (message.url ?? '').split('?', 2);
    const { method = '', headers } = message;
    const methods = this.#routes.get(path);
    const [first] = methods?.values() ?? [];
    const isHook = first !== undefined && first.area === undefined;
    if (!(isHook ? this.#hookLimit : this.#limit).take(performance.now())) return tooMany(message, signal);
    // Whoever may not ask is not told either what there is.
    const verdict: Verdict = isHook
      ? { kind: 'allowed', trusted: false }
      : this.#access.judge(first?.area ?? 'page', headers);
    if (verdict.kind !== 'allowed') return Promise.resolve(REFUSALS[verdict.kind]);
    if (methods === undefined) return Promise.resolve(plain(404, 'There is nothing here.'));
    const route = methods.get(method) ?? (method === 'HEAD' ? methods.get('GET') : undefined);
    const allow = [...methods.keys(), ...(methods.has('GET') && !methods.has('HEAD') ? ['HEAD'] : [])].join(', ');
    if (route === undefined) return Promise.resolve(plain(405, `Only ${allow}.`, { allow }));
    const body = (maxBytes: number) => readBody(message, maxBytes);
    const { trusted } = verdict;
    return route.handler({ method, path, query: new URLSearchParams(query), headers, trusted, signal, body });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#closing.abort();
    this.#server.closeIdleConnections();
    const cut = setTimeout(() => {
      this.#stopping.abort();
      // What the abort brings forth may still be sent.
      setImmediate(() => this.#server.closeAllConnections());
    }, CLOSE_MS);
    await closed;
    clearTimeout(cut);
  }
}

/** After a while, and the last thing on its connection. */
async function tooMany(message: IncomingMessage, signal: AbortSignal): Promise<HttpResponse> {
  // What else the connection brings waits in the network.
  message.socket.pause();
  await systemClock.sleep(FLOOD_ANSWER_MS, signal);
  return plain(429, 'Too many requests.', { 'retry-after': '1', connection: 'close' });
}

/** A body that is longer than its handler takes. */
class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';

  constructor(maxBytes: number) {
    super(`The body is longer than ${maxBytes} bytes.`);
  }
}

async function readBody(message: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(message.headers['content-length'] ?? 0) > maxBytes) throw new BodyTooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The iterator would destroy the connection, and with it the way back for the answer.
  for await (const chunk of message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new BodyTooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const isStream = (body: HttpResponse['body']): body is HttpStream =>
  typeof body === 'object' && Symbol.asyncIterator in body;

type WholeResponse = HttpResponse & { readonly body?: string | Uint8Array | undefined };

function send(message: IncomingMessage, response: ServerResponse, { status, headers, body }: WholeResponse): void {
  const bytes = Buffer.from(body ?? '');
  response.writeHead(status, {
    ...headers,
    'content-length': bytes.length,
    // A body that nobody has read would be taken for the next request.
    ...(message.complete ? {} : { connection: 'close' }),
  });
  response.end(message.method === 'HEAD' ? undefined : bytes);
  if (message.complete) return;
  // A connection that is closed while the client still sends may take the answer with it: it gets a moment to read.
  message.resume();
  const cut = setTimeout(() => message.destroy(), LINGER_MS);
  message.once('close', () => clearTimeout(cut));
}

const plain = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): HttpResponse => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
  body: `${text}\n`,
});

const REFUSALS: Readonly<Record<Exclude<Verdict['kind'], 'allowed'>, HttpResponse>> = {
  'no-token': plain(401, 'It needs the token of http.token: Authorization: Bearer TOKEN.', {
    'www-authenticate': 'Basic realm="polaris-push", Bearer realm="polaris-push"',
  }),
  'foreign-name': plain(
    403,
    'Without http.token only requests to a name of this machine are answered, such as 127.0.0.1 or localhost.',
  ),
};

const pathOf = (message: IncomingMessage): string => (message.url ?? '').split('?', 1)[0] ?? '';

const showHost = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function cannotListen(address: string, cause: unknown): PushError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const why = REASONS[code] ?? { detail: cause instanceof Error ? cause.message : String(cause) };
  return new PushError('HTTP_LISTEN_FAILED', `${address}: ${why.detail}.`, { cause, fix: why.fix });
}

const REASONS: Readonly<Record<string, { readonly detail: string; readonly fix?: string | undefined }>> = {
  EADDRINUSE: {
    detail: 'another process listens on this port',
    fix: 'Give http.listen another port, or stop what has it; `ss -ltnp` names it.',
  },
  EADDRNOTAVAIL: {
    detail: 'this machine has no such address',
    fix: 'Give http.listen an address of this machine: 127.0.0.1 for this machine only, 0.0.0.0 for all its networks.',
  },
  EACCES: {
    detail: 'this user may not listen on this port',
    fix: 'Give http.listen a port above 1023.',
  },
  ENOTFOUND: { detail: 'no such host is known', fix: 'Write an IP address in http.listen, such as 127.0.0.1.' },
};
