import type { EpochMillis, Timestamp } from './types.ts';

/**
 * `max(asOf, last + 1 + leap)`: strictly greater than every timestamp used before, and never behind the source's clock.
 * `leap` lifts it above a foreign timestamp that can't be read (a refused notification of ours tells only "greater").
 */
export function nextTimestamp(last: Timestamp | undefined, asOf: EpochMillis, leap: number = 0): Timestamp {
  const floor = last === undefined ? 0 : last + 1;
  const next = Math.max(Math.trunc(asOf), floor) + leap;
  if (!Number.isSafeInteger(next)) throw new RangeError(`A timestamp must stay a safe integer, got ${next}.`);
  return next as Timestamp;
}
