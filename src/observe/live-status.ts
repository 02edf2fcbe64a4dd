import type { Clock } from '../runtime/clock.ts';
import type { HttpStream } from '../runtime/http-stream.ts';
import type { Log } from '../runtime/log.ts';

const EVERY_MS = 1_000;
/** Each holds a connection. */
const MOST_CLIENTS = 32;

/** What clients are told at a moment. */
export type News = {
  /** The status as JSON. */
  readonly status: string;
  /** Grows whenever `notifications` would say something else. */
  readonly seen: number;
  /** The last notifications as JSON; called for clients that haven't got them. */
  readonly notifications: () => string;
};

/**
 * Server-sent events: the status each second. It is made once for all clients, and only while there are any; each gets
 * the newest when it has read the last, so that a slow one skips some and none is kept for it.
 */
export class LiveStatus implements Disposable {
  readonly #news: () => News;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #closing = new AbortController();
  #clients = 0;
  #producing = false;
  #latest: { readonly number: number; readonly news: News } | undefined;
  #next = Promise.withResolvers<void>();

  constructor(news: () => News, { clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#news = news;
    this.#clock = clock;
    this.#log = log;
  }

  get clients(): number {
    return this.#clients;
  }

  /** The events of one client until `signal` aborts; undefined when there are too many. */
  follow(signal: AbortSignal): HttpStream | undefined {
    if (this.#clients >= MOST_CLIENTS || signal.aborted) return undefined;
    this.#clients++;
    signal.addEventListener('abort', () => this.#clients--, { once: true });
    if (!this.#producing) void this.#produce();
    return this.#events(signal);
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#next.resolve();
  }

  async *#events(signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    let told = 0;
    let seen = -1;
    yield 'retry: 2000\n\n';
    while (!signal.aborted && !this.#closing.signal.aborted) {
      const latest = this.#latest;
      if (latest === undefined || latest.number === told) {
        await this.#next.promise;
        continue;
      }
      told = latest.number;
      const { news } = latest;
      const also = news.seen === seen ? '' : event('notifications', news.notifications());
      seen = news.seen;
      yield event('status', news.status) + also;
    }
  }

  async #produce(): Promise<void> {
    const { signal } = this.#closing;
    this.#producing = true;
    for (let number = 1; this.#clients > 0 && !signal.aborted; number++) {
      this.#latest = this.#made(number);
      this.#wake();
      await this.#clock.sleep(EVERY_MS, signal);
    }
    this.#producing = false;
    this.#latest = undefined;
    // So that streams of clients that are gone end.
    this.#wake();
  }

  /** A status that can't be told is no reason for the agent to end. */
  #made(number: number): { readonly number: number; readonly news: News } | undefined {
    try {
      return { number, news: this.#news() };
    } catch (error) {
      this.#log.error('status-failed', { error });
      return undefined;
    }
  }

  #wake(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }
}

/** JSON holds no line feeds, so one line of data it is. */
const event = (name: string, data: string): string => `event: ${name}\ndata: ${data}\n\n`;
