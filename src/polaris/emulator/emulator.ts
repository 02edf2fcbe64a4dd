import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TableKey } from '../../core/table.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { ServedTable, StorageType } from './catalog.ts';
import { Exchange } from './exchange.ts';
import { TOO_LARGE, headerOf, readBody, sendReply } from './http-message.ts';
import { parseNotification } from './notification-request.ts';
import type { AnsweredRequest, EmulatedCatalog, EmulatedRequest, EmulatorOptions, Fault } from './options.ts';
import { type Caller, Principals } from './principals.ts';
import { RateLimit } from './rate-limit.ts';
import { Refusal, type Reply, UNAUTHENTICATED, errorReply } from './reply.ts';
import { type Match, match, segmentsOf } from './routes.ts';
import { Tokens } from './tokens.ts';
import { type World, addCatalog } from './world.ts';

/** As Quarkus's, so that a client's idle connection isn't closed under its hands. */
const IDLE_TIMEOUT_MS = 30 * 60 * 1000;

type Interceptor = (request: EmulatedRequest) => Fault | Promise<Fault>;
type Listener = (request: AnsweredRequest) => void;

/**
 * An Apache Polaris 1.7.0 in memory, equal to the recorded one in status, error type and message for everything that a
 * client which sends notifications or asks for policies can meet (`test/conformance` replays the recording). It reads
 * metadata files of FILE catalogs from this machine; on object stores it checks locations only.
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const emulator = new Emulator(options);
  for (const catalog of options.catalogs ?? []) emulator.addCatalog(catalog);
  await emulator.resume();
  return emulator;
}

export class Emulator implements AsyncDisposable {
  readonly #options: EmulatorOptions;
  readonly #world: World;
  readonly #server: Server;
  readonly #limit: RateLimit | undefined;
  readonly #interceptors = new Set<Interceptor>();
  readonly #listeners = new Set<Listener>();
  #instance = randomUUID();
  #requests = 0;
  #port: number;

  /** Use `startEmulator`. */
  constructor(options: EmulatorOptions) {
    const clock = options.clock ?? systemClock;
    const credentials = options.credentials ?? { clientId: 'root', clientSecret: 's3cr3t' };
    this.#options = options;
    this.#port = options.port ?? 0;
    this.#limit =
      options.rateLimitPerSecond === undefined ? undefined : new RateLimit(options.rateLimitPerSecond, clock);
    this.#world = {
      catalogs: new Map(),
      principals: new Principals(credentials, clock.now()),
      tokens: new Tokens(options.tokenLifetimeSeconds ?? 3600, clock),
      clock,
      pagination: options.pagination ?? false,
      readMetadata: options.readMetadata ?? 'file',
    };
    this.#server = createServer({ keepAliveTimeout: IDLE_TIMEOUT_MS, noDelay: true }, (request, response) => {
      void this.#serve(request, response);
    });
  }

  /** `http://127.0.0.1:PORT`; the catalog API lies under `/api/catalog`, the management API under `/api/management`. */
  get uri(): string {
    return `http://${this.#options.host ?? '127.0.0.1'}:${this.#port}`;
  }

  /** The tables of a catalog by the JSON of their namespace levels and name (`keyOf`). Live; throws on an unknown catalog. */
  tables(catalog: string): ReadonlyMap<TableKey, ServedTable> {
    const found = this.#world.catalogs.get(catalog);
    if (found === undefined) throw new Error(`The emulator has no catalog ${catalog}.`);
    return found.tables;
  }

  /** Adds a catalog while running, without the management API. */
  addCatalog(catalog: EmulatedCatalog): void {
    const allowedLocations = catalog.allowedLocations ?? [catalog.baseLocation];
    const storageType = catalog.storageType ?? storageTypeOf(catalog.baseLocation);
    addCatalog(this.#world, {
      name: catalog.name,
      type: catalog.type ?? 'EXTERNAL',
      properties: { 'default-base-location': catalog.baseLocation, ...catalog.properties },
      storage: { storageType, allowedLocations },
    });
  }

  /** Calls `listener` after every request, whatever came of it. Returns how to stop that. */
  onRequest(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Lets `decide` choose what happens to each request; the first answer that isn't `pass` counts. Returns how to stop that. */
  intercept(decide: Interceptor): () => void {
    this.#interceptors.add(decide);
    return () => void this.#interceptors.delete(decide);
  }

  /** Unreachable: connections are cut, new ones refused, until `resume`. What is under way is still done, unanswered. */
  async pause(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.once('close', resolve));
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Reachable again, at the same address. */
  async resume(): Promise<void> {
    if (this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, this.#options.host ?? '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** A restart on durable storage: connections are cut and every token dies; tables and timestamps stay. */
  async restart(): Promise<void> {
    await this.pause();
    this.#world.tokens.forget();
    this.#instance = randomUUID();
    this.#requests = 0;
    await this.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pause();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = headerOf(request, 'x-request-id') ?? this.#nextRequestId();
    const body = await readBody(request);
    if (typeof body === 'symbol') {
      if (body === TOO_LARGE) response.writeHead(413).end();
      return;
    }
    const [path, query] = splitQuery(request.url ?? '/');
    const method = request.method ?? 'GET';
    const matched = route(method, path);
    const watched = this.#listeners.size > 0 || this.#interceptors.size > 0;
    const seen = watched ? describe({ method, path, requestId, matched, body }) : undefined;
    const fault = seen === undefined ? 'pass' : await this.#fault(seen);
    if (fault === 'reset') {
      request.socket.resetAndDestroy();
      this.#tell(seen, undefined);
      return;
    }
    if (typeof fault === 'object' && 'delayMs' in fault) await this.#world.clock.sleep(fault.delayMs);
    const reply =
      typeof fault === 'object' && 'status' in fault ? fault : await this.#answer({ request, matched, query, body });
    if (fault === 'apply-then-reset') request.socket.resetAndDestroy();
    const sent = !request.socket.destroyed;
    if (sent) sendReply(response, method, requestId, reply);
    this.#tell(seen, sent ? reply : undefined);
  }

  async #fault(request: EmulatedRequest): Promise<Fault> {
    for (const decide of this.#interceptors) {
      const fault = await decide(request);
      if (fault !== 'pass') return fault;
    }
    return 'pass';
  }

  #tell(request: EmulatedRequest | undefined, reply: Reply | undefined): void {
    if (request === undefined) return;
    const body = reply?.body as { error?: { type?: string } | string } | undefined;
    const error = typeof body?.error === 'object' ? body.error.type : body?.error;
    for (const listener of this.#listeners) listener({ ...request, status: reply?.status, error });
  }

  async #answer(call: {
    request: IncomingMessage;
    matched: Match | Reply;
    query: string;
    body: string;
  }): Promise<Reply> {
    try {
      return await this.#dispatch(call.request, call.matched, call.query, call.body);
    } catch (error) {
      if (error instanceof Refusal) return error.reply();
      return errorReply(500, error instanceof Error ? error.name : 'RuntimeException', String(error));
    }
  }

  /** The order of Polaris's filters: realm, rate limit, a bad token, the route, a missing token, the body. */
  async #dispatch(request: IncomingMessage, matched: Match | Reply, query: string, body: string): Promise<Reply> {
    if (!this.#knowsRealm(headerOf(request, 'polaris-realm'))) {
      return errorReply(404, 'MissingOrInvalidRealm', 'Missing or invalid realm');
    }
    if (this.#limit?.admits() === false) return errorReply(429, 'TooManyRequestsException', 'Rate exceeded');
    const authorization = request.headers.authorization;
    const caller = this.#caller(authorization);
    if (authorization !== undefined && caller === undefined && !isOpen(matched)) return UNAUTHENTICATED;
    if (!('route' in matched)) return matched;
    const type = request.headers['content-type'];
    if (body !== '' && type !== undefined && !type.startsWith(matched.route.consumes)) {
      return errorReply(
        415,
        'NotSupportedException',
        'The content-type header value did not match the value in @Consumes',
      );
    }
    if (caller === undefined && !matched.route.open) return UNAUTHENTICATED;
    const { kind, handle } = matched.route;
    const latencyMs = this.#options.latencyMs?.[kind] ?? 0;
    const work = async (): Promise<void> => {
      if (latencyMs > 0) await this.#world.clock.sleep(latencyMs);
    };
    if (kind !== 'notification') await work();
    return handle(
      new Exchange({
        world: this.#world,
        path: matched.parameters,
        query,
        headers: request.headers,
        body,
        caller,
        work,
      }),
    );
  }

  #knowsRealm(realm: string | undefined): boolean {
    if (realm === undefined) return this.#options.requireRealmHeader !== true;
    return realm === (this.#options.realm ?? 'POLARIS');
  }

  #caller(authorization: string | undefined): Caller | undefined {
    const token = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
    const claims = token === undefined ? undefined : this.#world.tokens.verify(token);
    return claims === undefined ? undefined : this.#world.principals.caller(claims);
  }

  #nextRequestId(): string {
    this.#requests += 1;
    return `${this.#instance}_${String(this.#requests).padStart(19, '0')}`;
  }
}

