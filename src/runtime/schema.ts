import { z } from 'zod';

const DURATION_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** A configuration value such as `30s`, `15m`, `1h`; parses to milliseconds. A bare number is refused, as its unit would be a guess. */
export const duration = () =>
  withUnit(DURATION_MS, 'a duration with a unit, such as 500ms, 30s, 15m, 1h or 7d', 'duration');

/** A configuration value such as `64MiB`; parses to bytes. */
export const size = () => withUnit(SIZE_BYTES, 'a size with a unit, such as 512KiB, 64MiB or 1GiB', 'size');

function withUnit(units: Readonly<Record<string, number>>, what: string, format: string) {
  const pattern = new RegExp(`^([0-9]+(?:\\.[0-9]+)?)\\s*(${Object.keys(units).join('|')})$`);
  return z
    .string({
      error: (issue) =>
        `expected ${what}${typeof issue.input === 'number' ? `; write the unit: "${issue.input}${Object.keys(units)[1]}"?` : ''}`,
    })
    .regex(pattern, { error: `expected ${what}` })
    .transform((text) => {
      const [, amount, unit] = pattern.exec(text) ?? [];
      return Math.round(Number(amount) * (units[unit ?? ''] ?? Number.NaN));
    })
    .meta({ format });
}

/**
 * A secret text: masked in everything that is printed, and `<key>_file` may stand in its place in the configuration
 * (the file is read once at start, its trailing newline dropped).
 */
export const secret = () => z.string().min(1).meta({ secret: true });
