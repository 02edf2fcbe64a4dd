import type { Hops } from './hops.ts';

const TITLES: readonly (readonly [hop: keyof Hops, title: string])[] = [
  ['visible', 'commit → visible in Polaris'],
  ['received', 'visible → event at the service'],
  ['policies', 'event → policies known'],
  ['decided', 'policies → plan'],
  ['total', 'commit → plan'],
];

/** `hop  p50  p99  max` in ms, a line each, for those hops that are known. */
export function hopTable(samples: readonly Hops[]): string[] {
  const rows = TITLES.map(([hop, title]) => {
    const known = samples.flatMap((sample) => sample[hop] ?? []).toSorted((a, b) => a - b);
    return [title, ...[0.5, 0.99, 1].map((share) => `${quantile(known, share)} ms`)];
  });
  return [['', 'p50', 'p99', 'max'], ...rows].map(([title = '', ...cells]) =>
    [title.padEnd(32), ...cells.map((cell) => cell.padStart(9))].join('').trimEnd(),
  );
}

/** Of sorted values: the least one that `share` of them don't exceed. */
export function quantile(sorted: readonly number[], share: number): string {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  return value === undefined ? '-' : value.toFixed(value < 10 ? 1 : 0);
}
