import type { AgentSnapshot } from './snapshot.ts';

/** `detail` is for people; whoever shows it to strangers leaves it out. */
export type HealthCheck = { readonly name: string; readonly ok: boolean; readonly detail: string };

/**
 * Longer than any request or read may take by its own timeouts, retries included: a process must not be killed for
 * being slow.
 */
export const STALL_MS = 600_000;

/**
 * Whether the process should go on: its loops make progress. That the event loop turns is proved by the answer itself.
 * A source or target that is down is no reason to start anew.
 */
export function liveness({ ledger, targets }: AgentSnapshot): readonly HealthCheck[] {
  return [
    ledgerCheck(ledger),
    ...targets.map(({ name, stalledMs }) => ({
      name: `deliveries to ${name}`,
      ok: stalledMs < STALL_MS,
      detail: stalledMs < STALL_MS ? 'going on' : `something is under way for ${inSeconds(stalledMs)} without progress`,
    })),
  ];
}

/** Whether changes get through at this moment; with `caughtUp` also whether everything that was to be done at the start is done. */
export function readiness(
  snapshot: AgentSnapshot,
  { caughtUp }: { readonly caughtUp: boolean },
): readonly HealthCheck[] {
  const { at, source, targets, ledger } = snapshot;
  const since = (moment: number) => `for ${inSeconds(at - moment)}`;
  const checks: HealthCheck[] = [
    ledgerCheck(ledger),
    {
      name: 'source',
      ok: source.state === 'following',
      detail: `${source.state} ${since(source.since)}${source.state === 'following' ? '' : because(source.lastError)}`,
    },
    ...targets.map(({ name, state, since: moment, lastError }) => ({
      name: `target ${name}`,
      ok: state === 'up',
      detail: `${state} ${since(moment)}${state === 'up' ? '' : because(lastError)}`,
    })),
  ];
  if (!caughtUp) return checks;
  const pending = targets.map(({ name, totals }) => `${totals.pending} pending for ${name}`).join(', ');
  const done = source.caughtUpAt;
  const detail = done === undefined ? `not yet: ${pending}` : `since ${new Date(done).toISOString()}`;
  return [...checks, { name: 'caught up', ok: done !== undefined, detail }];
}

const ledgerCheck = ({ state }: AgentSnapshot['ledger']): HealthCheck => ({
  name: 'ledger',
  ok: state === 'open',
  detail: state === 'open' ? 'open' : 'it accepts nothing more',
});

const because = (trouble: { readonly detail: string } | undefined): string =>
  trouble === undefined ? '' : `: ${trouble.detail}`;

const inSeconds = (ms: number): string => `${Math.max(0, Math.round(ms / 1000))} s`;
