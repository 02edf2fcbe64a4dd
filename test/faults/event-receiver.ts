import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tableEvent, type TableEvent } from '../../src/forward/cloud-event.ts';
import { verifyWebhook } from '../../src/runtime/webhook-signature.ts';

const SECRET = `whsec_${Buffer.from('a receiver that survives agents.').toString('base64')}`;
/** Of so many requests one is answered by an error, one not at all though it was taken, and one late. */
const TROUBLES = 12;
const LATE_MS = 200;

/** What one sink of an agent delivered, through all of the agent's lives. */
export class Received {
  /** By id, with how often each came. */
  readonly events = new Map<string, { readonly event: TableEvent; times: number }>();
  /** The last one of each table that was new when it came. */
  readonly last = new Map<string, TableEvent>();
  readonly #violations: string[];

  constructor(violations: string[]) {
    this.#violations = violations;
  }

  get doubled(): number {
    return [...this.events.values()].reduce((sum, { times }) => sum + times - 1, 0);
  }

  add(event: TableEvent): void {
    const known = this.events.get(event.id);
    if (known !== undefined) {
      known.times += 1;
      return;
    }
    this.events.set(event.id, { event, times: 1 });
    const table = [...event.data.namespace, event.data.table].join('.');
    const before = this.last.get(table)?.data.timestamp ?? 0;
    if (event.data.timestamp <= before)
      this.#violations.push(`${table}: the event of ${event.data.timestamp} came after that of ${before}.`);
    else this.last.set(table, event);
  }
}

/** Takes webhooks at `/<sink>`, with the troubles of a network: it refuses, forgets to answer, and answers late. */
export class EventReceiver implements AsyncDisposable {
  readonly violations: string[] = [];
  readonly #server: Server;
  readonly #sinks = new Map<string, Received>();
  readonly #random: () => number;

  private constructor(server: Server, random: () => number) {
    this.#server = server;
    this.#random = random;
  }

  static async start(random: () => number): Promise<EventReceiver> {
    const server = createServer();
    const receiver = new EventReceiver(server, random);
    server.on('request', (request, response) => void receiver.#serve(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return receiver;
  }

  /** The section of an agent's configuration that leads here. */
  sink(name: string, more: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    const { port } = this.#server.address() as AddressInfo;
    return { kind: 'webhook', name, url: `http://127.0.0.1:${port}/${name}`, secret: SECRET, timeout: '2s', ...more };
  }

  of(sink: string): Received {
    const received = this.#sinks.get(sink) ?? new Received(this.violations);
    this.#sinks.set(sink, received);
    return received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return; // The agent was killed while it was sending.
    }
    response.on('error', () => {});
    const body = Buffer.concat(chunks).toString('utf8');
    const verified = verifyWebhook(SECRET, request.headers, body, Date.now());
    if (verified.kind === 'invalid') this.violations.push(`a signature: ${verified.reason}`);
    const trouble = Math.floor(this.#random() * TROUBLES);
    if (trouble === 0) return void response.writeHead(503).end();
    this.of((request.url ?? '/').slice(1)).add(tableEvent.parse(JSON.parse(body)));
    if (trouble === 1) return void request.socket.destroy();
    setTimeout(() => response.writeHead(204).end(), trouble === 2 ? LATE_MS : 0);
  }
}
