import { ago, cell, chip, el, figure, foreign, span, table } from './elements.js';
import { bytes, count, duration, number } from './wording.js';

/** Everything that is not as it should be, the worst first. */
function troubles({ source, targets, sinks, ledger }) {
  const found = [];
  const add = (kind, ...text) => found.push({ kind, text });
  if (ledger.state === 'failed') add('bad', 'The ledger has failed, and the agent is about to end.');
  if (source.state === 'down')
    add('bad', 'The source can’t be followed, since ', ago(source.since), '. Polaris keeps what it has.');
  const slot = source.slot?.state;
  if (slot === 'lost' || slot === 'missing') add('bad', `The replication slot is ${slot}.`);
  if (slot === 'unreserved') add('bad', 'The replication slot is about to lose WAL that it needs.');
  for (const { name, state: is, since: at } of targets) {
    if (is === 'down')
      add(
        'bad',
        'Target ',
        foreign(name),
        ' is down, since ',
        ago(at),
        '. Changes are recorded meanwhile, and nothing is lost.',
      );
  }
  const sum = (key) => targets.reduce((total, { tables }) => total + tables[key], 0);
  const [parked, held] = [sum('parked'), sum('held')];
  if (parked > 0)
    add('warn', el('a', { href: '#attention' }, count(parked, 'table')), ' parked: somebody must mend something.');
  if (held > 0) add('warn', el('a', { href: '#attention' }, count(held, 'DROP')), ' held for somebody to release.');
  for (const { name, stalled_ms: stalled } of targets) {
    if (stalled > 60_000) add('warn', 'Target ', foreign(name), ` has made no progress for ${duration(stalled)}.`);
  }
  for (const sink of sinks) {
    if (sink.state === 'down')
      add('warn', 'Sink ', foreign(sink.name), ' takes no events, since ', ago(sink.since), '.');
    if (sink.refused > 0) add('warn', 'Sink ', foreign(sink.name), ` refused ${count(sink.refused, 'event')}.`);
  }
  const { lag_ms: lag } = source;
  if (source.state === 'following' && lag !== undefined && lag > 60_000)
    add('warn', `Changes wait for ${duration(lag)} already.`);
  return found;
}

/** `key`: what it says, without how long ago; `parts`: what is shown. */
export function verdict(status) {
  const found = troubles(status);
  const worst = found.some(({ kind }) => kind === 'bad') ? 'bad' : found.length > 0 ? 'warn' : 'good';
  document.title = `${{ bad: '✗', warn: '!', good: '✓' }[worst]} polaris-push`;
  if (found.length === 0) {
    const [title, text] = calm(status);
    return { key: title + text, parts: [el('div', { class: 'verdict good' }, el('h2', {}, title), el('p', {}, text))] };
  }
  const items = found.map(({ kind, text }) => el('li', { class: kind }, ...text));
  const title = worst === 'bad' ? 'Something is broken' : 'Somebody should look';
  const key = found.flatMap(({ text }) => text.map((part) => part.dateTime ?? part.textContent ?? part)).join('');
  return { key, parts: [el('div', { class: `verdict ${worst}` }, el('h2', {}, title), el('ul', {}, ...items))] };
}

function calm({ source, targets }) {
  if (source.state === 'starting') return ['Starting', 'The source is being listed.'];
  const pending = targets.reduce((total, { tables }) => total + tables.pending, 0);
  return pending > 0
    ? ['Working', `${count(pending, 'table')} pending, and nothing in the way.`]
    : ['All is well', 'Everything that the source told of is delivered.'];
}

const SOURCE_STATES = { starting: ['starting', 'busy'], following: ['following', 'good'], down: ['down', 'bad'] };

export function sourceCard({ source }) {
  const [word, kind] = SOURCE_STATES[source.state];
  const figures = [];
  const following = source.state === 'following';
  if (source.lag_ms !== undefined)
    figures.push(
      figure('lag', following ? duration(source.lag_ms) : 'not known', source.measured_at && ago(source.measured_at)),
    );
  if (source.lag_bytes !== undefined) figures.push(figure('behind in the log', bytes(source.lag_bytes)));
  if (source.slot !== undefined) figures.push(...slotFigures(source.slot));
  if (source.queue !== undefined) {
    const { visible, in_flight: inFlight, delayed } = source.queue;
    figures.push(
      figure('queue', count(visible, 'message'), `${number(inFlight)} in flight, ${number(delayed)} delayed`),
    );
  }
  if (source.polls !== undefined)
    figures.push(
      figure(
        'polled',
        count(source.polls.tables, 'table'),
        `up to ${number(source.polls.budget_per_second)} requests/s`,
      ),
    );
  if (source.throttled > 0) figures.push(figure('throttled', count(source.throttled, 'request')));
  if (source.reconciled !== undefined)
    figures.push(figure('reconciled', ago(source.reconciled.at), `${count(source.reconciled.tables, 'table')} listed`));
  if (source.caught_up_at !== undefined) figures.push(figure('caught up', ago(source.caught_up_at)));
  return [
    el('h2', {}, 'Source'),
    el(
      'div',
      { class: 'card' },
      el(
        'div',
        { class: 'title' },
        el('strong', {}, foreign(source.name || source.kind)),
        chip(word, kind),
        el('span', { class: 'quiet' }, 'for ', span(source.since)),
      ),
      lastError(source.last_error, source.state === 'down'),
      el('dl', { class: 'figures' }, ...figures),
      el('div', { id: 'lag-chart', class: 'chart' }),
    ),
  ];
}

