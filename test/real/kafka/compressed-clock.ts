import type { EpochMillis } from '../../../src/core/types.ts';
import { systemClock, type Clock } from '../../../src/runtime/clock.ts';

/**
 * A clock whose time goes by faster: what an agent waits for is over so many times sooner. The time of day stays that of
 * everybody else, as if the machine had been set back meanwhile.
 */
export class CompressedClock implements Clock {
  #speed = 1;
  /** Where both clocks stood when the speed was set. */
  #at = { realMs: performance.now(), ownMs: performance.now() };
  #changed = new AbortController();

  now(): EpochMillis {
    return systemClock.now();
  }

  monotonicMs(): number {
    return this.#at.ownMs + (performance.now() - this.#at.realMs) * this.#speed;
  }

  /** How much faster than the real one it goes from now on; those who sleep notice. */
  setSpeed(speed: number): void {
    this.#at = { realMs: performance.now(), ownMs: this.monotonicMs() };
    this.#speed = speed;
    this.#changed.abort();
    this.#changed = new AbortController();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const untilMs = this.monotonicMs() + ms;
    for (let leftMs = ms; ; leftMs = untilMs - this.monotonicMs()) {
      const woken = this.#changed.signal;
      const either = signal === undefined ? woken : AbortSignal.any([signal, woken]);
      await systemClock.sleep(leftMs / this.#speed, either);
      if (signal?.aborted === true || this.monotonicMs() >= untilMs) return;
    }
  }
}
