import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

/** How bytes travel, in both directions. */
export type Shape = {
  /** How long each piece is under way, ms. */
  readonly latencyMs: number;
  /** Bytes per piece; every piece is a write of its own, and so a TCP segment. */
  readonly pieceBytes: number;
  /** Pause after each piece, ms. */
  readonly pauseMs: number;
};

const STRAIGHT: Shape = { latencyMs: 0, pieceBytes: Number.POSITIVE_INFINITY, pauseMs: 0 };

/**
 * A TCP proxy on loopback with every fault that a network has. A fault concerns the connections that there are and those
 * that come, unless said otherwise, until `heal()`.
 */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #target: number;
  #shape = STRAIGHT;
  #hole: PromiseWithResolvers<void> | undefined;
  /** How many connections were ever made to it. */
  connections = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  }

  /** Leads to `target`, a port on loopback. */
  static async start(target: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections at the moment. */
  get open(): number {
    return this.#links.size;
  }

  shape(shape: Partial<Shape>): void {
    this.#shape = { ...STRAIGHT, ...shape };
  }

  /** Every present connection is reset (RST), at both ends. */
  reset(): void {
    for (const link of this.#links) link.reset();
  }

  /** Half-open: the present connections stay, and nothing passes through them ever again. New ones work. */
  freeze(): void {
    for (const link of this.#links) link.freeze();
  }

  /** Resets what was frozen: a server that is never told keeps its end for ever, and has only so many. */
  buryFrozen(): void {
    for (const link of this.#links) if (link.frozen) link.reset();
  }

  /** Connections are accepted, and nothing passes, until `heal()`: then it all arrives. */
  blackHole(): void {
    this.#hole ??= Promise.withResolvers();
  }

  /** Nothing goes wrong with what passes from now on; frozen connections stay frozen. */
  heal(): void {
    this.#shape = STRAIGHT;
    this.#hole?.resolve();
    this.#hole = undefined;
  }

  /** Connections made from now on lead to another port. */
  redirect(target: number): void {
    this.#target = target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heal();
    this.#server.close();
    this.reset();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    this.connections += 1;
    const upstream = connect({ port: this.#target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const link = new Link(client, upstream, () => this.#links.delete(link));
    this.#links.add(link);
    link.run({ shape: () => this.#shape, passable: async () => this.#hole?.promise });
  }
}

type Weather = { readonly shape: () => Shape; readonly passable: () => Promise<void> };

/** The two halves of one connection. When one ends by itself, so does the other. */
class Link {
  readonly #client: Socket;
  readonly #upstream: Socket;
  #frozen = false;

  constructor(client: Socket, upstream: Socket, onClosed: () => void) {
    this.#client = client;
    this.#upstream = upstream;
    for (const [one, other] of this.#directions()) {
      one.on('error', () => {});
      one.once('close', () => {
        if (other.closed) onClosed();
        else if (!this.#frozen) other.destroy();
      });
    }
  }

  run(weather: Weather): void {
    for (const [from, to] of this.#directions()) this.#pump(from, to, weather).catch(() => this.reset());
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  reset(): void {
    for (const [socket] of this.#directions()) socket.resetAndDestroy();
  }

  freeze(): void {
    this.#frozen = true;
  }

  #directions(): readonly (readonly [from: Socket, to: Socket])[] {
    return [
      [this.#client, this.#upstream],
      [this.#upstream, this.#client],
    ];
  }

  async #pump(from: Socket, to: Socket, { shape, passable }: Weather): Promise<void> {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const { latencyMs, pieceBytes, pauseMs } = shape();
      if (latencyMs > 0) await sleep(latencyMs);
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        await passable();
        // To leave the loop would close the connection, and so tell the other side.
        if (this.#frozen) await closed(from);
        if (to.destroyed || from.destroyed) return;
        if (!to.write(chunk.subarray(at, at + pieceBytes))) await once(to, 'drain');
        if (pauseMs > 0) await sleep(pauseMs);
        else if (pieceBytes < chunk.length) await turn();
      }
    }
    if (!this.#frozen) to.end();
  }
}

const closed = async (socket: Socket): Promise<void> => {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
};
