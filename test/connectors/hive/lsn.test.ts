import { expect, test } from 'vitest';
import { acknowledgementOf, formatLsn, formatPosition, parseLsn, parsePosition } from '../../../connectors/hive/lsn.ts';

test('a log sequence number is read padded or not and printed as PostgreSQL prints it', () => {
  expect(parseLsn('16/B374D848')).toBe(0x16_b374_d848n);
  expect(parseLsn('00000000/2A2E4580')).toBe(0x2a2e4580n);
  expect(parseLsn('FFFFFFFF/FFFFFFFF')).toBe(2n ** 64n - 1n);
  expect(formatLsn(0x16_b374_d848n)).toBe('16/B374D848');
  expect(formatLsn(0n)).toBe('0/0');
});

test.each(['', '16', '16/', '16/G', '1/2/3', '123456789/0'])('%j is no log sequence number', (text) => {
  expect(() => parseLsn(text)).toThrow(RangeError);
});

test('what the library is given is one less than what shall go out, across the boundary of its two halves', () => {
  expect(acknowledgementOf(0x2a2e4580n)).toBe('0/2A2E457F');
  expect(acknowledgementOf(1n << 32n)).toBe('0/FFFFFFFF');
  expect(acknowledgementOf(0n)).toBe('0/0');
});

test('positions of one server compare as text in the order of its log, a later timeline after an earlier one', () => {
  const ordered = [
    formatPosition(1, 0x9n),
    formatPosition(1, 0x10n),
    formatPosition(1, 0xffff_ffffn),
    formatPosition(1, 0x1_0000_0000n),
    formatPosition(2, 0x5n),
    formatPosition(10, 0x0n),
  ];
  expect(ordered.toSorted()).toEqual(ordered);
  expect(parsePosition(formatPosition(26, 0x16_b374_d848n))).toEqual({ timeline: 26, lsn: 0x16_b374_d848n });
  expect(parsePosition('16/B374D848')).toBeUndefined();
});
