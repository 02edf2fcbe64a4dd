import { get, post, state } from './agent.js';
import { drawCharts } from './charts.js';
import { ago, byId, clock, el, now } from './elements.js';
import { ledgerLine, sinkTable, sourceCard, targetCards, verdict } from './overview.js';
import { attentionGroups, link, notificationTable, showDetail, showTable } from './tables.js';
import { seconds, since } from './wording.js';

/** What the list of parked tables was asked for with, and when. */
const listed = { key: '', at: 0 };

byId('unlock').addEventListener('submit', (event) => {
  event.preventDefault();
  void unlock(event.target.elements.token);
});

async function unlock(field) {
  state.token = field.value.trim();
  field.value = '';
  // An order about no table changes nothing, and tells whether the token is right.
  const { error } = await post('retry', { tables: [] });
  byId('unlocked').textContent = error ?? 'Unlocked until this page is left.';
  if (error !== undefined) state.token = undefined;
  listed.at = 0;
  if (state.status !== undefined) await attention(state.status);
}

byId('search').addEventListener('submit', (event) => {
  event.preventDefault();
  void find(event.target.elements.q.value.trim());
});

async function find(text) {
  if (text === '') return byId('found').replaceChildren();
  const exact = text.includes('.') ? await get(`table?name=${encodeURIComponent(text)}`) : undefined;
  if (exact !== undefined && exact.error === undefined) return showDetail(exact);
  byId('found').replaceChildren(el('p', { class: 'quiet' }, 'searching …'));
  const { tables, complete, error } = await get(`tables/search?q=${encodeURIComponent(text)}`);
  if (error !== undefined) return byId('found').replaceChildren(el('p', {}, error));
  if (tables.length === 1) return void showTable(tables[0]);
  byId('found').replaceChildren(
    tables.length === 0
      ? el('p', {}, 'No table of that name is known.')
      : el('ul', { class: 'names' }, ...tables.map((name) => el('li', {}, link(name)))),
    complete ? '' : el('p', { class: 'quiet' }, 'There are more; write more of the name.'),
  );
}

const rendered = new Map();

/** Renders a part anew only when what it shows has changed, so that a selection or a focus stays. */
function render(id, shown, parts) {
  const key = JSON.stringify(shown);
  if (rendered.get(id) === key) return false;
  rendered.set(id, key);
  byId(id).replaceChildren(...parts());
  return true;
}

function news(next) {
  state.status = next;
  clock.aheadMs = Date.parse(next.at) - Date.now();
  state.lastNews = Date.now();
  document.querySelector('main').hidden = false;
  byId('admin').hidden = !next.admin;
  render('about', [next.version, next.started_at], () => [`version ${next.version}, started `, ago(next.started_at)]);
  const { key, parts } = verdict(next);
  render('verdict', key, () => parts);
  const drawn = [
    render('source', next.source, () => sourceCard(next)),
    render('targets', next.targets, () => targetCards(next)),
  ];
  render('sinks', next.sinks, () => sinkTable(next));
  render('ledger', next.ledger, () => [ledgerLine(next.ledger)]);
  if (appendHistory(next) || drawn.includes(true)) drawCharts();
  void attention(next);
  tick();
}

function appendHistory({ at, source, targets }) {
  const { points, every_ms: every } = state.history;
  const last = points.at(-1);
  if (last !== undefined && Date.parse(at) - Date.parse(last.at) < every) return false;
  const following = source.state === 'following';
  points.push({
    at,
    ...(following ? { lag_ms: source.lag_ms, lag_bytes: source.lag_bytes } : {}),
    targets: Object.fromEntries(
      targets.map(({ name, per_second: rate, tables }) => [name, { per_second: rate, pending: tables.pending }]),
    ),
  });
  if (points.length > 400) points.shift();
  return true;
}

const ATTENTION_EVERY_MS = 15_000;

async function attention({ targets }) {
  const key = JSON.stringify([state.token !== undefined, targets.map(({ parked_by_code: by }) => by)]);
  const due = Date.now() - listed.at > ATTENTION_EVERY_MS;
  if (key === listed.key && !due) return;
  listed.key = key;
  listed.at = Date.now();
  const some = targets.some(({ tables }) => tables.parked + tables.held > 0);
  const answer = some ? await get('tables?state=attention&limit=500') : { tables: [], complete: true };
  if (answer.error === undefined) render('attention', [key, answer], () => attentionGroups(answer));
}

/** Times in words go on while nothing else happens. */
function tick() {
  for (const time of document.querySelectorAll('time[data-at]')) time.textContent = since(time.dataset.at, now());
  for (const time of document.querySelectorAll('time[data-span]'))
    time.textContent = seconds(Math.max(1000, now() - Date.parse(time.dataset.span)));
  const silentMs = Date.now() - state.lastNews;
  const isLive = silentMs < 5000;
  const live = byId('live');
  live.className = isLive ? 'good' : 'bad';
  live.textContent = isLive ? 'live' : state.lastNews === 0 ? 'connecting' : `no news for ${seconds(silentMs)}`;
  document.body.classList.toggle('stale', !isLive && state.lastNews > 0);
}

function follow() {
  const events = new EventSource('api/v1/events');
  events.addEventListener('open', () => void loadHistory());
  events.addEventListener('status', (event) => news(JSON.parse(event.data)));
  events.addEventListener('notifications', (event) => {
    const { notifications } = JSON.parse(event.data);
    if (state.status === undefined) return;
    render('latest', notifications, () =>
      notifications.length === 0
        ? []
        : [el('h2', {}, 'Latest notifications'), notificationTable(notifications.slice(0, 12), { named: true })],
    );
  });
  // The browser tries again by itself, unless it was refused.
  events.addEventListener('error', () => {
    if (events.readyState !== EventSource.CLOSED) return;
    setTimeout(follow, 5000);
  });
}

async function loadHistory() {
  const history = await get('history');
  if (history.error !== undefined) return;
  state.history = history;
  drawCharts();
}

let resizing;
addEventListener('resize', () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(drawCharts);
});
setInterval(tick, 1000);
follow();
