import type { Comparison } from './comparison.ts';
import { counted } from './screen.ts';
import type { Statistics } from './statistics.ts';

/** So many tables are listed one by one; what differs comes first. */
const TABLES_SHOWN = 60;

/** What a finished run has to tell, for people; the verdict comes after it. */
export function report(run: {
  readonly statistics: Statistics;
  readonly comparison: Comparison;
  readonly source: ReadonlyMap<string, string>;
  readonly operations?: ReadonlyMap<string, number> | undefined;
}): string[] {
  const { statistics, comparison, source, operations } = run;
  const { admitted, byType, byOutcome, parked, skipped, latency } = statistics;
  const others = byOutcome.size === 0 ? '' : `; ${counted(byOutcome)}`;
  return [
    ...(operations === undefined ? [] : ['Done to the metastore', ...columns(operations), '']),
    'Notifications',
    `  ${admitted} admitted: ${counted(byType)}${others}`,
    `  visible after ${latency} (from the commit in the metastore to Polaris's answer)`,
    '',
    ...listed('Not mirrored', skipped),
    ...listed('Parked', parked),
    'Tables, compared one by one',
    ...tables(comparison, source),
    '',
  ];
}

function tables({ missing, different, extra }: Comparison, source: ReadonlyMap<string, string>): string[] {
  const wrong = new Map([
    ...missing.map((name) => [name, 'not in Polaris'] as const),
    ...different.map((name) => [name, 'at another metadata location in Polaris'] as const),
    ...extra.map((name) => [name, 'only in Polaris'] as const),
  ]);
  const equal = [...source.keys()].filter((name) => !wrong.has(name)).toSorted();
  const lines = [
    ...[...wrong].map(([name, why]) => `  ≠ ${name.padEnd(26)} ${why}`),
    ...equal.map((name) => `  = ${name.padEnd(26)} ${source.get(name)?.split('/').at(-1)}`),
  ];
  const more = lines.length - TABLES_SHOWN;
  return more > 0 ? [...lines.slice(0, TABLES_SHOWN), `  ... ${more} more`] : lines;
}

const listed = (title: string, reasons: ReadonlyMap<string, string>): string[] =>
  reasons.size === 0 ? [] : [title, ...[...reasons].map(([name, why]) => `  ${name.padEnd(28)} ${why}`), ''];

/** Counts in two columns, as there are many. */
function columns(counts: ReadonlyMap<string, number>): string[] {
  const cells = [...counts].map(([name, count]) => `${String(count).padStart(5)} ${name.padEnd(30)}`);
  const half = Math.ceil(cells.length / 2);
  return cells.slice(0, half).map((cell, index) => `${cell}${cells[half + index] ?? ''}`.trimEnd());
}
