import type { Drift } from '../core/audit.ts';
import { heldBy, isCertain } from '../core/decide.ts';
import type { Connector } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Target } from '../polaris/target.ts';
import type { Clock } from '../runtime/clock.ts';
import { diff, type Difference } from './diff.ts';
import type { Driver, Hint } from './driver.ts';
import type { Emit } from './events.ts';
import { hintOf } from './reconcile.ts';

/** Conditional GETs under way together: an audit has time, notifications have not. */
const CONCURRENCY = 4;
/** Hints recorded together, at most. */
const BATCH = 100;

export type AuditParts = {
  readonly connector: Pick<Connector, 'list' | 'resolve'>;
  readonly ledger: Ledger;
  readonly target: Target;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly emit: Emit;
};

/**
 * Asks Polaris what it serves of every table, and mends what another hand changed there: tables that are missing or
 * stale although the ledger says otherwise. Orphans and foreign tables are counted only: dropping what this agent never
 * brought is a human's decision (`reconcile`).
 */
export async function audit(parts: AuditParts, signal: AbortSignal): Promise<void> {
  const { target, driver, ledger, clock, emit } = parts;
  const before = clock.monotonicMs();
  const drift: Partial<Record<Drift, number>> = {};
  let tables = 0;
  let hints: Hint[] = [];
  const flush = async () => {
    const batch = hints;
    hints = [];
    if (batch.length > 0) await driver.changed(batch);
  };
  const compared = () => void tables++;
  for await (const difference of diff({ ...parts, concurrency: CONCURRENCY, compared }, signal)) {
    const hint = mendingHint(difference, ledger);
    if (hint === undefined && isUnderWay(difference, ledger)) continue;
    drift[difference.drift] = (drift[difference.drift] ?? 0) + 1;
    if (hint !== undefined && hints.push(hint) >= BATCH) await flush();
  }
  signal.throwIfAborted();
  await flush();
  emit({ kind: 'audited', target: target.name, tables, drift, tookMs: clock.monotonicMs() - before });
}

/** A hint that has the table delivered anew, if Polaris was told of exactly this state and serves something else. */
export function mendingHint({ target, table, drift, metadataLocation }: Difference, ledger: Ledger): Hint | undefined {
  if (drift !== 'missing' && drift !== 'stale') return undefined;
  const entry = ledger.entry(target, table);
  // Otherwise the ledger knows of the difference: its delivery is under way, or waits for something.
  if (entry === undefined || !isCertain(entry) || heldBy(entry)?.metadataLocation !== metadataLocation)
    return undefined;
  return { ...hintOf(table, entry), doubt: true };
}

/** Whether the table was changed while it was compared, or is being delivered anyway. */
function isUnderWay({ target, table, drift }: Difference, ledger: Ledger): boolean {
  const entry = ledger.entry(target, table);
  return (drift === 'missing' || drift === 'stale') && entry?.parked === undefined;
}
