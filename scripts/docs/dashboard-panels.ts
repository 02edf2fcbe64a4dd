import { PREFIX, type MetricName } from '../../src/observe/definitions.ts';

export type Query = { readonly expr: string; readonly legend: string };

export type Panel = {
  readonly title: string;
  /** What it shows and what to look for. */
  readonly about: string;
  /** Grafana's id of a unit. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Default `timeseries`. */
  readonly kind?: 'stat' | 'timeseries' | undefined;
  /** Of 24 columns; default 8. */
  readonly width?: number | undefined;
  /** Default 8. */
  readonly height?: number | undefined;
  /** From which value on which colour; undefined: from the lowest. */
  readonly colours?: readonly (readonly [number | undefined, string])[] | undefined;
};

export type Row = { readonly title: string; readonly panels: readonly Panel[] };

/** A metric of the chosen agents, with further matchers such as `target=~"$target"`. */
export const of = (name: MetricName | `${MetricName}_${'bucket' | 'sum' | 'count'}`, ...matchers: readonly string[]) =>
  `${PREFIX}${name}{${['job=~"$job"', 'instance=~"$instance"', ...matchers].join(',')}}`;

const TARGET = 'target=~"$target"';
const NOT_HELD = 'code!="DROP_HELD"';
const HELD = 'code="DROP_HELD"';

const rate = (by: string, selector: string): string => `sum by (${by}) (rate(${selector}[$__rate_interval]))`;

