import type { Clock } from '../../src/runtime/clock.ts';

export type AdmissionOptions = {
  readonly perSecond: number;
  /** Requests inside at once. */
  readonly concurrency: number;
  readonly clock: Clock;
};

type Waiter = { readonly admit: () => void };

/** `first`: asked before and to be asked again, so that trouble of the catalog shows after few requests, not after many. */
export type Rank = 'first' | 'urgent' | 'later';

/** Every so many admissions the ones that can wait go first, so that they are never starved. */
const TURN = 8;

/**
 * Who may send next: a token bucket (so many requests a second, and as many at once after a second of rest) and a
 * limit of requests under way. The better rank goes before the others; otherwise first come, first served.
 */
export class Admission implements Disposable {
  readonly #options: AdmissionOptions;
  readonly #queues: Readonly<Record<Rank, Set<Waiter>>> = { first: new Set(), urgent: new Set(), later: new Set() };
  readonly #closing = new AbortController();
  #tokens: number;
  #refilledMs: number;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #inside = 0;
  #admitted = 0;
  #sleeping = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#tokens = Math.max(1, options.perSecond);
    this.#refilledMs = options.clock.monotonicMs();
  }

  /** Resolves when the request may be sent; dispose of the result when it is answered. Throws the signal's reason. */
  async enter(rank: Rank, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const queue = this.#queues[rank];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { admit: resolve };
    const onAbort = () => {
      // Whoever was let in already is not thrown out.
      if (queue.delete(waiter)) reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    queue.add(waiter);
    this.#pump();
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    let left = false;
    return {
      [Symbol.dispose]: () => {
        if (left) return;
        left = true;
        this.#inside--;
        this.#pump();
      },
    };
  }

  /** Lets nobody in for a while, as the server asked for it. */
  rest(ms: number): void {
    this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#options.clock.monotonicMs() + ms);
  }

  [Symbol.dispose](): void {
    this.#closing.abort(new Error('The client was closed.'));
  }

  #pump(): void {
    const { concurrency } = this.#options;
    while (this.#isAwaited() && this.#inside < concurrency) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) return void this.#wake(waitMs);
      this.#tokens -= 1;
      this.#inside++;
      this.#next()?.admit();
    }
  }

  #isAwaited(): boolean {
    const { first, urgent, later } = this.#queues;
    return first.size + urgent.size + later.size > 0;
  }

  #next(): Waiter | undefined {
    this.#admitted++;
    const { first, urgent, later } = this.#queues;
    const order = this.#admitted % TURN === 0 ? [later, first, urgent] : [first, urgent, later];
    const queue = order.find(({ size }) => size > 0) ?? later;
    const [waiter] = queue;
    if (waiter !== undefined) queue.delete(waiter);
    return waiter;
  }

  #waitMs(): number {
    const { perSecond, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const refill = ((nowMs - this.#refilledMs) / 1000) * perSecond;
    this.#tokens = Math.min(Math.max(1, perSecond), this.#tokens + refill);
    this.#refilledMs = nowMs;
    const forToken = this.#tokens >= 1 ? 0 : ((1 - this.#tokens) / perSecond) * 1000;
    return Math.max(forToken, this.#notBeforeMs - nowMs);
  }

  async #wake(ms: number): Promise<void> {
    if (this.#sleeping || this.#closing.signal.aborted) return;
    this.#sleeping = true;
    // A timer may fire a moment early.
    await this.#options.clock.sleep(Math.ceil(ms), this.#closing.signal);
    this.#sleeping = false;
    if (!this.#closing.signal.aborted) this.#pump();
  }
}
