import { SLOT_STATES } from '../connector/figures.ts';
import { DRIFTS } from '../core/audit.ts';
import type { BreakerState } from '../core/breaker.ts';
import { REFUSALS } from '../core/refusal.ts';
import type { Change, NotificationType, Outcome } from '../core/types.ts';
import { PARKED } from '../errors/parked.ts';

/** What stands before every name below. */
export const PREFIX = 'polaris_push_';

/**
 * Every label that a metric may have, and its values where the code fixes them. The others are names from the
 * configuration or from the connector's code. A table's name is never among them: there are as many as users make.
 */
export const LABELS = {
  target: { of: 'the `name` of a target in the configuration' },
  sink: { of: 'the `name` of a sink in the configuration' },
  source: { of: 'the `kind` of the source in the configuration' },
  version: { of: 'of this program' },
  node: { of: 'version of Node.js' },
  type: { of: 'of the notification', values: ['CREATE', 'UPDATE', 'DROP', 'VALIDATE'] satisfies NotificationType[] },
  outcome: {
    of: 'what came of it',
    values: [
      'admitted',
      'stale',
      'lost-race',
      'name-taken',
      'refused',
      'unavailable',
      'unauthorized',
      'unknown',
    ] satisfies Outcome['kind'][],
  },
  result: { of: 'whether it succeeded', values: ['ok', 'failed'] },
  reason: { of: 'why Polaris refused', values: Object.keys(REFUSALS) },
  diagnosis: {
    of: 'what the conflict was found to be: `stale` (a notification with this or a newer timestamp was processed before), `lost-race` (another writer was faster), `name-taken` (by a view or a generic table), `foreign-sender` (somebody else sends newer timestamps)',
    values: ['stale', 'lost-race', 'name-taken', 'foreign-sender'],
  },
  code: {
    of: 'why it is parked; each is explained in the [error catalogue](errors.md)',
    values: Object.keys(PARKED),
  },
  drift: { of: 'how source, ledger and Polaris differ', values: Object.keys(DRIFTS) },
  kind: { of: 'of the change', values: ['upserted', 'dropped', 'renamed'] satisfies Change['kind'][] },
  breaker: { of: 'state of the circuit breaker', values: ['closed', 'open', 'half-open'] satisfies BreakerState[] },
  slot: {
    of: "PostgreSQL's `wal_status` of the slot, or `missing`",
    values: SLOT_STATES,
  },
  queue: { of: 'of a message', values: ['visible', 'in-flight', 'delayed'] },
  operation: { of: 'what the request was for; a set that the code of the connector or of the client fixes' },
  status: { of: 'class of the HTTP status, or `none` without an answer', values: ['2xx', '3xx', '4xx', '5xx', 'none'] },
} as const satisfies Record<string, { readonly of: string; readonly values?: readonly string[] }>;

export type Label = keyof typeof LABELS;

export type MetricDefinition = {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** Seconds, bytes, or what is counted. */
  readonly unit: string;
  /** One sentence; also the `# HELP` of the exposition. */
  readonly help: string;
  readonly labels: readonly Label[];
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[] | undefined;
  /** It may have no series: not every source has a slot, a queue or polls, and not everything has happened yet. */
  readonly partial?: true | undefined;
};

