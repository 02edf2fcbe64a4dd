import { get, post, state } from './agent.js';
import { ago, byId, cell, chip, el, foreign, table, withCode } from './elements.js';
import { count, duration, number } from './wording.js';

export function attentionGroups({ tables, complete }) {
  if (tables.length === 0) return [];
  const groups = Map.groupBy(tables, ({ parked }) => parked.code);
  const shown = [...groups].map(([code, of]) => group(code, of));
  const rest = complete
    ? []
    : [el('p', { class: 'quiet' }, 'There are more: polaris-push status --json names them all.')];
  return [el('h2', {}, 'Needs somebody'), ...shown, ...rest];
}

/** Rows of a cause before the rest is folded away. */
const FEW = 5;

function group(code, tables) {
  const { summary, fix, state: is, detail } = tables[0].parked;
  const manyTargets = state.status.targets.length > 1;
  // Said once where it is the same of all, as one cause often has many tables.
  const isShared = tables.length > 1 && tables.every(({ parked }) => parked.detail === detail);
  const rows = tables.map(({ target, table: name, parked }) =>
    el(
      'tr',
      {},
      cell('table', link(name)),
      ...(manyTargets ? [cell('target', foreign(target))] : []),
      cell('since', ago(parked.since)),
      cell('tried', foreign(parked.type, 'type')),
      ...(isShared ? [] : [cell('why', foreign(parked.detail))]),
      ...(state.token ? [cell('act', act(is, [name], target))] : []),
    ),
  );
  const heads = [
    'table',
    ...(manyTargets ? ['target'] : []),
    'since',
    'tried',
    ...(isShared ? [] : ['why']),
    ...(state.token ? ['act'] : []),
  ];
  const rest = rows.slice(FEW);
  const names = tables.map(({ table: name }) => name);
  return el(
    'div',
    { class: 'card attention' },
    el(
      'div',
      { class: 'title' },
      el('strong', {}, code),
      chip(count(tables.length, is === 'held' ? 'DROP' : 'table'), is === 'held' ? 'warn' : 'bad'),
      state.token && tables.length > 1 ? act(is, names) : undefined,
    ),
    el('p', {}, summary, isShared ? el('span', { class: 'quiet' }, ' ', foreign(detail)) : ''),
    el('p', { class: 'fix' }, el('b', {}, 'Fix: '), ...withCode(fix)),
    table(heads, rows.slice(0, FEW)),
    rest.length === 0
      ? undefined
      : el('details', {}, el('summary', {}, `${number(rest.length)} more`), table(heads, rest)),
  );
}

export const link = (name) =>
  el('button', { class: 'link', type: 'button', on: { click: () => void showTable(name) } }, foreign(name, 'table'));

function act(is, names, target) {
  const [word, path] = is === 'held' ? ['Release', 'drops/release'] : ['Retry', 'retry'];
  const text = names.length === 1 ? word : `${word} all ${number(names.length)}`;
  return el(
    'button',
    {
      type: 'button',
      class: 'act',
      on: { click: (event) => void order(event.target, path, { tables: names, target }) },
    },
    text,
  );
}

async function order(button, path, { tables, target }) {
  const what = path === 'retry' ? 'Retry' : 'Release the DROP of';
  const whom = tables.length === 1 ? tables[0].slice(0, 200) : count(tables.length, 'table');
  // oxlint-disable-next-line no-alert -- the browser's own question can't be styled by a name from the source
  if (!confirm(`${what} ${whom}?`)) return;
  button.disabled = true;
  const answer = await post(path, { tables, ...(target === undefined ? {} : { target }) });
  button.textContent = answer.error === undefined ? 'asked' : answer.error;
}

export async function showTable(name) {
  const detail = await get(`table?name=${encodeURIComponent(name)}`);
  if (detail.error !== undefined) byId('found').replaceChildren(el('p', {}, detail.error));
  else showDetail(detail);
  byId('search').scrollIntoView({ block: 'start' });
}

const ENTRY_KINDS = {
  delivered: 'good',
  dropped: '',
  pending: 'busy',
  parked: 'bad',
  held: 'bad',
  skipped: '',
  known: '',
};

export function showDetail({ table: name, targets, notifications }) {
  const entries = targets.map((entry) =>
    el(
      'div',
      { class: 'entry' },
      el(
        'div',
        { class: 'title' },
        el('span', {}, 'on ', foreign(entry.target)),
        chip(entry.state, ENTRY_KINDS[entry.state]),
      ),
      el(
        'dl',
        { class: 'facts' },
        ...fact('last delivered', entry.delivered && sent(entry.delivered)),
        ...fact('sent, no answer known', entry.open && sent(entry.open)),
        ...fact('changes to look at', entry.hints > 0 ? number(entry.hints) : undefined),
        ...fact('not mirrored', entry.skipped && foreign(entry.skipped)),
        ...fact(
          entry.parked?.code,
          entry.parked && el('span', {}, foreign(entry.parked.detail), ' ', ago(entry.parked.since)),
        ),
        ...fact('fix', entry.parked && el('span', {}, ...withCode(entry.parked.fix))),
      ),
    ),
  );
  byId('found').replaceChildren(
    el(
      'div',
      { class: 'card' },
      el('h3', {}, foreign(name)),
      ...entries,
      notifications.length === 0
        ? el('p', { class: 'quiet' }, 'No notification of it is remembered of this run.')
        : notificationTable(notifications, { named: false }),
    ),
  );
}

const fact = (name, value) => (value ? [el('dt', {}, name), el('dd', {}, value)] : []);

const sent = ({ type, timestamp, metadata_location: location }) =>
  el(
    'span',
    {},
    foreign(type, 'type'),
    ' ',
    ago(new Date(timestamp).toISOString()),
    location ? el('div', { class: 'quiet location' }, foreign(location)) : '',
  );

const OUTCOME_KINDS = {
  admitted: 'good',
  refused: 'bad',
  'name-taken': 'bad',
  unauthorized: 'bad',
  unavailable: 'warn',
  unknown: 'warn',
};

export function notificationTable(notifications, { named }) {
  const many = state.status.targets.length > 1;
  const rows = notifications.map((one) =>
    el(
      'tr',
      {},
      cell('when', ago(one.at)),
      ...(named ? [cell('table', link(one.table))] : []),
      ...(many ? [cell('target', foreign(one.target))] : []),
      cell('type', foreign(one.type, 'type')),
      cell(
        'outcome',
        chip(one.outcome, OUTCOME_KINDS[one.outcome] ?? 'busy'),
        one.detail ? el('div', { class: 'quiet' }, foreign(one.detail)) : '',
      ),
      cell('took', duration(one.ms)),
      cell(
        'commit to visible',
        one.commit_to_visible_ms === undefined ? '–' : duration(Math.max(0, one.commit_to_visible_ms)),
      ),
    ),
  );
  return table(
    ['when', ...(named ? ['table'] : []), ...(many ? ['target'] : []), 'type', 'outcome', 'took', 'commit to visible'],
    rows,
  );
}
