import type { VirtualClock } from '../pipeline/virtual-clock.ts';

/** One machine's idea of the time of day: it drifts, and somebody sets it, forth and back. */
export class WallClock {
  readonly #virtual: VirtualClock;
  #baseMs: number;
  #sinceMs = 0;
  #rate: number;

  /** @param rate How fast it goes: 1.001 gains 3.6 s an hour. */
  constructor(virtual: VirtualClock, rate: number = 1) {
    this.#virtual = virtual;
    this.#baseMs = virtual.now();
    this.#rate = rate;
  }

  now(): number {
    return Math.floor(this.#baseMs + (this.#virtual.monotonicMs() - this.#sinceMs) * this.#rate);
  }

  step(byMs: number): void {
    this.#baseMs += byMs;
  }

  drift(rate: number): void {
    this.#baseMs = this.now();
    this.#sinceMs = this.#virtual.monotonicMs();
    this.#rate = rate;
  }
}