const quantiles = (name: MetricName, by: string, ...matchers: readonly string[]): readonly Query[] =>
  [0.5, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, ${rate(by === '' ? 'le' : `le, ${by}`, of(`${name}_bucket`, ...matchers))})`,
    legend: `${by === '' ? '' : `{{${by}}} `}p${quantile * 100}`,
  }));

const stat = (title: string, about: string, expr: string): Panel => ({
  kind: 'stat',
  title,
  about,
  unit: 'short',
  width: 3,
  height: 4,
  queries: [{ expr, legend: '' }],
});
const RED_BELOW_ONE = [
  [undefined, 'red'],
  [1, 'green'],
] as const;
const ORANGE_ABOVE_ZERO = [
  [undefined, 'green'],
  [1, 'orange'],
] as const;
const LATE = [
  [undefined, 'green'],
  [300, 'orange'],
  [900, 'red'],
] as const;

const AT_A_GLANCE: readonly Panel[] = [
  { ...stat('Source', '1: it is followed.', `min(${of('source_up')})`), colours: RED_BELOW_ONE },
  {
    ...stat('Caught up', '1: what was found at the start is done.', `min(${of('source_caught_up')})`),
    colours: RED_BELOW_ONE,
  },
  { ...stat('Targets up', '1: all of them work.', `min(${of('target_up', TARGET)})`), colours: RED_BELOW_ONE },
  { ...stat('Ledger', '1: it accepts records.', `min(${of('ledger_up')})`), colours: RED_BELOW_ONE },
  {
    ...stat(
      'Oldest pending',
      'How long the oldest unfinished table waits.',
      `max(${of('oldest_pending_age_seconds', TARGET)})`,
    ),
    unit: 's',
    colours: LATE,
  },
  {
    ...stat('Parked', 'Tables that need somebody.', `sum(${of('parked_tables', TARGET, NOT_HELD)})`),
    colours: ORANGE_ABOVE_ZERO,
  },
  {
    ...stat('DROPs held', 'They wait for a human.', `sum(${of('parked_tables', TARGET, HELD)})`),
    colours: ORANGE_ABOVE_ZERO,
  },
  {
    ...stat('Delivered', 'Tables that Polaris is known to hold.', `sum(${of('delivered_tables', TARGET)})`),
  },
];

const SOURCE: readonly Panel[] = [
  {
    title: 'Lag in time',
    about: 'How long changes have been waiting at the source that are not recorded yet.',
    unit: 's',
    queries: [{ expr: of('source_lag_seconds'), legend: '{{instance}} {{source}}' }],
  },
  {
    title: 'Lag in bytes',
    about: 'The source’s log that is not confirmed. What others write into the same log counts, too.',
    unit: 'bytes',
    queries: [{ expr: of('source_lag_bytes'), legend: '{{instance}} {{source}}' }],
  },
  {
    title: 'Hints',
    about: 'Changes that the source told of, a second.',
    unit: 'cps',
    queries: [{ expr: rate('source, kind', of('hints_total')), legend: '{{source}} {{kind}}' }],
  },
  {
    title: 'Replication slot: WAL',
    about: 'What PostgreSQL keeps for the slot, and what may be written until the slot is in danger.',
    unit: 'bytes',
    queries: [
      { expr: of('source_slot_retained_bytes'), legend: '{{instance}} kept' },
      { expr: of('source_slot_safe_bytes'), legend: '{{instance}} left' },
    ],
  },
  {
    title: 'Replication slot: state',
    about: 'Reserved and extended are well. `streaming` is 1 while somebody reads from it.',
    unit: 'short',
    queries: [
      { expr: `${of('source_slot_state')} == 1`, legend: '{{instance}} {{slot}}' },
      { expr: of('source_slot_active'), legend: '{{instance}} streaming' },
    ],
  },
  {
    title: 'Queue',
    about: 'Messages in the queue of a Glue source, by its own estimate.',
    unit: 'short',
    queries: [{ expr: of('source_queue_messages'), legend: '{{instance}} {{queue}}' }],
  },
  {
    title: 'Requests to the source',
    about: 'A second, by what for. The budget is what a polled source may be asked.',
    unit: 'reqps',
    queries: [
      { expr: rate('source, operation', of('source_requests_total')), legend: '{{source}} {{operation}}' },
      { expr: rate('source', of('source_throttled_total')), legend: '{{source}} refused as too many' },
      { expr: of('source_poll_budget'), legend: '{{instance}} budget' },
    ],
  },
  {
    title: 'Lists',
    about: 'Tables that the last list held, those that are polled, and differences that lists found in an hour.',
    unit: 'short',
    queries: [
      { expr: of('reconciled_tables'), legend: '{{instance}} listed' },
      { expr: of('source_polled_tables'), legend: '{{instance}} polled' },
      { expr: `increase(${of('reconcile_hints_total')}[1h])`, legend: '{{instance}} differed' },
      { expr: `increase(${of('reconciliations_total')}[1h])`, legend: '{{instance}} lists' },
    ],
  },
  {
    title: 'Since the last list, and clock',
    about: 'How long ago the source was listed. How far its clock is ahead of this host’s.',
    unit: 's',
    queries: [
      { expr: `time() - ${of('last_reconciliation_timestamp_seconds')}`, legend: '{{instance}} since the list' },
      { expr: of('source_clock_skew_seconds'), legend: '{{instance}} clock ahead' },
    ],
  },
  {
    title: 'Failures to follow the source',
    about: 'Tries that failed, in ten minutes.',
    unit: 'short',
    queries: [{ expr: `increase(${of('source_failures_total')}[10m])`, legend: '{{instance}} {{source}}' }],
  },
  {
    title: 'Reads of the source',
    about: 'Tables that were read, a second. A read is of many tables.',
    unit: 'cps',
    queries: [
      { expr: rate('target, result', of('resolved_tables_total', TARGET)), legend: '{{target}} tables {{result}}' },
      { expr: rate('target, result', of('resolves_total', TARGET)), legend: '{{target}} reads {{result}}' },
    ],
  },
  {
    title: 'Time of a read',
    about: 'Of the source, for what tables are now.',
    unit: 's',
    queries: quantiles('resolve_duration_seconds', 'target', TARGET),
  },
];

const NOTIFICATIONS: readonly Panel[] = [
  {
    title: 'Notifications',
    about: 'That were sent, a second, by type and by what came of them.',
    unit: 'cps',
    queries: [
      { expr: rate('type, outcome', of('notifications_total', TARGET)), legend: '{{type}} {{outcome}}' },
      { expr: rate('target', of('adopted_total', TARGET)), legend: '{{target}} served already' },
    ],
  },
  {
    title: 'From commit to visible',
    about: 'From the source’s commit to the answer of Polaris.',
    unit: 's',
    queries: quantiles('commit_to_visible_seconds', 'target', TARGET),
  },
  {
    title: 'Time of a notification',
    about: 'From sending it to its answer.',
    unit: 's',
    queries: quantiles('notification_duration_seconds', 'target', TARGET),
  },
  {
    title: 'Conflicts',
    about: 'A foreign sender is one that uses timestamps which this agent never used.',
    unit: 'cps',
    queries: [{ expr: rate('target, diagnosis', of('conflicts_total', TARGET)), legend: '{{target}} {{diagnosis}}' }],
  },
  {
    title: 'Refusals',
    about: 'Of Polaris, by why.',
    unit: 'cps',
    queries: [{ expr: rate('target, reason', of('refusals_total', TARGET)), legend: '{{target}} {{reason}}' }],
  },
  {
    title: 'Newly parked',
    about: 'Tables that were parked in an hour.',
    unit: 'short',
    queries: [
      { expr: `sum by (target, code) (increase(${of('parks_total', TARGET)}[1h]))`, legend: '{{target}} {{code}}' },
    ],
  },
];

const TARGETS: readonly Panel[] = [
  {
    title: 'Tables',
    about: 'What has to be done, and what can’t or shan’t be.',
    unit: 'short',
    queries: [
      { expr: of('pending_tables', TARGET), legend: '{{target}} pending' },
      { expr: of('skipped_tables', TARGET), legend: '{{target}} not mirrored' },
      { expr: of('delivered_tables', TARGET), legend: '{{target}} delivered' },
    ],
  },
  {
    title: 'Parked tables',
    about: 'By why. `polaris-push status` names them and says what to do.',
    unit: 'short',
    queries: [{ expr: `${of('parked_tables', TARGET)} > 0`, legend: '{{target}} {{code}}' }],
  },
  {
    title: 'Waiting',
    about: 'The oldest unfinished table, and how long something has been under way without progress.',
    unit: 's',
    queries: [
      { expr: of('oldest_pending_age_seconds', TARGET), legend: '{{target}} oldest pending' },
      { expr: of('stalled_seconds', TARGET), legend: '{{target}} stalled' },
    ],
  },
  {
    title: 'Concurrency',
    about: 'Notifications under way, and the limit that the agent has found.',
    unit: 'short',
    queries: [
      { expr: of('concurrency_limit', TARGET), legend: '{{target}} limit' },
      { expr: of('requests_in_flight', TARGET), legend: '{{target}} under way' },
    ],
  },
  {
    title: 'Circuit breaker',
    about: 'Open: the target works for nobody, and is tried now and then.',
    unit: 'short',
    queries: [
      { expr: `${of('breaker_state', TARGET)} == 1`, legend: '{{target}} {{breaker}}' },
      { expr: of('target_up', TARGET), legend: '{{target}} up' },
    ],
  },
  {
    title: 'Requests to Polaris',
    about: 'A second, by what for and by class of the status.',
    unit: 'reqps',
    queries: [
      { expr: rate('operation, status', of('target_requests_total', TARGET)), legend: '{{operation}} {{status}}' },
    ],
  },
  {
    title: 'Token renewals',
    about: 'In ten minutes.',
    unit: 'short',
    queries: [{ expr: `increase(${of('token_renewals_total', TARGET)}[10m])`, legend: '{{target}} {{result}}' }],
  },
  {
    title: 'Drift',
    about: 'What the last audit found, of so many tables.',
    unit: 'short',
    queries: [
      { expr: of('drift_tables', TARGET), legend: '{{target}} {{drift}}' },
      { expr: of('audited_tables', TARGET), legend: '{{target}} compared' },
    ],
  },
  {
    title: 'Since the last audit',
    about: 'There is one every `reconcile.audit`, 6 hours unless told otherwise.',
    unit: 's',
    queries: [{ expr: `time() - ${of('last_audit_timestamp_seconds', TARGET)}`, legend: '{{target}}' }],
  },
];

const SINKS: readonly Panel[] = [
  {
    title: 'Events',
    about: 'That sinks took and refused, a second.',
    unit: 'cps',
    queries: [
      { expr: rate('sink', of('sink_forwarded_events_total')), legend: '{{sink}} taken' },
      { expr: rate('sink', of('sink_refused_events_total')), legend: '{{sink}} refused' },
    ],
  },
  {
    title: 'Outbox',
    about: 'Events that wait, and those that were put aside for people.',
    unit: 'short',
    queries: [
      { expr: of('sink_waiting_events'), legend: '{{sink}} waiting' },
      { expr: of('sink_buried_events'), legend: '{{sink}} put aside' },
      { expr: of('sink_up'), legend: '{{sink}} up' },
    ],
  },
  {
    title: 'Age and time of a delivery',
    about: 'The oldest event that waits, and how long calls took that a sink accepted.',
    unit: 's',
    queries: [
      { expr: of('sink_oldest_age_seconds'), legend: '{{sink}} oldest' },
      ...quantiles('sink_delivery_duration_seconds', 'sink'),
    ],
  },
];

const PROCESS: readonly Panel[] = [
  {
    title: 'Commits of the ledger',
    about: 'How long they take, the sync to disk included.',
    unit: 's',
    queries: quantiles('ledger_commit_duration_seconds', ''),
  },
  {
    title: 'Size of the ledger',
    about: 'Its file and its write-ahead log. It grows with tables, not with commits.',
    unit: 'bytes',
    queries: [{ expr: of('ledger_bytes'), legend: '{{instance}}' }],
  },
  {
    title: 'What runs',
    about: 'Version of the agent and of Node.js.',
    unit: 'short',
    queries: [{ expr: of('build_info'), legend: '{{instance}} {{version}} on {{node}}' }],
  },
];

/** Every metric of the agent is in one of them. */
export const ROWS: readonly Row[] = [
  { title: 'At a glance', panels: AT_A_GLANCE },
  { title: 'Source', panels: SOURCE },
  { title: 'Notifications', panels: NOTIFICATIONS },
  { title: 'Targets', panels: TARGETS },
  { title: 'Forwarded events', panels: SINKS },
  { title: 'Ledger and process', panels: PROCESS },
];