const SLOT_KINDS = { reserved: 'good', extended: 'good', unreserved: 'bad', lost: 'bad', missing: 'bad' };

function slotFigures({ state: is, active, retained_bytes: retained, safe_bytes: safe }) {
  const found = [figure('slot', chip(is, SLOT_KINDS[is]), active ? 'streaming' : 'nobody streams')];
  if (retained !== undefined)
    found.push(
      figure(
        'WAL kept',
        bytes(retained),
        safe === undefined ? 'no limit is set' : `${bytes(Math.max(0, safe))} until danger`,
      ),
    );
  return found;
}

const lastError = (error, isNow) =>
  error === undefined || !isNow
    ? undefined
    : el('p', { class: 'error' }, foreign(error.detail), el('span', { class: 'quiet' }, ' ', ago(error.at)));

function targetCard(target) {
  const { tables, audit, latency_ms: latency, commit_to_visible_ms: visible } = target;
  const cells = [
    ['delivered', 'good'],
    ['pending', 'busy'],
    ['parked', 'bad'],
    ['held', 'bad'],
    ['skipped', ''],
  ].map(([name, kind]) =>
    el('div', { class: tables[name] > 0 ? kind : 'none' }, el('dd', {}, number(tables[name])), el('dt', {}, name)),
  );
  const figures = [
    figure('throughput', `${number(target.per_second)}/s`, `${number(target.admitted)} in this run`),
    figure(
      'concurrency',
      `${number(target.in_flight)} of ${number(Math.floor(target.limit))}`,
      target.breaker === 'closed' ? 'requests under way' : `breaker ${target.breaker}`,
    ),
    visible && figure('commit to visible', duration(visible.p50), `99 %: ${duration(visible.p99)}`),
    latency && figure('answer of Polaris', duration(latency.p50), `99 %: ${duration(latency.p99)}`),
    target.oldest_pending_since && figure('oldest pending', ago(target.oldest_pending_since)),
    target.last_delivery_at && figure('last delivery', ago(target.last_delivery_at)),
    audit && figure('drift', driftOf(audit), ago(audit.at)),
  ];
  return el(
    'div',
    { class: 'card' },
    el(
      'div',
      { class: 'title' },
      el('strong', {}, foreign(target.name)),
      chip(target.state, target.state === 'up' ? 'good' : 'bad'),
      el('span', { class: 'quiet' }, 'for ', span(target.since)),
    ),
    lastError(target.last_error, target.state === 'down'),
    el('dl', { class: 'counts' }, ...cells),
    el('div', { class: 'chart spark', 'data-target': target.name }),
    el('dl', { class: 'figures' }, ...figures),
  );
}

function driftOf({ drift, tables }) {
  const kinds = Object.entries(drift).filter(([, amount]) => amount > 0);
  return kinds.length === 0
    ? `none in ${number(tables)}`
    : kinds.map(([kind, amount]) => `${number(amount)} ${kind}`).join(', ');
}

export const targetCards = ({ targets }) => [
  el('h2', {}, targets.length === 1 ? 'Target' : 'Targets'),
  el('div', { class: 'cards' }, ...targets.map(targetCard)),
];

export function sinkTable({ sinks }) {
  if (sinks.length === 0) return [];
  const rows = sinks.map((sink) =>
    el(
      'tr',
      {},
      cell('sink', foreign(sink.name)),
      cell(
        'state',
        chip(sink.state, sink.state === 'up' ? 'good' : 'bad'),
        sink.state === 'down' && sink.last_error ? el('div', { class: 'quiet' }, foreign(sink.last_error.detail)) : '',
      ),
      cell(
        'waiting',
        number(sink.waiting),
        sink.oldest ? el('div', { class: 'quiet' }, 'oldest ', ago(sink.oldest)) : '',
      ),
      cell('refused', number(sink.refused)),
      cell('taken in this run', number(sink.forwarded)),
    ),
  );
  return [el('h2', {}, 'Sinks of events'), table(['sink', 'state', 'waiting', 'refused', 'taken in this run'], rows)];
}

export const ledgerLine = ({ path, state: is, bytes: size, commit_ms: commit }) =>
  el(
    'p',
    { class: 'quiet' },
    `Ledger `,
    foreign(path),
    is === 'failed' ? chip('failed', 'bad') : '',
    size === undefined ? '' : `, ${bytes(size)}`,
    commit === undefined ? '' : `, a commit takes ${duration(commit.p50)} (99 %: ${duration(commit.p99)})`,
    '. The same as JSON: ',
    el('a', { href: 'api/v1/status' }, 'api/v1/status'),
    ', described by ',
    el('a', { href: 'api/v1/openapi.json' }, 'OpenAPI'),
    '.',
  );
