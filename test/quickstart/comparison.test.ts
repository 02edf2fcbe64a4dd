import { describe, expect, test } from 'vitest';
import { compare, isEqual, verdict } from '../../examples/quickstart/comparison.ts';

const of = (tables: Record<string, string>) => new Map(Object.entries(tables));

describe('The verdict', () => {
  test('is equal only when both sides have the same tables at the same metadata locations', () => {
    const comparison = compare(of({ 'a.b': '1', 'a.c': '2' }), of({ 'a.c': '2', 'a.b': '1' }));
    expect(isEqual(comparison)).toBe(true);
    expect(verdict(comparison, '3 notifications')).toBe('equal: 2 tables, 3 notifications');
  });

  test('names what differs and how', () => {
    const comparison = compare(
      of({ 'a.gone': '1', 'a.old': '2', 'a.same': '3' }),
      of({ 'a.old': '1', 'a.same': '3', 'a.more': '4' }),
    );
    expect(isEqual(comparison)).toBe(false);
    expect(verdict(comparison, '')).toBe(
      'NOT EQUAL: 1 of 3 tables are equal; not in Polaris: a.gone; at another metadata location: a.old; only in Polaris: a.more',
    );
  });

  test('names a few of many', () => {
    const many = of(Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`a.t${index}`, 'x'])));
    expect(verdict(compare(many, new Map()), '')).toBe(
      'NOT EQUAL: 0 of 9 tables are equal; not in Polaris: a.t0, a.t1, a.t2, ... 6 more',
    );
  });

  test('an empty mirror of an empty source is equal', () => {
    expect(verdict(compare(new Map(), new Map()), '')).toBe('equal: 0 tables');
  });
});
