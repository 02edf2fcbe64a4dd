export type ThrottleOptions = { readonly min: number; readonly max: number; readonly initial: number };

/** How one request went: `ok` with its latency, or `overload` (429, timeout, no answer). */
export type Sample = { readonly kind: 'ok'; readonly latencyMs: number } | { readonly kind: 'overload' };

/** How many requests may queue at the server, as far as latency shows: fewer and the limit grows, more and it shrinks. */
const QUEUE_LOW = 3;
const QUEUE_HIGH = 6;
/** The share by which the remembered best latency ages per window, so that a server that became slower is learnt. */
const AGEING = 0.02;

/**
 * Adaptive concurrency after TCP Vegas: with `best` the latency of an idle server and `now` the present one,
 * `limit × (1 − best / now)` requests are waiting in a queue. The limit grows while that queue is short and shrinks when
 * it is long; it is halved, at most once per window, when requests are lost or refused. Deterministic.
 */
export class Throttle {
  readonly #options: ThrottleOptions;
  #limit: number;
  #bestMs = Number.POSITIVE_INFINITY;
  #sumMs = 0;
  #count = 0;
  #sinceHalved = 0;

  constructor(options: ThrottleOptions) {
    this.#options = options;
    this.#limit = Math.min(options.max, Math.max(options.min, options.initial));
  }

  /** Requests that may be under way together; a whole number from `min` to `max`. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  record(sample: Sample): void {
    this.#sinceHalved++;
    if (sample.kind === 'overload') {
      // All requests of one window suffer from the same overload: one halving answers them all.
      if (this.#sinceHalved < this.limit) return;
      this.#limit = Math.max(this.#options.min, this.#limit / 2);
      this.#sinceHalved = 0;
      this.#restart();
      return;
    }
    this.#sumMs += sample.latencyMs;
    this.#count++;
    if (this.#count < Math.max(8, this.limit)) return;
    const nowMs = this.#sumMs / this.#count;
    this.#bestMs = Math.min(this.#bestMs * (1 + AGEING), nowMs);
    const queue = this.#limit * (1 - this.#bestMs / nowMs);
    if (queue < QUEUE_LOW) this.#limit = Math.min(this.#options.max, this.#limit + 1);
    else if (queue > QUEUE_HIGH) this.#limit = Math.max(this.#options.min, this.#limit - 1);
    this.#restart();
  }

  #restart(): void {
    this.#sumMs = 0;
    this.#count = 0;
  }
}
