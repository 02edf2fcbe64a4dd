import { randomUUID } from 'node:crypto';
import { openRest, type RestConnector } from '../../../connectors/iceberg-rest/connector.ts';
import { HOOK_PATH } from '../../../connectors/iceberg-rest/hook.ts';
import type { Delivery } from '../../../src/connector/connector.ts';
import { showTable } from '../../../src/core/table.ts';
import type { Change } from '../../../src/core/types.ts';
import { openHttpServer, type HttpServer } from '../../../src/runtime/http-server.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { signWebhook } from '../../../src/runtime/webhook-signature.ts';
import { listAll, PolarisWorld } from './world.ts';

export const HOOK_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** Sends a delivery as Standard Webhooks has it, or with other headers. */
export async function post(
  uri: string,
  content: unknown,
  headers?: Readonly<Record<string, string>>,
): Promise<Response> {
  const body = typeof content === 'string' ? content : JSON.stringify(content);
  const signed = headers ?? signWebhook(HOOK_SECRET, { id: randomUUID(), timestamp: Date.now(), body });
  return await fetch(uri, { method: 'POST', body, headers: { 'content-type': 'application/json', ...signed } });
}

/** A catalog, and a connector on it that takes webhooks. */
export class HookWorld implements AsyncDisposable {
  readonly catalog: PolarisWorld;
  readonly server: HttpServer;
  readonly connector: RestConnector;

  private constructor(catalog: PolarisWorld, server: HttpServer, connector: RestConnector) {
    this.catalog = catalog;
    this.server = server;
    this.connector = connector;
  }

  static async start(changes: Readonly<Record<string, unknown>> = {}): Promise<HookWorld> {
    const catalog = await PolarisWorld.start();
    const server = await openHttpServer({ host: '127.0.0.1', port: 0 }, { log: silentLog });
    const poll = { list: '1h', requests_per_second: 1_000, max_age: '1h' };
    const config = catalog.config({ webhook: { secret: HOOK_SECRET, max_body: '64KiB' }, poll, ...changes });
    return new HookWorld(catalog, server, await openRest(config, { ...catalog.deps, hooks: server.hooks }));
  }

  get uri(): string {
    return `http://127.0.0.1:${this.server.port}${HOOK_PATH}`;
  }

  /** Lists, as every start does, and watches from there. */
  async watch(): Promise<Watching> {
    await listAll(this.connector);
    return new Watching(this.connector);
  }

  post(content: unknown, headers?: Readonly<Record<string, string>>): Promise<Response> {
    return post(this.uri, content, headers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connector[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.catalog[Symbol.asyncDispose]();
  }
}

/** A watch under way. Deliveries are acknowledged one by one. */
export class Watching implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #deliveries: AsyncIterator<Delivery>;
  readonly changes: Change[] = [];

  constructor(connector: RestConnector) {
    this.#deliveries = connector.watch(undefined, this.#stop.signal)[Symbol.asyncIterator]();
  }

  async next(): Promise<Delivery> {
    const result = await this.#deliveries.next();
    if (result.done === true) throw new Error('The watch has ended.');
    this.changes.push(...result.value.changes);
    return result.value;
  }

  /** Acknowledges until all of these were hinted at, in the form `kind ns.table`; returns all that were. */
  async until(...hints: readonly string[]): Promise<readonly string[]> {
    const seen = () => this.changes.map(({ kind, table }) => `${kind} ${showTable(table)}`);
    while (!hints.every((hint) => seen().includes(hint))) await (await this.next()).ack();
    return seen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#deliveries.return?.();
  }
}
