import type { EpochMillis } from '../core/types.ts';
import type { StatusAnswer } from './api-schema.ts';
import type { AgentSnapshot, Quantiles, SinkSnapshot, SourceSnapshot, TargetSnapshot, Trouble } from './snapshot.ts';

export type StatusFacts = {
  /** Whether there is an admin token. */
  readonly admin: boolean;
  /** Admitted notifications a second, by target. */
  readonly perSecond: ReadonlyMap<string, number>;
};

/** A snapshot as `/api/v1/status` shows it. */
export const statusAnswer = (snapshot: AgentSnapshot, { admin, perSecond }: StatusFacts): StatusAnswer =>
  known({
    version: snapshot.version,
    at: iso(snapshot.at),
    started_at: iso(snapshot.startedAt),
    admin,
    source: sourceAnswer(snapshot.source),
    targets: snapshot.targets.map((target) => targetAnswer(target, perSecond.get(target.name) ?? 0)),
    sinks: snapshot.sinks.map(sinkAnswer),
    ledger: known({
      path: snapshot.ledger.path,
      state: snapshot.ledger.state,
      bytes: snapshot.ledger.bytes,
      commit_ms: quantiles(snapshot.ledger.commitMs),
    }),
  });

function sourceAnswer({ figures = {}, reconciled, ...source }: SourceSnapshot): StatusAnswer['source'] {
  const { slot, queue, polls } = figures;
  return known({
    name: source.name,
    kind: source.kind,
    state: source.state,
    since: iso(source.since),
    caught_up_at: isoOrNot(source.caughtUpAt),
    last_error: trouble(source.lastError),
    reconciled: reconciled === undefined ? undefined : { at: iso(reconciled.at), tables: reconciled.tables },
    measured_at: isoOrNot(source.measuredAt),
    lag_ms: figures.lagMs === undefined ? undefined : rounded(figures.lagMs),
    lag_bytes: figures.lagBytes === undefined ? undefined : Math.round(figures.lagBytes),
    clock_skew_ms: figures.clockSkewMs === undefined ? undefined : rounded(figures.clockSkewMs),
    slot:
      slot === undefined
        ? undefined
        : known({
            state: slot.state,
            active: slot.active,
            retained_bytes: slot.retainedBytes,
            safe_bytes: slot.safeBytes,
          }),
    queue:
      queue === undefined ? undefined : { visible: queue.visible, in_flight: queue.inFlight, delayed: queue.delayed },
    polls: polls === undefined ? undefined : { tables: polls.tables, budget_per_second: polls.budgetPerSecond },
    throttled: figures.throttled,
  });
}

function targetAnswer(target: TargetSnapshot, perSecond: number): StatusAnswer['targets'][number] {
  const { totals, parked, audit } = target;
  const held = parked.DROP_HELD ?? 0;
  return known({
    name: target.name,
    state: target.state,
    since: iso(target.since),
    last_error: trouble(target.lastError),
    tables: { ...totals, parked: Math.max(0, totals.parked - held), held },
    parked_by_code: { ...parked },
    limit: rounded(target.limit),
    in_flight: target.inFlight,
    breaker: target.breaker,
    oldest_pending_since: isoOrNot(target.oldestPendingSince),
    stalled_ms: rounded(target.stalledMs),
    admitted: target.admitted,
    per_second: perSecond,
    last_delivery_at: isoOrNot(target.lastDeliveryAt),
    latency_ms: quantiles(target.latencyMs),
    commit_to_visible_ms: quantiles(target.commitToVisibleMs),
    audit: audit === undefined ? undefined : { at: iso(audit.at), tables: audit.tables, drift: { ...audit.drift } },
  });
}

const sinkAnswer = (one: SinkSnapshot): StatusAnswer['sinks'][number] =>
  known({
    name: one.name,
    state: one.state,
    since: iso(one.since),
    last_error: trouble(one.lastError),
    waiting: one.waiting,
    refused: one.buried,
    oldest: isoOrNot(one.oldest),
    forwarded: one.forwarded,
  });

const trouble = (one: Trouble | undefined) => (one === undefined ? undefined : { at: iso(one.at), detail: one.detail });

/** A commit's time may lie ahead of our clock by its skew: never less than nothing is shown. */
const quantiles = (of: Quantiles | undefined) =>
  of === undefined
    ? undefined
    : { count: of.count, p50: Math.max(0, rounded(of.p50)), p99: Math.max(0, rounded(of.p99)) };

/** Without the keys that have no value. */
const known = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;

const iso = (at: EpochMillis): string => new Date(at).toISOString();
const isoOrNot = (at: EpochMillis | undefined): string | undefined => (at === undefined ? undefined : iso(at));
const rounded = (value: number): number => Math.round(value * 10) / 10;
