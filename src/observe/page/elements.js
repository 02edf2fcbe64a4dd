import { seconds, since } from './wording.js';

// Whatever comes from the source or from Polaris is set as text, never as markup: a table may be called <script>.

/** The agent's clock, as far as it is known here. */
export const clock = { aheadMs: 0 };

export const now = () => Date.now() + clock.aheadMs;

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; texts become text. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** A time that is kept current. */
export const ago = (at) =>
  el('time', { datetime: at, title: new Date(at).toLocaleString(), 'data-at': at }, since(at, now()));

export const chip = (text, kind) => el('span', { class: `chip ${kind}` }, text);

/** A name or text from elsewhere: its direction and length don't disturb what stands around it. */
export const foreign = (text, kind = '') => el('bdi', { class: `foreign ${kind}` }, text);

export const figure = (name, value, hint) =>
  el('div', { class: 'figure' }, el('dt', {}, name), el('dd', {}, value), hint && el('dd', { class: 'quiet' }, hint));

/** How long something has been so. */
export const span = (at) =>
  el(
    'time',
    { datetime: at, title: new Date(at).toLocaleString(), 'data-span': at },
    seconds(Math.max(1000, now() - Date.parse(at))),
  );

/** On a phone there is no head, and some cells say by themselves what they are. */
export const cell = (label, ...children) =>
  el('td', { class: `of-${label.replaceAll(' ', '-')}` }, el('div', { 'data-label': label }, ...children));

export const table = (heads, rows) =>
  el(
    'table',
    {},
    el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))),
    el('tbody', {}, ...rows),
  );

/** Text between backticks is something to type. */
export const withCode = (text) => text.split('`').map((part, i) => (i % 2 === 1 ? el('code', {}, part) : part));
