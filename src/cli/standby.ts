import type { App } from '../app.ts';
import type { OwnershipWait } from '../ledger/ledger.ts';
import type { Monitor } from '../observe/monitor.ts';
import type { CommandContext } from './context.ts';

/** How `run --standby` waits for the ledger of the agent that is active now, and tells of it. */
export type Standby = {
  readonly wait: OwnershipWait;
  /** Whether it was told to stop before it was its turn. */
  readonly stopped: () => boolean;
  /** For when the ledger is ours: says how long that took, if anybody was waited for. */
  readonly over: () => void;
};

export function standby({ out, log, clock, config, signal }: CommandContext, monitor: Monitor | undefined): Standby {
  let sinceMs: number | undefined;
  return {
    wait: {
      signal,
      onWait: (owner) => {
        sinceMs = clock.monotonicMs();
        const active = owner && { pid: owner.pid, host: owner.host, since: new Date(owner.since).toISOString() };
        log.info('standby', { ledger: config.ledger.path, active });
        out.event('standby', { active });
        monitor?.standBy();
      },
    },
    stopped: () => signal.aborted,
    over: () => {
      if (sinceMs === undefined) return;
      const waitedMs = Math.round(clock.monotonicMs() - sinceMs);
      // Somebody should know that the other one is gone.
      log.warn('took-over', { waitedMs });
      out.event('took-over', { waitedMs });
    },
  };
}

/** What was opened; undefined for a standby that was stopped while it waited, which is no failure. */
export async function opened(opening: Promise<App>, waiting: Standby | undefined): Promise<App | undefined> {
  try {
    const app = await opening;
    waiting?.over();
    return app;
  } catch (error) {
    if (waiting?.stopped() === true) return undefined;
    throw error;
  }
}
