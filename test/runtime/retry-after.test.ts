import { expect, test } from 'vitest';
import { retryAfterMs } from '../../src/runtime/retry-after.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

test.for([
  [undefined, undefined],
  ['', undefined],
  ['soon', undefined],
  ['-5', undefined],
  ['99999999999', undefined],
  ['0', 0],
  [' 120 ', 120_000],
  ['Fri, 02 Jan 2026 03:04:15 GMT', 10_000],
  ['Fri, 02 Jan 2026 03:04:00 GMT', 0],
] as const)('A Retry-After of %j asks for %s ms', ([header, expected]) => {
  expect(retryAfterMs(header, NOW)).toBe(expected);
});

test('A date says nothing where it is not known what time it is', () => {
  expect(retryAfterMs('Fri, 02 Jan 2026 03:04:15 GMT', Number.NaN)).toBeUndefined();
});
