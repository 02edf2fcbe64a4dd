import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Timestamp } from '../../src/core/types.ts';
import type { Notification } from '../../src/core/types.ts';
import { targetConfig, type TargetConfig } from '../../src/polaris/config.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import type { Log, LogFields } from '../../src/runtime/log.ts';

export type Seen = {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Destroys the connection. */
  cut(): void;
};

/** Answers by itself through `response`, or returns what to answer; undefined leaves the client waiting. */
export type Behaviour = (seen: Seen, response: ServerResponse) => Answer | undefined | Promise<Answer | undefined>;

export type Answer = {
  readonly status: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

const fixture = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url));

/** A real HTTP server whose every answer the test decides. */
export class StandIn implements AsyncDisposable {
  readonly seen: Seen[] = [];
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  static async start(behaviour: Behaviour, certificate?: 'server' | 'other'): Promise<StandIn> {
    const server =
      certificate === undefined
        ? createServer()
        : createSecureServer({ key: fixture(`${certificate}.key`), cert: fixture(`${certificate}.pem`) });
    const standIn = new StandIn(server);
    server.on('request', (request, response) => {
      void standIn.#serve(behaviour, request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return standIn;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Of the requests whose path matches. */
  paths(pattern: RegExp): readonly string[] {
    return this.seen.map(({ path }) => path).filter((path) => pattern.test(path));
  }

  async #serve(behaviour: Behaviour, request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Errors of a connection that the other side gave up are what some tests are about.
    request.on('error', () => {});
    response.on('error', () => {});
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const seen: Seen = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
      cut: () => void request.socket.destroy(),
    };
    this.seen.push(seen);
    const answer = await behaviour(seen, response);
    if (answer === undefined) return;
    const { status, json, text = json === undefined ? '' : JSON.stringify(json), headers = {} } = answer;
    const type = json === undefined ? {} : { 'content-type': 'application/json' };
    response.writeHead(status, { ...type, ...headers }).end(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** A port of this machine at which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export const SECRET = 'planted-client-secret/+&';
export const TOKEN = 'planted-bearer-token';

export const CONFIG_ANSWER: Answer = {
  status: 200,
  json: {
    defaults: { 'default-base-location': 'file:///warehouse/ext' },
    overrides: { 'namespace-separator': '%1F', prefix: 'ext' },
    endpoints: [],
  },
};

export const polarisError = (status: number, type: string, message: string): Answer => ({
  status,
  json: { error: { message, type, code: status } },
});

/** Token endpoint and configuration as Polaris has them; `rest` answers everything else. */
export function polaris(rest: Behaviour = () => ({ status: 204 })): Behaviour {
  return (seen, response) => {
    if (seen.path.startsWith('/api/catalog/v1/oauth/tokens')) return tokenAnswer(TOKEN);
    if (seen.path.startsWith('/api/catalog/v1/config')) return CONFIG_ANSWER;
    return rest(seen, response);
  };
}

export const tokenAnswer = (token: string, seconds: number = 3600): Answer => ({
  status: 200,
  json: { access_token: token, token_type: 'bearer', expires_in: seconds },
});

/** The configuration of a target as if it stood in the YAML. */
export const configured = (port: number, changes: Readonly<Record<string, unknown>> = {}): TargetConfig =>
  targetConfig.parse({
    name: 'main',
    uri: `http://127.0.0.1:${port}/api/catalog`,
    catalog: 'ext',
    auth: { token: TOKEN },
    timeouts: { connect: '2s', headers: '5s', body: '5s', total: '8s' },
    ...changes,
  });

export const CREDENTIALS = { client_id: 'sync_agent', client_secret: SECRET };

export const notification = (changes: Partial<Notification> = {}): Notification => ({
  type: 'CREATE',
  table: { namespace: ['sales'], name: 'orders' },
  timestamp: 1_700_000_000_000 as Timestamp,
  metadataLocation: 'file:///warehouse/ext/sales/orders/metadata/00000-a.metadata.json',
  tableUuid: '9b8b98df-5dc6-49da-8314-726b58fb1310',
  ...changes,
});

/** Time that a test moves on; sleeping is real. */
export class MovableClock implements Clock {
  #aheadMs = 0;

  now(): number {
    return systemClock.now() + this.#aheadMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#aheadMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal);
  }

  advance(ms: number): void {
    this.#aheadMs += ms;
  }
}

export type Line = { readonly level: string; readonly event: string; readonly fields: LogFields };

/** Keeps what is logged. */
export class KeptLog implements Log {
  readonly lines: Line[];
  readonly #fields: LogFields;

  constructor(lines: Line[] = [], fields: LogFields = {}) {
    this.lines = lines;
    this.#fields = fields;
  }

  debug(event: string, fields?: LogFields): void {
    this.#keep('debug', event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#keep('info', event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#keep('warn', event, fields);
  }

  error(event: string, fields?: LogFields): void {
    this.#keep('error', event, fields);
  }

  child(fields: LogFields): Log {
    return new KeptLog(this.lines, { ...this.#fields, ...fields });
  }

  #keep(level: string, event: string, fields: LogFields = {}): void {
    this.lines.push({ level, event, fields: { ...this.#fields, ...fields } });
  }
}

/** Resolves when `condition` holds; the test's own timeout ends a wait for nothing. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
