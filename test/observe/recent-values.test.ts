import { expect, test } from 'vitest';
import { RecentValues } from '../../src/observe/recent-values.ts';

test('knows nothing before the first value', () => {
  expect(new RecentValues().quantiles).toBeUndefined();
});

test('one value is every quantile', () => {
  const values = new RecentValues();
  values.add(7);
  expect(values.quantiles).toEqual({ count: 1, p50: 7, p99: 7 });
});

test('takes quantiles by the nearest rank, whatever the order', () => {
  const values = new RecentValues();
  for (let value = 100; value >= 1; value--) values.add(value);
  expect(values.quantiles).toEqual({ count: 100, p50: 50, p99: 99 });
});

test('forgets all but the last thousand', () => {
  const values = new RecentValues();
  for (let i = 0; i < 5_000; i++) values.add(1_000_000);
  for (let value = 1; value <= 1_000; value++) values.add(value);
  expect(values.quantiles).toEqual({ count: 1_000, p50: 500, p99: 990 });
});
