import { LABELS, type Label, type MetricName } from './definitions.ts';
import type { AgentSnapshot, SinkSnapshot, SourceSnapshot, TargetSnapshot } from './snapshot.ts';

export type Labels = Readonly<Partial<Record<Label, string>>>;

/** One series' value at a moment. */
export type Sample = readonly [name: MetricName, labels: Labels, value: number | undefined];

/** What was measured longer ago says nothing of now. */
const STALE_MS = 60_000;

/** The values that are read off a snapshot; an undefined one means that there is no such series. */
export function* samplesOf(snapshot: AgentSnapshot): Generator<Sample, void, undefined> {
  const { source, targets, sinks, ledger, version, at } = snapshot;
  yield ['build_info', { version, node: process.versions.node }, 1];
  yield* ofSource(source, at);
  for (const target of targets) yield* ofTarget(target, at);
  for (const sink of sinks) yield* ofSink(sink, at);
  yield ['ledger_up', {}, Number(ledger.state === 'open')];
  yield ['ledger_bytes', {}, ledger.bytes];
}

function* ofSource(snapshot: SourceSnapshot, at: number): Generator<Sample, void, undefined> {
  const source = { source: snapshot.kind };
  yield ['source_up', source, Number(snapshot.state === 'following')];
  yield ['source_caught_up', source, Number(snapshot.caughtUpAt !== undefined)];
  yield ['reconciled_tables', source, snapshot.reconciled?.tables];
  yield ['last_reconciliation_timestamp_seconds', source, seconds(snapshot.reconciled?.at)];
  const fresh = at - (snapshot.measuredAt ?? Number.NEGATIVE_INFINITY) <= STALE_MS;
  const { lagMs, lagBytes, slot, queue, polls, requests, throttled, clockSkewMs } =
    (fresh ? snapshot.figures : undefined) ?? {};
  yield ['source_lag_seconds', source, seconds(lagMs)];
  yield ['source_lag_bytes', source, lagBytes];
  if (slot !== undefined) {
    yield ['source_slot_active', source, Number(slot.active)];
    yield* oneOf('source_slot_state', 'slot', source, slot.state);
    yield ['source_slot_retained_bytes', source, slot.retainedBytes];
    yield ['source_slot_safe_bytes', source, slot.safeBytes];
  }
  if (queue !== undefined) {
    yield ['source_queue_messages', { ...source, queue: 'visible' }, queue.visible];
    yield ['source_queue_messages', { ...source, queue: 'in-flight' }, queue.inFlight];
    yield ['source_queue_messages', { ...source, queue: 'delayed' }, queue.delayed];
  }
  yield ['source_polled_tables', source, polls?.tables];
  yield ['source_poll_budget', source, polls?.budgetPerSecond];
  for (const [operation, count] of Object.entries(requests ?? {}))
    yield ['source_requests_total', { ...source, operation }, count];
  yield ['source_throttled_total', source, throttled];
  yield ['source_clock_skew_seconds', source, seconds(clockSkewMs)];
}

function* ofTarget(snapshot: TargetSnapshot, at: number): Generator<Sample, void, undefined> {
  const target = { target: snapshot.name };
  const { totals, parked, audit, oldestPendingSince } = snapshot;
  yield ['target_up', target, Number(snapshot.state === 'up')];
  yield ['delivered_tables', target, totals.delivered];
  yield ['pending_tables', target, totals.pending];
  yield ['skipped_tables', target, totals.skipped];
  for (const code of LABELS.code.values)
    yield ['parked_tables', { ...target, code }, (parked as Readonly<Record<string, number>>)[code] ?? 0];
  yield ['oldest_pending_age_seconds', target, age(oldestPendingSince, at)];
  yield ['concurrency_limit', target, snapshot.limit];
  yield ['requests_in_flight', target, snapshot.inFlight];
  yield* oneOf('breaker_state', 'breaker', target, snapshot.breaker);
  yield ['stalled_seconds', target, snapshot.stalledMs / 1000];
  if (audit === undefined) return;
  for (const drift of LABELS.drift.values)
    yield ['drift_tables', { ...target, drift }, (audit.drift as Readonly<Record<string, number>>)[drift] ?? 0];
  yield ['audited_tables', target, audit.tables];
  yield ['last_audit_timestamp_seconds', target, audit.at / 1000];
}

function* ofSink(snapshot: SinkSnapshot, at: number): Generator<Sample, void, undefined> {
  const sink = { sink: snapshot.name };
  yield ['sink_up', sink, Number(snapshot.state === 'up')];
  yield ['sink_waiting_events', sink, snapshot.waiting];
  yield ['sink_buried_events', sink, snapshot.buried];
  yield ['sink_oldest_age_seconds', sink, age(snapshot.oldest, at)];
}

/** 1 for the value that holds, 0 for all others. */
function* oneOf(
  name: MetricName,
  label: 'slot' | 'breaker',
  labels: Labels,
  present: string,
): Generator<Sample, void, undefined> {
  for (const value of LABELS[label].values) yield [name, { ...labels, [label]: value }, Number(value === present)];
}

const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);

/** The clock may have stepped back. */
const age = (since: number | undefined, at: number): number =>
  since === undefined ? 0 : Math.max(0, at - since) / 1000;
