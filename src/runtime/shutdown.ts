import type { Clock } from './clock.ts';

/** Where signals come from; the process, but for tests. */
export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: (signal: NodeJS.Signals) => void): unknown;
}

export interface Shutdown extends Disposable {
  /** Aborts at the first signal: take nothing more in, finish what is under way. */
  readonly stop: AbortSignal;
  /** Aborts when the time to finish is over: let go of what is still under way. */
  readonly deadline: AbortSignal;
  /** Sets how long there is to finish, in ms, from the first signal on. */
  drainWithin(ms: number): void;
}

/** Without a configuration there is nothing to drain but what takes a moment. */
const DEFAULT_DRAIN_MS = 5_000;
/** The exit code of a process that was interrupted. */
export const INTERRUPTED = 130;

/**
 * Turns SIGINT and SIGTERM into two abort signals. The second signal calls `exit` at once, which is safe at any moment:
 * whatever was sent is in the ledger before.
 */
export function listenForShutdown(deps: {
  readonly signals: SignalSource;
  readonly clock: Clock;
  readonly exit: (code: number) => void;
  /** Told of each signal, for the log. */
  readonly onSignal?: ((signal: string, drainMs: number) => void) | undefined;
}): Shutdown {
  const stop = new AbortController();
  const deadline = new AbortController();
  const disposed = new AbortController();
  let drainMs = DEFAULT_DRAIN_MS;

  const onSignal = (signal: string) => {
    if (stop.signal.aborted) return deps.exit(INTERRUPTED);
    deps.onSignal?.(signal, drainMs);
    stop.abort(new Error(`Stopped by ${signal}.`));
    void expire(signal);
  };

  const expire = async (signal: string) => {
    await deps.clock.sleep(drainMs, disposed.signal);
    if (!disposed.signal.aborted) deadline.abort(new Error(`Not finished ${drainMs} ms after ${signal}.`));
  };

  deps.signals.on('SIGINT', onSignal);
  deps.signals.on('SIGTERM', onSignal);
  return {
    stop: stop.signal,
    deadline: deadline.signal,
    drainWithin: (ms) => {
      drainMs = ms;
    },
    [Symbol.dispose]: () => {
      deps.signals.off('SIGINT', onSignal);
      deps.signals.off('SIGTERM', onSignal);
      disposed.abort();
    },
  };
}
