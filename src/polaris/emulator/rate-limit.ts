import type { Clock } from '../../runtime/clock.ts';

/** A bucket of one second's tokens. Polaris's limiter has one for each realm and covers every request, OAuth included. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAtMs: number;

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#tokens = perSecond;
    this.#filledAtMs = clock.monotonicMs();
  }

  admits(): boolean {
    const now = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#filledAtMs) * this.#perSecond) / 1000);
    this.#filledAtMs = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
