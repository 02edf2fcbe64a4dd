/** Milliseconds as the configuration writes them: `1h`, `90s`, `1500ms`. */
export const showDuration = (ms: number): string => inLargest(ms, DURATIONS);

/** Bytes as the configuration writes them: `64MiB`. */
export const showSize = (bytes: number): string => inLargest(bytes, SIZES);

const DURATIONS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

const SIZES = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
  ['B', 1],
] as const;

function inLargest(value: number, units: typeof DURATIONS | typeof SIZES): string {
  const smallest = units[units.length - 1]?.[0] ?? '';
  for (const [unit, factor] of units) if (value >= factor && value % factor === 0) return `${value / factor}${unit}`;
  return `${value}${smallest}`;
}
