import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TableIdentifier } from '../../src/core/types.ts';
import { DEFAULT_SEPARATOR, encodePrefix, encodeSeparator, encodeTable } from '../../src/runtime/rest-names.ts';

const table = (namespace: readonly string[], name: string): TableIdentifier => ({ namespace, name });

const pathOf = (identifier: TableIdentifier, separator: string = DEFAULT_SEPARATOR): string => {
  const encoded = encodeTable(identifier, separator);
  return encoded.kind === 'path' ? encoded.path : `refused: ${encoded.reason}`;
};

describe('the path of a table', () => {
  // Each of these was admitted and served by the recorded server in this form.
  test.each([
    [['a', 'b', 'c'], 't', 'namespaces/a%1Fb%1Fc/tables/t'],
    [['s.c'], 'dotted.name', 'namespaces/s.c/tables/dotted.name'],
    [['ñamé'], 'tblü', 'namespaces/%C3%B1am%C3%A9/tables/tbl%C3%BC'],
    [['sc'], 'a/b', 'namespaces/sc/tables/a%2Fb'],
    [['sc'], '100%', 'namespaces/sc/tables/100%25'],
    [['sc'], 'a+b?c#d', 'namespaces/sc/tables/a%2Bb%3Fc%23d'],
    [['sc'], 'back\\slash:colon', 'namespaces/sc/tables/back%5Cslash%3Acolon'],
    [['sc'], '🧊', 'namespaces/sc/tables/%F0%9F%A7%8A'],
    [['sc'], 'unit\u001fseparator', 'namespaces/sc/tables/unit%1Fseparator'],
    [['sc'], 'my table', 'namespaces/sc/tables/my%20table'],
    [['sc'], '...', 'namespaces/sc/tables/...'],
  ])('of %j %j is as recorded', (namespace, name, path) => {
    expect(pathOf(table(namespace, name))).toBe(path);
  });

  test.each([
    [[], 't', /in no namespace/],
    [['a', ''], 't', /an empty name cannot be a namespace level/],
    [['.'], 't', /"\." cannot be a namespace level/],
    [['a', '..'], 't', /"\.\." cannot be a namespace level/],
    [['a'], '', /an empty name cannot be a table name/],
    [['a'], '.', /"\." cannot be a table name/],
    [['a'], '..', /"\.\." cannot be a table name/],
    [['a\u001fb'], 't', /"a\\u001fb" holds the separator %1F/],
    [['a'], 'lone \ud800 surrogate', /not valid Unicode/],
  ])('of %j %j does not exist, with the reason', (namespace, name, reason) => {
    expect(pathOf(table(namespace, name))).toMatch(reason);
    expect(pathOf(table(namespace, name))).toMatch(/^refused: /);
  });

  test('joins levels as the server says', () => {
    expect(pathOf(table(['a', 'b'], 't.u'), '.')).toBe('namespaces/a.b/tables/t.u');
    expect(pathOf(table(['a.b'], 't'), '.')).toMatch(/holds the separator/);
    expect(pathOf(table(['a\u001fb'], 't'), '%2E')).toBe('namespaces/a%1Fb/tables/t');
  });

  test('differs for different tables and leads back to the names', () => {
    const level = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(level, { minLength: 1, maxLength: 3 }), level, (namespace, name) => {
        const encoded = encodeTable(table(namespace, name), DEFAULT_SEPARATOR);
        if (encoded.kind === 'unaddressable') return;
        expect(encoded.path).toMatch(/^[\x21-\x7e]+$/);
        const [, levels = '', , last = ''] = encoded.path.split('/');
        expect(levels.split('%1F').map(decodeURIComponent)).toEqual(namespace);
        expect(decodeURIComponent(last)).toBe(name);
      }),
    );
  });
});

test('a prefix goes into the path as the server has it, encoded where it must be', () => {
  expect(encodePrefix('ext')).toBe('ext');
  expect(encodePrefix('my catalog')).toBe('my%20catalog');
  expect(encodePrefix('my%20catalog')).toBe('my%20catalog');
  expect(encodePrefix('org/catalogs/ext')).toBe('org/catalogs/ext');
});

test('a separator may be announced encoded or not', () => {
  expect(encodeSeparator('%1F')).toBe('%1F');
  expect(encodeSeparator('\u001f')).toBe('%1F');
  expect(encodeSeparator('.')).toBe('.');
  expect(encodeSeparator('%2E')).toBe('%2E');
  expect(encodeSeparator('')).toBe('%1F');
});
