import { expect, test } from 'vitest';
import { KnownTables } from '../../../connectors/glue/known.ts';

test('a complete list replaces what was known', () => {
  const known = new KnownTables();
  known.read('sales', 'old', 'v1');
  const fill = known.fill();
  fill.read('sales', 'orders', 'v2');
  expect(known.names('sales').toSorted()).toEqual(['old', 'orders']);
  fill.finish();
  expect(known.names('sales')).toEqual(['orders']);
  expect(known.fingerprint('sales', 'orders')).toBe('v2');
});

test('what is heard, read and forgotten while a list goes on outlives it', () => {
  const known = new KnownTables();
  const fill = known.fill();
  fill.read('sales', 'orders', 'v1');
  fill.read('sales', 'gone', 'v1');
  known.read('sales', 'orders', 'v2');
  known.heard('sales', 'new');
  known.forget('sales', 'gone');
  fill.finish();
  expect(known.names('sales').toSorted()).toEqual(['new', 'orders']);
  expect(known.fingerprint('sales', 'orders')).toBe('v2');
});

test('a list that breaks changes nothing', () => {
  const known = new KnownTables();
  known.read('sales', 'orders', 'v1');
  const fill = known.fill();
  fill.abandon();
  fill.finish();
  expect(known.names('sales')).toEqual(['orders']);
});

test('hearing of a table doesn’t hide what was read of it', () => {
  const known = new KnownTables();
  known.read('sales', 'orders', 'v1');
  known.heard('sales', 'orders');
  expect(known.fingerprint('sales', 'orders')).toBe('v1');
  expect(known.count('sales')).toBe(1);
  known.forget('sales', 'orders');
  expect(known.count('sales')).toBe(0);
});
