import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { PipelineEvent } from '../pipeline/events.ts';
import type { Clock } from '../runtime/clock.ts';
import type { AgentFacts } from './agent-state.ts';
import { LABELS, METRICS, PREFIX, type Label, type MetricDefinition, type MetricName } from './definitions.ts';
import type { Meters } from './meters.ts';
import { samplesOf, type Labels } from './samples.ts';
import type { AgentSnapshot } from './snapshot.ts';

/** A text that is younger is given again, so that however many ask, it is made so often at most. */
const KEEP_MS = 1_000;

type NamesOf<Kind> = { [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never }[MetricName];

export type MetricsParts = {
  readonly facts: AgentFacts;
  readonly snapshot: () => AgentSnapshot;
  readonly clock: Clock;
};

/** Everything that Prometheus may scrape. What happens is counted as it happens; how things stand is looked up when asked. */
export class Metrics implements Meters {
  /** Of the text. */
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #parts: MetricsParts;
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  #text: { readonly madeMs: number; readonly text: Promise<string> } | undefined;

  constructor(parts: MetricsParts) {
    this.#parts = parts;
    for (const [name, definition] of Object.entries(METRICS)) this.#register(name, definition);
    collectDefaultMetrics({ register: this.#registry });
  }

  /** In Prometheus's text format, version 0.0.4; at most a second old. */
  text(): Promise<string> {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#text === undefined || nowMs - this.#text.madeMs >= KEEP_MS)
      this.#text = { madeMs: nowMs, text: this.#make() };
    return this.#text.text;
  }

  see(event: PipelineEvent): void {
    const { source } = this.#parts.facts;
    switch (event.kind) {
      case 'notified':
        return this.#notified(event);
      case 'foreign-sender':
        return this.#count('conflicts_total', { target: event.target, diagnosis: 'foreign-sender' });
      case 'adopted':
        return this.#count('adopted_total', { target: event.target });
      case 'parked':
        return this.#count('parks_total', { target: event.target, code: event.parked.code });
      case 'source-down':
        return this.#count('source_failures_total', { source });
      case 'hinted':
        for (const [kind, count] of Object.entries(event.changes)) this.#count('hints_total', { source, kind }, count);
        return undefined;
      case 'reconciled':
        this.#count('reconcile_hints_total', { source }, event.hints);
        return this.#count('reconciliations_total', { source });
      case 'resolved': {
        const { target, tables, failed, tookMs } = event;
        const labels = { target, result: failed ? 'failed' : 'ok' };
        this.#count('resolves_total', labels);
        this.#count('resolved_tables_total', labels, tables);
        return this.#observe('resolve_duration_seconds', { target }, tookMs);
      }
      case 'forwarded':
        this.#count('sink_forwarded_events_total', { sink: event.sink }, event.events);
        return this.#observe('sink_delivery_duration_seconds', { sink: event.sink }, event.tookMs);
      case 'event-refused':
        return this.#count('sink_refused_events_total', { sink: event.sink });
      case 'settled':
      case 'target-down':
      case 'target-up':
      case 'sink-down':
      case 'sink-up':
      case 'source-up':
      case 'audited':
      case 'caught-up':
        return undefined;
    }
  }

  committed({ ms }: { readonly ms: number }): void {
    this.#observe('ledger_commit_duration_seconds', {}, ms);
  }

  requested(target: string, { kind, status }: { readonly kind: string; readonly status: number | undefined }): void {
    const of = status === undefined ? 'none' : `${Math.floor(status / 100)}xx`;
    this.#count('target_requests_total', { target, operation: kind, status: of });
  }

  renewed(target: string, { ok }: { readonly ok: boolean }): void {
    this.#count('token_renewals_total', { target, result: ok ? 'ok' : 'failed' });
  }

  #notified({ target, notification, outcome, tookMs, commitToVisibleMs }: PipelineEvent & { kind: 'notified' }): void {
    const { type } = notification;
    this.#count('notifications_total', { target, type, outcome: outcome.kind });
    this.#observe('notification_duration_seconds', { target, type }, tookMs);
    if (outcome.kind === 'refused') this.#count('refusals_total', { target, reason: outcome.reason });
    if (outcome.kind === 'stale' || outcome.kind === 'lost-race' || outcome.kind === 'name-taken')
      this.#count('conflicts_total', { target, diagnosis: outcome.kind });
    if (commitToVisibleMs === undefined) return;
    this.#observe('commit_to_visible_seconds', { source: this.#parts.facts.source, target }, commitToVisibleMs);
  }

  #count(name: NamesOf<'counter'>, labels: Labels, count = 1): void {
    this.#counters.get(name)?.inc(labels, count);
  }

  #observe(name: NamesOf<'histogram'>, labels: Labels, ms: number): void {
    this.#histograms.get(name)?.observe(labels, Math.max(0, ms) / 1000);
  }

  /** With a series for every combination of labels that is known now: an increase from nothing would not be seen. */
  #register(name: string, definition: MetricDefinition): void {
    const { kind, help, labels, buckets } = definition;
    const common = { name: `${PREFIX}${name}`, help, labelNames: labels, registers: [this.#registry] };
    switch (kind) {
      case 'gauge':
        this.#gauges.set(name, new Gauge(common));
        return;
      case 'counter': {
        const counter = new Counter(common);
        for (const combination of this.#combinations(labels)) counter.inc(combination, 0);
        this.#counters.set(name, counter);
        return;
      }
      case 'histogram': {
        const histogram = new Histogram({ ...common, buckets: [...(buckets ?? [])] });
        for (const combination of this.#combinations(labels)) histogram.zero(combination);
        this.#histograms.set(name, histogram);
      }
    }
  }

  #combinations(labels: readonly Label[]): readonly Labels[] {
    let combinations: readonly Labels[] = [{}];
    for (const label of labels) {
      const values = this.#valuesOf(label);
      combinations = combinations.flatMap((one) => values.map((value) => ({ ...one, [label]: value })));
    }
    return combinations;
  }

  #valuesOf(label: Label): readonly string[] {
    const { targets, sinks, source } = this.#parts.facts;
    if (label === 'target') return targets;
    if (label === 'sink') return sinks;
    if (label === 'source') return [source];
    const known = LABELS[label];
    return 'values' in known ? known.values : [];
  }

  async #make(): Promise<string> {
    for (const [name, gauge] of this.#gauges) {
      gauge.reset();
      // One without labels starts anew with 0, which may not be true.
      if (METRICS[name as MetricName].labels.length === 0) gauge.remove();
    }
    for (const name of FROM_SNAPSHOT) this.#counters.get(name)?.reset();
    for (const [name, labels, value] of samplesOf(this.#parts.snapshot())) {
      if (value === undefined) continue;
      this.#gauges.get(name)?.set(labels, value);
      this.#counters.get(name)?.inc(labels, value);
    }
    return await this.#registry.metrics();
  }
}

/** Counted by the connector, which is asked for the sum. */
const FROM_SNAPSHOT: readonly NamesOf<'counter'>[] = ['source_requests_total', 'source_throttled_total'];