const LATENCIES = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** A commit may become visible after an outage of hours. */
const VISIBILITIES = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200];
const COMMITS = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** All metrics of the agent. The page docs/reference/metrics.md is generated from this table. */
export const METRICS = {
  build_info: { kind: 'gauge', unit: '1', help: 'Always 1; the labels tell what runs.', labels: ['version', 'node'] },

  source_up: {
    kind: 'gauge',
    unit: '0 or 1',
    help: 'Whether the source is followed: 0 before the first reconciliation, and while the source fails.',
    labels: ['source'],
  },
  source_caught_up: {
    kind: 'gauge',
    unit: '0 or 1',
    help: 'Whether all work that the first reconciliation of this run found is done.',
    labels: ['source'],
  },
  source_failures_total: {
    kind: 'counter',
    unit: 'failures',
    help: 'Times that the source could not be followed, each try counted.',
    labels: ['source'],
  },
  source_lag_seconds: {
    kind: 'gauge',
    unit: 'seconds',
    help: 'How long changes have been waiting at the source that are not recorded in the ledger yet; 0 if none is known.',
    labels: ['source'],
    partial: true,
  },
  source_lag_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: "How much of the source's log is not recorded here yet; what others write into the same log counts, too.",
    labels: ['source'],
    partial: true,
  },
  source_slot_active: {
    kind: 'gauge',
    unit: '0 or 1',
    help: 'Whether somebody streams from the replication slot.',
    labels: ['source'],
    partial: true,
  },
  source_slot_state: {
    kind: 'gauge',
    unit: '0 or 1',
    help: '1 for the state that the replication slot is in.',
    labels: ['source', 'slot'],
    partial: true,
  },
  source_slot_retained_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'WAL that PostgreSQL keeps for the slot.',
    labels: ['source'],
    partial: true,
  },
  source_slot_safe_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'WAL that may yet be written before the slot is in danger; absent if max_slot_wal_keep_size sets no limit.',
    labels: ['source'],
    partial: true,
  },
  source_queue_messages: {
    kind: 'gauge',
    unit: 'messages',
    help: 'Messages in the queue, by its own estimate.',
    labels: ['source', 'queue'],
    partial: true,
  },
  source_polled_tables: {
    kind: 'gauge',
    unit: 'tables',
    help: 'Tables that are polled in turn.',
    labels: ['source'],
    partial: true,
  },
  source_poll_budget: {
    kind: 'gauge',
    unit: 'requests per second',
    help: 'Requests that the source may be asked; compare it with the rate of source_requests_total.',
    labels: ['source'],
    partial: true,
  },
  source_requests_total: {
    kind: 'counter',
    unit: 'requests',
    help: 'Requests to the source, each attempt counted.',
    labels: ['source', 'operation'],
    partial: true,
  },
  source_throttled_total: {
    kind: 'counter',
    unit: 'requests',
    help: 'Requests that the source refused as too many.',
    labels: ['source'],
    partial: true,
  },
  source_clock_skew_seconds: {
    kind: 'gauge',
    unit: 'seconds',
    help: "How far the source's clock is ahead of this machine's.",
    labels: ['source'],
    partial: true,
  },
  hints_total: {
    kind: 'counter',
    unit: 'changes',
    help: 'Changes that the source told of and that are recorded.',
    labels: ['source', 'kind'],
  },
  reconciliations_total: {
    kind: 'counter',
    unit: 'reconciliations',
    help: 'Times that the whole source was listed and compared with the ledger.',
    labels: ['source'],
  },
  reconcile_hints_total: {
    kind: 'counter',
    unit: 'tables',
    help: 'Tables that a list found to differ from what was delivered, per target; after the start: what the stream did not tell.',
    labels: ['source'],
  },
  reconciled_tables: {
    kind: 'gauge',
    unit: 'tables',
    help: 'Tables that the last list held.',
    labels: ['source'],
    partial: true,
  },
  last_reconciliation_timestamp_seconds: {
    kind: 'gauge',
    unit: 'seconds since 1970',
    help: 'When the last list ended.',
    labels: ['source'],
    partial: true,
  },
  resolves_total: {
    kind: 'counter',
    unit: 'reads',
    help: 'Reads of the source for what tables are now; each is of many tables.',
    labels: ['target', 'result'],
  },
  resolved_tables_total: {
    kind: 'counter',
    unit: 'tables',
    help: 'Tables in those reads.',
    labels: ['target', 'result'],
  },
  resolve_duration_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'How long a read took.',
    labels: ['target'],
    buckets: LATENCIES,
  },

  target_up: {
    kind: 'gauge',
    unit: '0 or 1',
    help: 'Whether the target works, as the last notifications found it.',
    labels: ['target'],
  },
  notifications_total: {
    kind: 'counter',
    unit: 'notifications',
    help: 'Notifications that were sent, by what came of them.',
    labels: ['target', 'type', 'outcome'],
  },
  notification_duration_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'From sending a notification to its answer.',
    labels: ['target', 'type'],
    buckets: LATENCIES,
  },
  commit_to_visible_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: "From the source's commit to the answer of Polaris, for admitted notifications whose commit time is known.",
    labels: ['source', 'target'],
    buckets: VISIBILITIES,
  },
  conflicts_total: {
    kind: 'counter',
    unit: 'answers',
    help: 'Conflicts with what Polaris holds, by what they were found to be.',
    labels: ['target', 'diagnosis'],
  },
  refusals_total: {
    kind: 'counter',
    unit: 'answers',
    help: 'Refusals of Polaris, by why.',
    labels: ['target', 'reason'],
  },
  adopted_total: {
    kind: 'counter',
    unit: 'tables',
    help: 'Tables that Polaris served already as they were to be sent.',
    labels: ['target'],
  },
  parks_total: {
    kind: 'counter',
    unit: 'tables',
    help: 'Times that a table was parked.',
    labels: ['target', 'code'],
  },
  delivered_tables: {
    kind: 'gauge',
    unit: 'tables',
    help: 'Tables that Polaris is known to hold.',
    labels: ['target'],
  },
  pending_tables: {
    kind: 'gauge',
    unit: 'tables',
    help: 'Tables with work left: a hint that no finished read covers, or a notification without an answer.',
    labels: ['target'],
  },
  parked_tables: {
    kind: 'gauge',
    unit: 'tables',
    help: 'Tables that wait for something outside the agent; `DROP_HELD` are DROPs held for a human.',
    labels: ['target', 'code'],
  },
  skipped_tables: {
    kind: 'gauge',
    unit: 'tables',
    help: 'Tables of the source that cannot or shall not be mirrored.',
    labels: ['target'],
  },
  oldest_pending_age_seconds: {
    kind: 'gauge',
    unit: 'seconds',
    help: 'How long the oldest unfinished table has been waiting, as far as this process knows; 0 if none is.',
    labels: ['target'],
  },
  concurrency_limit: {
    kind: 'gauge',
    unit: 'requests',
    help: 'Notifications that may be under way together; the agent finds the limit itself.',
    labels: ['target'],
  },
  requests_in_flight: {
    kind: 'gauge',
    unit: 'requests',
    help: 'Notifications that are under way.',
    labels: ['target'],
  },
  breaker_state: {
    kind: 'gauge',
    unit: '0 or 1',
    help: '1 for the state that the circuit breaker is in; open while the target works for nobody.',
    labels: ['target', 'breaker'],
  },
  stalled_seconds: {
    kind: 'gauge',
    unit: 'seconds',
    help: 'How long something has been under way without any progress; /livez fails at 600.',
    labels: ['target'],
  },
  target_requests_total: {
    kind: 'counter',
    unit: 'requests',
    help: 'HTTP requests to Polaris, those of the token endpoint excepted.',
    labels: ['target', 'operation', 'status'],
    partial: true,
  },
  token_renewals_total: {
    kind: 'counter',
    unit: 'attempts',
    help: 'Attempts to get a token.',
    labels: ['target', 'result'],
  },
  drift_tables: {
    kind: 'gauge',
    unit: 'tables',
    help: 'What the last audit of this run found; absent before the first.',
    labels: ['target', 'drift'],
    partial: true,
  },
  audited_tables: {
    kind: 'gauge',
    unit: 'tables',
    help: 'Tables that the last audit compared.',
    labels: ['target'],
    partial: true,
  },
  last_audit_timestamp_seconds: {
    kind: 'gauge',
    unit: 'seconds since 1970',
    help: 'When the last audit ended.',
    labels: ['target'],
    partial: true,
  },

  sink_up: {
    kind: 'gauge',
    unit: '0 or 1',
    help: 'Whether the sink takes events, as the last ones found it.',
    labels: ['sink'],
    partial: true,
  },
  sink_waiting_events: {
    kind: 'gauge',
    unit: 'events',
    help: 'Events in the outbox that the sink is still to take.',
    labels: ['sink'],
    partial: true,
  },
  sink_buried_events: {
    kind: 'gauge',
    unit: 'events',
    help: 'Events that were put aside for people, as the sink will never take them.',
    labels: ['sink'],
    partial: true,
  },
  sink_oldest_age_seconds: {
    kind: 'gauge',
    unit: 'seconds',
    help: 'How old the oldest waiting event is; 0 if none waits.',
    labels: ['sink'],
    partial: true,
  },
  sink_forwarded_events_total: {
    kind: 'counter',
    unit: 'events',
    help: 'Events that the sink took.',
    labels: ['sink'],
    partial: true,
  },
  sink_refused_events_total: {
    kind: 'counter',
    unit: 'events',
    help: 'Events that were put aside.',
    labels: ['sink'],
    partial: true,
  },
  sink_delivery_duration_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'How long a call took that the sink accepted.',
    labels: ['sink'],
    buckets: LATENCIES,
    partial: true,
  },

  ledger_up: {
    kind: 'gauge',
    unit: '0 or 1',
    help: 'Whether the ledger accepts records; at 0 the agent is about to end.',
    labels: [],
  },
  ledger_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'The ledger’s file and its write-ahead log.',
    labels: [],
    partial: true,
  },
  ledger_commit_duration_seconds: {
    kind: 'histogram',
    unit: 'seconds',
    help: 'How long a commit of the ledger took, the sync to disk included.',
    labels: [],
    buckets: COMMITS,
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;
