import type { Log } from './log.ts';

/**
 * A server's clock as the `Date` of its HTTP answers shows it. That header has whole seconds, so one answer bounds it to a
 * second and the time that it took; several answers together bound it closely. It matters, because a state's time is ours.
 */
export class ClockSkew {
  readonly #log: Log;
  readonly #maxMs: number;
  readonly #fix: string;
  #lowMs = Number.NEGATIVE_INFINITY;
  #highMs = Number.POSITIVE_INFINITY;
  #warned = false;

  /** `fix`: what is to be done about a difference of more than `maxMs`, for the log. */
  constructor(log: Log, maxMs: number, fix: string) {
    this.#log = log;
    this.#maxMs = maxMs;
    this.#fix = fix;
  }

  /** How far the server is ahead of us, ms: the middle of what is possible. */
  get ms(): number | undefined {
    return this.#highMs === Number.POSITIVE_INFINITY ? undefined : Math.round((this.#lowMs + this.#highMs) / 2);
  }

  /** @param date The header of an answer, e.g. `Tue, 15 Nov 1994 08:12:31 GMT`; others are ignored. */
  answered(date: string | undefined, sentAt: number, receivedAt: number): void {
    const theirs = Date.parse(date ?? '');
    if (Number.isNaN(theirs)) return;
    // They wrote it within its second, and between our sending and receiving.
    const [low, high] = [theirs - receivedAt, theirs + 1000 - sentAt];
    if (low > this.#highMs || high < this.#lowMs) [this.#lowMs, this.#highMs] = [low, high]; // one clock has stepped
    else [this.#lowMs, this.#highMs] = [Math.max(low, this.#lowMs), Math.min(high, this.#highMs)];
    this.#warn();
  }

  #warn(): void {
    const beyond = this.#lowMs > this.#maxMs || this.#highMs < -this.#maxMs;
    if (beyond && !this.#warned)
      this.#log.warn('clock-skewed', {
        aheadMs: -(this.ms ?? 0),
        fix: this.#fix,
      });
    if (!beyond && this.#warned) this.#log.info('clock-synchronized', { aheadMs: -(this.ms ?? 0) });
    this.#warned = beyond;
  }
}
