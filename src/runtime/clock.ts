import type { EpochMillis } from '../core/types.ts';

/** The only door to time. */
export interface Clock {
  /** Wall clock, epoch ms; may step back. */
  now(): EpochMillis;
  /** For measuring, in ms; never steps back. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    // A timer of Node.js ends at once when it is to take longer than this.
    for (let left = ms; left > LONGEST_MS; left -= LONGEST_MS) {
      await nap(LONGEST_MS, signal);
      if (signal?.aborted === true) return;
    }
    await nap(Math.max(0, ms) % LONGEST_MS, signal);
  },
};

const LONGEST_MS = 2 ** 31 - 1;

const nap = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
