import type { Clock } from '../../src/runtime/clock.ts';
import type { Log } from '../../src/runtime/log.ts';

/** What the connector counts, for logs, tests and whoever exports figures. All counts are since it was opened. */
export type GlueFigures = {
  /** Calls by operation, e.g. `GetTable`; every attempt counts, as it does for AWS. */
  readonly calls: Readonly<Record<string, number>>;
  /** Attempts that AWS refused as too many. */
  readonly throttled: number;
  /** How far AWS's clock is ahead of ours, ms; undefined before the first answer. */
  readonly clockSkewMs: number | undefined;
  readonly received: number;
  readonly deleted: number;
  /** Messages given back unread, so that others get them at once. */
  readonly released: number;
  /** Times that a message's visibility was extended. */
  readonly extended: number;
  /** Copies of events that had been recorded before. */
  readonly duplicates: number;
  /** Messages left to the redrive policy. */
  readonly unreadable: number;
  /** Events that say nothing to us, by why. */
  readonly ignored: Readonly<Record<string, number>>;
  /** Tables read again, as the answer did not show yet what an event had told. */
  readonly reread: number;
};

type Counter = Exclude<keyof GlueFigures, 'calls' | 'ignored' | 'clockSkewMs'>;

/** Counts, and the clock's difference from AWS's. */
export class Meter {
  readonly #counts = new Map<Counter, number>();
  readonly #calls = new Map<string, number>();
  readonly #ignored = new Map<string, number>();
  readonly #skew: ClockSkew;

  constructor(skew: ClockSkew) {
    this.#skew = skew;
  }

  add(counter: Counter, count = 1): void {
    this.#counts.set(counter, (this.#counts.get(counter) ?? 0) + count);
  }

  called(operation: string): void {
    this.#calls.set(operation, (this.#calls.get(operation) ?? 0) + 1);
  }

  ignored(kind: string): void {
    this.#ignored.set(kind, (this.#ignored.get(kind) ?? 0) + 1);
  }

  /** An answer of AWS: see `ClockSkew.answered`. */
  answered(date: string | undefined, sentAt: number, receivedAt: number): void {
    this.#skew.answered(date, sentAt, receivedAt);
  }

  /** Ours, corrected to AWS's as far as that is known. */
  awsTime(now: number): number {
    return now + (this.#skew.ms ?? 0);
  }

  figures(): GlueFigures {
    const count = (counter: Counter) => this.#counts.get(counter) ?? 0;
    return {
      calls: Object.fromEntries(this.#calls),
      throttled: count('throttled'),
      clockSkewMs: this.#skew.ms,
      received: count('received'),
      deleted: count('deleted'),
      released: count('released'),
      extended: count('extended'),
      duplicates: count('duplicates'),
      unreadable: count('unreadable'),
      ignored: Object.fromEntries(this.#ignored),
      reread: count('reread'),
    };
  }
}

/**
 * AWS's clock as its answers' `Date` shows it. That header has whole seconds, so one answer bounds the difference to a
 * second and the time that it took; several answers together bound it closely. It matters, because a state's time is ours.
 */
export class ClockSkew {
  readonly #log: Log;
  readonly #maxMs: number;
  #lowMs = Number.NEGATIVE_INFINITY;
  #highMs = Number.POSITIVE_INFINITY;
  #warned = false;

  constructor(log: Log, maxMs: number) {
    this.#log = log;
    this.#maxMs = maxMs;
  }

  /** How far AWS is ahead of us, ms: the middle of what is possible. */
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
        fix: 'Let this host synchronize its clock (NTP). Tables stay right, but AWS refuses requests that are 5 minutes off.',
      });
    if (!beyond && this.#warned) this.#log.info('clock-synchronized', { aheadMs: -(this.ms ?? 0) });
    this.#warned = beyond;
  }
}

/** A token bucket: so many calls a second, and as many at once after a second of rest. First come, first served. */
export class CallBudget {
  readonly #perSecond: number;
  readonly #clock: Clock;
  #tokens: number;
  #refilledMs: number;

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#tokens = perSecond;
    this.#refilledMs = clock.monotonicMs();
  }

  /** Resolves when the call may be made, or when `signal` aborts. */
  async take(signal?: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((nowMs - this.#refilledMs) / 1000) * this.#perSecond);
    this.#refilledMs = nowMs;
    // Taken on credit: whoever comes later waits for longer.
    this.#tokens -= 1;
    if (this.#tokens < 0) await this.#clock.sleep((-this.#tokens / this.#perSecond) * 1000, signal);
  }
}
