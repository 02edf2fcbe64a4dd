import { backoffMs } from '../core/backoff.ts';
import { PushError } from '../errors/errors.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Random } from './random.ts';

export type SupervisorDeps = {
  /** Ends the task and its supervision. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly backoff?: SupervisorBackoff | undefined;
};

export type SupervisorBackoff = {
  readonly baseMs: number;
  readonly maxMs: number;
  /** A task that ran this long was healthy, so its next failure counts as the first. */
  readonly healthyMs: number;
};

const DEFAULT_BACKOFF: SupervisorBackoff = { baseMs: 200, maxMs: 30_000, healthyMs: 60_000 };

/** A task that fails sooner after it said that it works again doesn't: or it would be started over and over without delay. */
const SETTLED_MS = 5_000;

/** A failure that is over within this time is not worth anybody's attention. */
const QUIET_MS = 2_000;
/** From here on somebody should look. */
const LOUD_MS = 20_000;

/**
 * Runs a task and starts it again when it fails, with exponential backoff and full jitter, until it ends by itself or
 * `signal` aborts. `healthy()` is for a task to say that it works again; if that lasts some seconds, its next failure
 * counts as the first. Throws what the task threw if trying again cannot help (a `PushError` with retry `never`).
 */
export async function supervise(
  name: string,
  run: (signal: AbortSignal, healthy: () => void) => Promise<void>,
  deps: SupervisorDeps,
): Promise<void> {
  const { signal, clock, random } = deps;
  const { baseMs, maxMs, healthyMs } = deps.backoff ?? DEFAULT_BACKOFF;
  const log = deps.log.child({ task: name });
  let failures = 0;

  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    let recoveredAtMs = Number.POSITIVE_INFINITY;
    const healthy = () => {
      recoveredAtMs = Math.min(recoveredAtMs, clock.monotonicMs());
      if (failures > 0) log.info('task-recovered', { failures });
    };
    try {
      return await run(signal, healthy);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof PushError && error.spec.retry === 'never') throw error;
      const nowMs = clock.monotonicMs();
      if (nowMs - startedMs >= healthyMs || nowMs - recoveredAtMs >= SETTLED_MS) failures = 0;
      const delayMs = backoffMs(failures, { baseMs, maxMs, random: random() });
      // Judged by the ceiling: the delay itself is drawn by lot and may be short by luck.
      const ceilingMs = Math.min(maxMs, baseMs * 2 ** Math.min(failures, 30));
      failures += 1;
      log[levelOf(ceilingMs)]('task-failed', { failures, retryInMs: delayMs, error });
      await clock.sleep(delayMs, signal);
    }
  }
}

function levelOf(ceilingMs: number): 'info' | 'warn' | 'error' {
  if (ceilingMs < QUIET_MS) return 'info';
  return ceilingMs < LOUD_MS ? 'warn' : 'error';
}
