import type { Clock } from './clock.ts';

type Timer<T> = { readonly atMs: number; readonly what: T };

type Sleep = { readonly untilMs: number; readonly wake: AbortController };

/** Many timers on one sleep: a binary heap by due time, of the clock that never steps. Timers can't be cancelled. */
export class Timers<T> {
  readonly #clock: Clock;
  readonly #fire: (what: T) => void;
  readonly #heap: Timer<T>[] = [];
  #sleeping: Sleep | undefined;
  #closed = false;

  constructor(clock: Clock, fire: (what: T) => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(delayMs: number, what: T): void {
    this.#push({ atMs: this.#clock.monotonicMs() + delayMs, what });
    this.#arm();
  }

  /** Forgets all timers; none fires any more. */
  close(): void {
    this.#closed = true;
    this.#heap.length = 0;
    this.#sleeping?.wake.abort();
  }

  #arm(): void {
    const first = this.#heap[0];
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
    for (
      let first = this.#heap[0];
      first !== undefined && first.atMs <= nowMs && !this.#closed;
      first = this.#heap[0]
    ) {
      this.#pop();
      this.#fire(first.what);
    }
  }

  #push(timer: Timer<T>): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.atMs <= timer.atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if ((heap[child + 1]?.atMs ?? Number.POSITIVE_INFINITY) < (heap[child]?.atMs ?? 0)) child++;
      const below = heap[child];
      if (below === undefined || below.atMs >= last.atMs) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