function storageTypeOf(location: string): StorageType {
  if (/^s3[an]?:/.test(location)) return 'S3';
  if (location.startsWith('gs:')) return 'GCS';
  return /^abfss?:/.test(location) ? 'AZURE' : 'FILE';
}

function splitQuery(url: string): readonly [string, string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

function route(method: string, path: string): Match | Reply {
  try {
    return match(method, segmentsOf(path));
  } catch (error) {
    if (error instanceof URIError) return { status: 400 };
    throw error;
  }
}

const isOpen = (matched: Match | Reply): boolean => 'route' in matched && matched.route.open;

function describe(call: {
  method: string;
  path: string;
  requestId: string;
  matched: Match | Reply;
  body: string;
}): EmulatedRequest {
  const { method, path, requestId, matched } = call;
  if (!('route' in matched)) return { method, path, requestId, kind: 'other' };
  const { kind } = matched.route;
  const [catalog, levels, name] = kind === 'token' || kind === 'config' ? [] : matched.parameters;
  const table =
    (kind === 'notification' || kind === 'load') && levels !== undefined && name !== undefined
      ? { namespace: levels.split('\u001F'), name }
      : undefined;
  const seen: EmulatedRequest = { method, path, requestId, kind, catalog, table };
  if (kind !== 'notification') return seen;
  try {
    const notification = parseNotification(call.body);
    const { timestamp, metadataLocation } = notification?.payload ?? {};
    return { ...seen, type: notification?.type, timestamp, metadataLocation };
  } catch {
    return seen;
  }
}
