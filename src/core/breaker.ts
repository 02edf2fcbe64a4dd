import { backoffMs } from './backoff.ts';

export type BreakerOptions = {
  /** Failures in a row that open it. */
  readonly failures: number;
  /** How long it stays open: doubling from base to max, jittered between half and all of that. */
  readonly baseMs: number;
  readonly maxMs: number;
};

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * Keeps lanes from a target that can't serve anybody. While it is open nothing is sent; then one probe at a time, until
 * one is answered. Deterministic: time and randomness come in as arguments.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #failures = 0;
  #openings = 0;
  #openUntilMs: number | undefined;
  #probing = false;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  state(nowMs: number): BreakerState {
    if (this.#openUntilMs === undefined) return 'closed';
    return nowMs < this.#openUntilMs ? 'open' : 'half-open';
  }

  /** When to ask again while it is open; undefined while it isn't. */
  get openUntilMs(): number | undefined {
    return this.#openUntilMs;
  }

  /** Whether something may be sent now. In the half-open state a `true` hands out the only probe. */
  admits(nowMs: number): boolean {
    const state = this.state(nowMs);
    if (state === 'closed') return true;
    if (state === 'open' || this.#probing) return false;
    this.#probing = true;
    return true;
  }

  /** An answer that shows that the target works, whatever it says of the table. Tells whether this closed the breaker. */
  succeeded(): boolean {
    const closed = this.#openUntilMs !== undefined;
    this.#failures = 0;
    this.#openings = 0;
    this.#openUntilMs = undefined;
    this.#probing = false;
    return closed;
  }

  /** No answer, or one that concerns the whole target. Tells whether this opened the breaker (anew). */
  failed(nowMs: number, random: number): boolean {
    this.#failures++;
    const reopen = this.#probing;
    this.#probing = false;
    if (this.#openUntilMs !== undefined && !reopen) return false;
    if (this.#failures < this.#options.failures && !reopen) return false;
    const { baseMs, maxMs } = this.#options;
    this.#openUntilMs = nowMs + backoffMs(this.#openings, { baseMs, maxMs, random: 0.5 + random / 2 });
    this.#openings++;
    return true;
  }

  /** The probe ended without a word on the target (nothing was to be sent after all). */
  unused(): void {
    this.#probing = false;
  }
}
