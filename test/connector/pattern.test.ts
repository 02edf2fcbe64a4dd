import { describe, expect, test } from 'vitest';
import { matches, parsePattern } from '../../src/connector/pattern.ts';
import { id } from './fake-source.ts';

const MATCHES: readonly [pattern: string, table: string, matches: boolean][] = [
  ['sales.*', 'sales.orders', true],
  ['sales.*', 'sales.eu.orders', false],
  ['sales.*', 'Sales.orders', false],
  ['sales.orders', 'sales.orders', true],
  ['sales.orders', 'sales.orders2', false],
  ['*.tmp_*', 'sales.tmp_1', true],
  ['*.tmp_*', 'sales.tmp_', true],
  ['*.tmp_*', 'sales.my_tmp_1', false],
  ['*_eu.*', 'sales_eu.orders', true],
  ['**', 'sales.orders', true],
  ['**', 'a.b.c.d', true],
  ['sales.**', 'sales.orders', true],
  ['sales.**', 'sales.eu.orders', true],
  ['sales.**', 'finance.orders', false],
  ['**.orders', 'a.b.orders', true],
  ['a.**.z', 'a.z', true],
  ['a.**.z', 'a.b.c.z', true],
  ['a.**.z', 'a.b.c.y', false],
  ['**.b.**.z', 'a.b.b.c.z', true],
  ['a+b.(c)', 'a+b.(c)', true],
  ['a+b.*', 'aab.c', false],
  ['día.*', 'día.x', true],
  ['s.*', 's.line\nfeed', true],
];

describe('A pattern', () => {
  test.for(MATCHES)('%s against %s: %s', ([pattern, table, expected]) => {
    expect(matches(parsePattern(pattern), id(table))).toBe(expected);
  });

  test('takes the character after a backslash literally', () => {
    const table = { namespace: ['a.b'], name: 'c*' };
    expect(matches(parsePattern(String.raw`a\.b.c\*`), table)).toBe(true);
    expect(matches(parsePattern('a.b.*'), table)).toBe(false);
    expect(matches(parsePattern(String.raw`*.c\\`), { namespace: ['x'], name: 'c\\' })).toBe(true);
    expect(matches(parsePattern(String.raw`\**.x`), { namespace: ['*abc'], name: 'x' })).toBe(true);
  });

  test.for([
    ['', 'no empty level|a namespace and a table'],
    ['sales', 'a namespace and a table, such as "sales.*"'],
    ['sales.', 'no empty level'],
    ['.orders', 'no empty level'],
    ['a..b', 'no empty level'],
    ['sales.tmp**', r('** stands for whole levels')],
    ['sales.orders\\', 'lone backslash'],
  ] as const)('%j is refused: %s', ([pattern, message]) => {
    expect(() => parsePattern(pattern)).toThrow(
      new RegExp(message.startsWith('\\') ? message : message.replaceAll('*', r('*'))),
    );
  });
});

function r(text: string): string {
  return text.replaceAll('*', String.raw`\*`);
}
