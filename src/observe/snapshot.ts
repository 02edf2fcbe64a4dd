import type { SourceFigures } from '../connector/figures.ts';
import type { Drift } from '../core/audit.ts';
import type { BreakerState } from '../core/breaker.ts';
import type { EpochMillis, ParkCode } from '../core/types.ts';
import type { Totals } from '../ledger/ledger.ts';

/**
 * Everything that health, metrics and the status page show of a running agent at one moment. It holds numbers per
 * target, sink and source, never anything per table, so it stays as small as the configuration.
 */
export type AgentSnapshot = {
  readonly version: string;
  /** When it was made, by the agent's clock. */
  readonly at: EpochMillis;
  readonly startedAt: EpochMillis;
  readonly source: SourceSnapshot;
  /** In the configuration's order, like the sinks. */
  readonly targets: readonly TargetSnapshot[];
  readonly sinks: readonly SinkSnapshot[];
  readonly ledger: LedgerSnapshot;
};

/** `starting`: it has not been followed in this run yet. `down`: it could be followed no longer, and is tried again. */
export type SourceState = 'starting' | 'following' | 'down';

export type SourceSnapshot = {
  /** As the ledger names it; no secrets. */
  readonly name: string;
  /** The connector's `kind`. */
  readonly kind: string;
  readonly state: SourceState;
  /** When it came into this state. */
  readonly since: EpochMillis;
  /** All work that there was after the first reconciliation of this run was done, at this moment; undefined: not yet. */
  readonly caughtUpAt?: EpochMillis | undefined;
  /** Why it could not be followed the last time that this happened in this run; cleared by nothing, so see `at`. */
  readonly lastError?: Trouble | undefined;
  /** The end of the last reconciliation, and how many tables the source listed. */
  readonly reconciled?: { readonly at: EpochMillis; readonly tables: number } | undefined;
  /** As last measured, and when; undefined before the first time. */
  readonly figures?: SourceFigures | undefined;
  readonly measuredAt?: EpochMillis | undefined;
  /** Lag, measured every few seconds; the oldest first, an hour at most. */
  readonly history: readonly LagPoint[];
};

export type LagPoint = {
  readonly at: EpochMillis;
  readonly lagMs?: number | undefined;
  readonly lagBytes?: number | undefined;
};

/** `detail` is for people, without secrets; it may hold names from the source, so whoever shows it escapes it. */
export type Trouble = { readonly at: EpochMillis; readonly detail: string };

export type TargetSnapshot = {
  readonly name: string;
  readonly state: 'up' | 'down';
  /** When it came into this state; the start of the agent for one that was never down. */
  readonly since: EpochMillis;
  /** Why it went down the last time in this run. */
  readonly lastError?: Trouble | undefined;
  readonly totals: Totals;
  /** Parked entries by code; held DROPs are those of `DROP_HELD`. Codes without entries are absent. */
  readonly parked: Readonly<Partial<Record<ParkCode, number>>>;
  /** Requests that may be under way together, and that are. */
  readonly limit: number;
  readonly inFlight: number;
  readonly breaker: BreakerState;
  /** Since when the oldest unfinished table has been waiting, as far as this process knows; undefined: nothing waits. */
  readonly oldestPendingSince?: EpochMillis | undefined;
  /** How long something has been under way without any progress, ms; 0: nothing is, or it goes on. */
  readonly stalledMs: number;
  /** Notifications that were admitted in this run, VALIDATE excepted. */
  readonly admitted: number;
  /** When the last of them was. */
  readonly lastDeliveryAt?: EpochMillis | undefined;
  /** Of the notifications seen last, from sending to the answer, ms. */
  readonly latencyMs?: Quantiles | undefined;
  /** From the source's commit to Polaris's answer, ms, likewise. */
  readonly commitToVisibleMs?: Quantiles | undefined;
  /** What the last audit of this run found. */
  readonly audit?: AuditSnapshot | undefined;
};

/** Of the last values seen, at most `count` of them. */
export type Quantiles = { readonly count: number; readonly p50: number; readonly p99: number };

export type AuditSnapshot = {
  readonly at: EpochMillis;
  readonly tables: number;
  readonly drift: Readonly<Partial<Record<Drift, number>>>;
};

export type SinkSnapshot = {
  readonly name: string;
  readonly state: 'up' | 'down';
  readonly since: EpochMillis;
  readonly lastError?: Trouble | undefined;
  readonly waiting: number;
  /** Put aside for people, as the sink will never take them. */
  readonly buried: number;
  /** When the oldest waiting one was recorded. */
  readonly oldest?: EpochMillis | undefined;
  /** Events that it took in this run. */
  readonly forwarded: number;
};

export type LedgerSnapshot = {
  readonly path: string;
  /** `failed`: it accepts nothing more, and the agent is about to end. */
  readonly state: 'open' | 'failed';
  /** The file and its write-ahead log; undefined while it can't be told. */
  readonly bytes?: number | undefined;
  /** Of the last commits. */
  readonly commitMs?: Quantiles | undefined;
};
