import type { Clock } from './clock.ts';
import { DueHeap } from './due-heap.ts';

type Timer<T> = { readonly atMs: number; readonly what: T };

type Sleep = { readonly untilMs: number; readonly wake: AbortController };

/** Many timers on one sleep, by the clock that never steps. Timers can't be cancelled. */
export class Timers<T> {
  readonly #clock: Clock;
  readonly #fire: (what: T) => void;
  readonly #heap = new DueHeap<Timer<T>>();
  #sleeping: Sleep | undefined;
  #closed = false;

  constructor(clock: Clock, fire: (what: T) => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  get size(): number {
    return this.#heap.size;
  }

  add(delayMs: number, what: T): void {
    this.#heap.push({ atMs: this.#clock.monotonicMs() + delayMs, what });
    this.#arm();
  }

  /** Forgets all timers; none fires any more. */
  close(): void {
    this.#closed = true;
    this.#heap.clear();
    this.#sleeping?.wake.abort();
  }

  #arm(): void {
    const { first } = this.#heap;
    if (first === undefined || this.#closed) return;
    if (this.#sleeping !== undefined) {
      if (this.#sleeping.untilMs <= first.atMs) return;
      this.#sleeping.wake.abort();
    }
    const wake = new AbortController();
    const sleeping = { untilMs: first.atMs, wake };
    this.#sleeping = sleeping;
    void this.#sleep(sleeping);
  }

  async #sleep(sleeping: Sleep): Promise<void> {
    await this.#clock.sleep(Math.max(0, sleeping.untilMs - this.#clock.monotonicMs()), sleeping.wake.signal);
    if (this.#sleeping !== sleeping) return;
    this.#sleeping = undefined;
    this.#fireDue();
    this.#arm();
  }

  #fireDue(): void {
    const nowMs = this.#clock.monotonicMs();
    for (let { first } = this.#heap; first !== undefined && first.atMs <= nowMs && !this.#closed;) {
      this.#heap.pop();
      this.#fire(first.what);
      ({ first } = this.#heap);
    }
  }
}
