export type ThrottleOptions = { readonly min: number; readonly max: number; readonly initial: number };

/** How one request went: `ok` with its latency and how many were under way with it, or `overload` (429, timeout, no answer). */
export type Sample =
  | { readonly kind: 'ok'; readonly latencyMs: number; readonly inFlight: number }
  | { readonly kind: 'overload' };

/** How much more throughput counts than latency. With 1 (Kleinrock's power) a third of a real server's throughput was left unused. */
const THROUGHPUT_WEIGHT = 3;
/** Requests per look, at least; and per unit of the limit, so that every request of a look was sent under the same limit. */
const WINDOW_MIN = 16;
const WINDOW_PER_LIMIT = 2;

/**
 * Adaptive concurrency by hill climbing. By Little's law the throughput at a limit is `limit / latency`; the throttle
 * looks for the limit with the greatest `throughput³ / latency`: it steps by an eighth, goes on while that grows and
 * turns round when it shrinks. So it stays where more concurrency would only queue, without remembering how fast the
 * server once was. The limit is halved, at most once per window, when requests are lost or refused. Deterministic.
 */
export class Throttle {
  readonly #options: ThrottleOptions;
  #limit: number;
  #direction: 1 | -1 = 1;
  #lastUtility: number | undefined;
  #sumMs = 0;
  #count = 0;
  #sinceHalved = 0;
  /** The limit that the last halving found: so many requests were under way then. */
  #halvedAt = 0;

  constructor(options: ThrottleOptions) {
    this.#options = options;
    this.#limit = Math.min(options.max, Math.max(options.min, options.initial));
  }

  /** Requests that may be under way together, from `min` to `max`. */
  get limit(): number {
    return this.#limit;
  }

  record(sample: Sample): void {
    this.#sinceHalved++;
    if (sample.kind === 'overload') return this.#halve();
    // With less work than the limit admits, latency says nothing about the limit.
    if (sample.inFlight < this.#limit * 0.75) return;
    this.#sumMs += sample.latencyMs;
    this.#count++;
    if (this.#count >= Math.max(WINDOW_MIN, WINDOW_PER_LIMIT * this.#limit)) this.#climb(this.#sumMs / this.#count);
  }

  #climb(latencyMs: number): void {
    const utility = (this.#limit / latencyMs) ** THROUGHPUT_WEIGHT / latencyMs;
    if (this.#lastUtility !== undefined && utility < this.#lastUtility)
      this.#direction = this.#direction === 1 ? -1 : 1;
    this.#lastUtility = utility;
    const step = Math.max(1, Math.floor(this.#limit / 8));
    this.#set(this.#limit + this.#direction * step);
  }

  /** All requests of one window suffer from the same overload, so one halving answers them all. */
  #halve(): void {
    if (this.#sinceHalved < this.#halvedAt) return;
    this.#sinceHalved = 0;
    this.#halvedAt = this.#limit;
    this.#lastUtility = undefined;
    this.#direction = 1;
    this.#set(Math.floor(this.#limit / 2));
  }

  #set(limit: number): void {
    this.#limit = Math.min(this.#options.max, Math.max(this.#options.min, limit));
    this.#sumMs = 0;
    this.#count = 0;
  }
}
