/** A line over the last hour, as SVG that is drawn by attributes alone: the page's policy lets no style in. */

const HOUR_MS = 3_600_000;
const SVG = 'http://www.w3.org/2000/svg';

function svg(name, attributes = {}, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/**
 * @param points `{ at: epoch ms, value: number | undefined }`, the oldest first; without a value there is a gap
 * @param options `now`: epoch ms at the right edge; `width`, `height` in pixels; `show(value)`: a value in words;
 *   `label`: what it is, for who can't see it; `axes`: whether there are any; `steps`: round values of the unit
 */
export function chart(points, { now, width, height, show, label, axes, steps }) {
  const left = axes ? 58 : 0;
  const bottom = axes ? 20 : 1;
  const top = axes ? 8 : 2;
  const values = points.flatMap(({ value }) => (value === undefined ? [] : [value]));
  const most = ceiling(Math.max(0, ...values), steps);
  const x = (at) => left + ((at - (now - HOUR_MS)) / HOUR_MS) * (width - left - 2);
  const y = (value) => top + (1 - value / most) * (height - top - bottom);
  const root = svg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label });
  if (axes) root.append(...grid({ width, height, left, bottom, most, y, x, now, show }));
  for (const run of runs(points)) {
    const inside = run.filter(({ at }) => at >= now - HOUR_MS);
    if (inside.length === 0) continue;
    const line = inside.map(({ at, value }) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
    const base = (height - bottom).toFixed(1);
    const [first, last] = [x(inside[0].at).toFixed(1), x(inside.at(-1).at).toFixed(1)];
    root.append(svg('polygon', { class: 'area', points: `${first},${base} ${line.join(' ')} ${last},${base}` }));
    root.append(svg('polyline', { class: 'line', points: line.join(' ') }));
    if (inside.length === 1) root.append(svg('circle', { class: 'dot', cx: first, cy: line[0].split(',')[1], r: 2 }));
  }
  return root;
}

function* grid({ width, height, left, bottom, most, y, x, now, show }) {
  for (const part of [0, 0.5, 1]) {
    const at = Math.round(y(most * part)) + 0.5;
    yield svg('line', { class: part === 0 ? 'axis' : 'grid', x1: left, x2: width, y1: at, y2: at });
    yield svg('text', { x: left - 8, y: at + 4, 'text-anchor': 'end' }, show(most * part));
  }
  const minutes = width < 480 ? [60, 30, 0] : [60, 45, 30, 15, 0];
  for (const ago of minutes) {
    const anchor = ago === 60 ? 'start' : ago === 0 ? 'end' : 'middle';
    const text = ago === 0 ? 'now' : `−${ago} min`;
    yield svg('text', { x: x(now - ago * 60_000), y: height - bottom + 15, 'text-anchor': anchor }, text);
  }
}

/** The least round value that isn't below. */
const ceiling = (value, steps) => steps.find((step) => step >= value) ?? value;

/** Points in a row that have a value. */
function runs(points) {
  const all = [[]];
  for (const point of points) {
    if (point.value === undefined) all.push([]);
    else all.at(-1).push(point);
  }
  return all.filter((run) => run.length > 0);
}

/** 1, 2 and 5 of each power of ten. */
export const COUNT_STEPS = Array.from({ length: 30 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));

export const TIME_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 4, 10, 20, 30, 60, 120, 240, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400,
  172_800, 604_800,
].map((seconds) => seconds * 1000);

export const BYTE_STEPS = Array.from({ length: 34 }, (_, i) => 1024 * 2 ** i);
