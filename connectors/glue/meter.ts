import type { Clock } from '../../src/runtime/clock.ts';
import type { ClockSkew } from '../../src/runtime/clock-skew.ts';

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
