import { execFile } from 'node:child_process';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';

/** A hanging helper must not pile up. */
const TIMEOUT_MS = 5_000;

export type ServiceManagerOptions = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Log;
};

/** systemd, or whatever else listens at `NOTIFY_SOCKET` (sd_notify(3)). */
export interface ServiceManager {
  /** Tells it of assignments such as `READY=1` or `STATUS=…`. Resolves when they were handed over, or that failed. */
  tell(...assignments: readonly string[]): Promise<void>;
  /** Says that it is alive as long as `alive()` holds, twice as often as it must, until `signal` aborts. */
  keepAlive(alive: () => boolean, signal: AbortSignal): Promise<void>;
}

/**
 * Undefined where nobody waits to be told. The socket takes datagrams, which Node.js can't send to a path, so each
 * message is handed over by systemd's own `systemd-notify`: the unit needs `NotifyAccess=all`.
 */
export function serviceManager({ env, pid, clock, log }: ServiceManagerOptions): ServiceManager | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: limit, WATCHDOG_PID: watched, PATH = '/usr/bin:/bin' } = env;
  if (socket === undefined || socket === '') return undefined;
  let warned = false;
  const tell = (...assignments: readonly string[]): Promise<void> =>
    new Promise((resolve) => {
      const options = { env: { NOTIFY_SOCKET: socket, PATH }, timeout: TIMEOUT_MS };
      execFile('systemd-notify', [...assignments], options, (error) => {
        if (error !== null && !warned) {
          warned = true;
          log.warn('service-manager-not-told', { socket, error });
        }
        resolve();
      });
    });
  const everyMs = Number(limit) / 2_000;
  const isWatched = everyMs > 0 && (watched === undefined || Number(watched) === pid);
  return {
    tell,
    keepAlive: async (alive, signal) => {
      if (!isWatched) return;
      while (!signal.aborted) {
        if (alive()) await tell('WATCHDOG=1');
        await clock.sleep(everyMs, signal);
      }
    },
  };
}
