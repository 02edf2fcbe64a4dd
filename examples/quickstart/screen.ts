import { isEqual, type Comparison } from './comparison.ts';
import type { Shown, Statistics } from './statistics.ts';

/** What the screen shows. */
export type View = {
  readonly title: string;
  readonly startedMs: number;
  readonly nowMs: number;
  readonly statistics: Statistics;
  /** What was done to the metastore: operation → how often. Undefined when others write to it. */
  readonly operations?: ReadonlyMap<string, number> | undefined;
  readonly compared?: { readonly comparison: Comparison; readonly atMs: number } | undefined;
  readonly hint: string;
};

export type Size = { readonly columns: number; readonly rows: number };

const ESCAPE = '\u001B[';
const SEPARATOR = '─';
const TYPE_COLOURS: Readonly<Record<string, number>> = { CREATE: 32, UPDATE: 36, DROP: 33 };

/** A whole screen as lines, none wider than `columns` and no more of them than `rows`. */
export function render(view: View, { columns, rows }: Size, coloured: boolean): string[] {
  const paint = (code: number, text: string) => (coloured ? `${ESCAPE}${code}m${text}${ESCAPE}0m` : text);
  const width = Math.max(20, columns);
  const line = SEPARATOR.repeat(width);
  const time = elapsed(view.nowMs - view.startedMs);
  const head = [
    paint(1, `${fit(view.title, width - time.length - 1)} ${time}`),
    paint(2, line),
    paint(2, row(width, { time: 'time', type: 'type', table: 'table', outcome: 'outcome', visible: 'visible' })),
  ];
  const foot = [paint(2, line), ...totals(view, width, paint), paint(2, fit(view.hint, width).trimEnd())];
  const space = Math.max(0, rows - head.length - foot.length);
  const shown = view.statistics.recent.slice(-space).map((one) => notification(one, width, paint));
  const blank = Array.from({ length: space - shown.length }, () => '');
  return [...head, ...shown, ...blank, ...foot].slice(0, rows);
}

type Painter = (code: number, text: string) => string;

function notification(one: Shown, width: number, paint: Painter): string {
  const text = row(width, {
    time: new Date(one.atMs).toTimeString().slice(0, 8),
    type: one.type,
    table: one.table,
    outcome: one.outcome,
    visible: one.visibleMs === undefined ? '-' : `${Math.round(one.visibleMs)} ms`,
  });
  if (one.outcome !== 'admitted') return paint(33, text);
  const colour = TYPE_COLOURS[one.type];
  return colour === undefined ? text : text.replace(one.type, paint(colour, one.type));
}

/** Time and outcome give way on a narrow terminal. */
function row(width: number, cells: Record<'time' | 'type' | 'table' | 'outcome' | 'visible', string>): string {
  const left = [...(width >= 60 ? [fit(cells.time, 8)] : []), fit(cells.type, 8)];
  const right = [...(width >= 50 ? [fit(cells.outcome, 11)] : []), cells.visible.padStart(9)];
  const fixed = [...left, ...right].reduce((sum, cell) => sum + cell.length + 1, 0);
  return [...left, fit(cells.table, Math.max(1, width - fixed)), ...right].join(' ').slice(0, width);
}

function totals({ statistics, operations, compared, nowMs }: View, width: number, paint: Painter): string[] {
  const { admitted, byType, byOutcome, parked, skipped, down } = statistics;
  const lines: string[] = [];
  const add = (label: string, text: string, colour?: number) => {
    const shown = fit(`${label.padEnd(15)}${text}`, width).trimEnd();
    lines.push(colour === undefined ? shown : paint(colour, shown));
  };
  if (operations !== undefined) {
    const total = [...operations.values()].reduce((sum, count) => sum + count, 0);
    add('Metastore', `${total} operations: ${counted(operations)}`);
  }
  const refused = byOutcome.size === 0 ? '' : `; ${counted(byOutcome)}`;
  add('Notifications', `${admitted} admitted: ${counted(byType)}${refused}`);
  add('Visible after', statistics.latency);
  if (compared !== undefined) {
    const { comparison, atMs } = compared;
    const state = `${comparison.equal} of ${comparison.tables} equal, seen ${Math.max(0, Math.round((nowMs - atMs) / 1000))} s ago`;
    add(
      'Tables',
      `${state}; ${skipped.size} not mirrored, ${parked.size} parked`,
      isEqual(comparison) ? 32 : undefined,
    );
  } else if (statistics.caughtUp !== undefined) {
    add('Tables', `${statistics.caughtUp.tables} listed; ${skipped.size} not mirrored, ${parked.size} parked`);
  }
  for (const [table, why] of [...parked].slice(0, 3)) add('Parked', `${table}: ${why}`, 31);
  if (down !== undefined) add('Polaris down', `${down} (changes are being recorded)`, 31);
  return lines;
}

/** `3 CREATE, 2 DROP`, the most frequent first; a dash for nothing. */
export const counted = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .toSorted((a, b) => b[1] - a[1])
    .map(([name, count]) => `${count} ${name}`)
    .join(', ') || '-';

function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  if (seconds >= 3600) parts.unshift(Math.floor(seconds / 3600));
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

/** Exactly so many characters: padded, or cut with an ellipsis. Control characters of names don't reach the terminal. */
function fit(text: string, width: number): string {
  const characters = Array.from(text.replaceAll(/\p{C}/gu, '?'));
  if (characters.length <= width) return characters.join('') + ' '.repeat(width - characters.length);
  return width < 1 ? '' : `${characters.slice(0, width - 1).join('')}…`;
}

const REDRAW_MS = 250;

/** Draws `view()` in place until disposed: on a screen of its own, so that what was there before comes back. */
export class Screen implements Disposable {
  readonly #view: () => View;
  readonly #timer: NodeJS.Timeout;
  readonly #stream: NodeJS.WriteStream;
  readonly #coloured: boolean;
  readonly #draw = () => this.draw();
  readonly #restore = () => this.#stream.write(`${ESCAPE}?25h${ESCAPE}?1049l`);

  constructor(stream: NodeJS.WriteStream, coloured: boolean, view: () => View) {
    this.#stream = stream;
    this.#coloured = coloured;
    this.#view = view;
    stream.write(`${ESCAPE}?1049h${ESCAPE}?25l`);
    // Whatever ends the process, the terminal is as it was.
    process.once('exit', this.#restore);
    stream.on('resize', this.#draw);
    this.#timer = setInterval(this.#draw, REDRAW_MS);
    this.draw();
  }

  draw(): void {
    const { columns, rows } = this.#stream;
    const lines = render(this.#view(), { columns, rows }, this.#coloured);
    const text = lines.map((line) => `${line}${ESCAPE}K`).join('\r\n');
    this.#stream.write(`${ESCAPE}H${text}${ESCAPE}J`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#stream.off('resize', this.#draw);
    process.off('exit', this.#restore);
    this.#restore();
  }
}
