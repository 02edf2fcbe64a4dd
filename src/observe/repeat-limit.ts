import type { Clock } from '../runtime/clock.ts';

const WINDOW_MS = 60_000;
const PER_WINDOW = 20;

/** Lets each event through a few times a minute, so that one cause with many effects doesn't drown the log. */
export class RepeatLimit {
  readonly #clock: Clock;
  readonly #windows = new Map<string, { readonly sinceMs: number; admitted: number; left: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  admits(event: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#windows.get(event);
    const window =
      known === undefined || nowMs - known.sinceMs >= WINDOW_MS ? { sinceMs: nowMs, admitted: 0, left: 0 } : known;
    this.#windows.set(event, window);
    if (window.admitted < PER_WINDOW) {
      window.admitted++;
      return true;
    }
    window.left++;
    return false;
  }

  /** How often each event was left out in windows that are over; told once. */
  due(): readonly { readonly event: string; readonly left: number }[] {
    const nowMs = this.#clock.monotonicMs();
    const due = [];
    for (const [event, window] of this.#windows) {
      if (nowMs - window.sinceMs < WINDOW_MS) continue;
      this.#windows.delete(event);
      if (window.left > 0) due.push({ event, left: window.left });
    }
    return due;
  }
}
