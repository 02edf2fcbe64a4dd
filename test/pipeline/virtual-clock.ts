import type { Clock } from '../../src/runtime/clock.ts';

type Sleeper = { readonly atMs: number; readonly wake: () => void };

/**
 * Time that passes only when asked to, and then as fast as the machine can: it leaps from one sleeper to the next. So an
 * hour of backoff takes no time, and a run is the same whenever it is run.
 */
export class VirtualClock implements Clock {
  readonly #startMs: number;
  #elapsedMs = 0;
  #steppedMs = 0;
  /** In the order of time; equal times in the order of their coming. */
  #sleepers: Sleeper[] = [];
  /** Sleepers wake so much too early, ms, as a system's timers do now and then. */
  earlyMs = 0;

  constructor(startMs: number = Date.UTC(2026, 0, 1, 12)) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs + this.#steppedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** The wall clock is set; what is measured with the other one doesn't notice. */
  step(byMs: number): void {
    this.#steppedMs += byMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = {
        atMs: this.#elapsedMs + Math.max(0, ms > 2 * this.earlyMs ? ms - this.earlyMs : ms),
        wake: resolve,
      };
      const later = this.#sleepers.findIndex(({ atMs }) => atMs > sleeper.atMs);
      this.#sleepers.splice(later < 0 ? this.#sleepers.length : later, 0, sleeper);
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      sleeper.wake = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
    });
  }

  /** Lets everything go on that can, then wakes the next sleeper. False: nobody sleeps, so nothing will ever happen. */
  async leap(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    const next = this.#sleepers.shift();
    if (next === undefined) return false;
    this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
    next.wake();
    return true;
  }

  /** Lets time pass until `condition` holds; throws when it doesn't within that time. */
  async until(condition: () => boolean, withinMs = 3_600_000): Promise<void> {
    const endMs = this.#elapsedMs + withinMs;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (condition()) return;
      if (this.#elapsedMs > endMs || !(await this.leap()))
        throw new Error(`Not within ${withinMs} ms: ${String(condition)}`);
    }
  }

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    let over = false;
    void this.sleep(ms).then(() => (over = true));
    await this.until(() => over, ms + 1);
  }
}
