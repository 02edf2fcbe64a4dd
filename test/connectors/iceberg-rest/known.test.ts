import { describe, expect, test } from 'vitest';
import { KnownTables, type KnownTable } from '../../../connectors/iceberg-rest/known.ts';
import { table } from './world.ts';

const orders = table('sales', 'orders');

const read = (version: number, readAtMs: number): KnownTable => ({
  table: orders,
  metadataLocation: `s3://lake/orders/${version}.json`,
  tableUuid: 'u',
  etag: `"${version}"`,
  asOf: 1_700_000_000_000 + readAtMs,
  readAtMs,
});

describe('Known tables', () => {
  test('hold what was read last', () => {
    const known = new KnownTables();
    known.read(read(1, 10));
    known.read(read(2, 20));
    expect(known.get(orders)).toEqual(read(2, 20));
    expect([known.size, [...known]]).toEqual([1, [read(2, 20)]]);
  });

  test('are not overwritten by a read that began earlier and ended later', () => {
    const known = new KnownTables();
    known.read(read(2, 20));
    known.read(read(1, 10));
    expect(known.get(orders)).toEqual(read(2, 20));
  });

  test('become fresh when the catalog confirms them, keeping everything else', () => {
    const known = new KnownTables();
    known.read(read(1, 10));
    const fresh = known.confirm(read(1, 10), { asOf: 99, readAtMs: 30 });
    expect(fresh).toEqual({ ...read(1, 10), asOf: 99, readAtMs: 30 });
    expect(known.get(orders)).toEqual(fresh);
  });

  test('are forgotten, unless they were read again after the answer was asked for', () => {
    const known = new KnownTables();
    known.read(read(1, 10));
    known.forget(orders, { readAtMs: 5 });
    expect(known.size).toBe(1);
    known.forget(orders, { readAtMs: 11 });
    expect([known.size, known.get(orders)]).toEqual([0, undefined]);
    known.forget(orders, { readAtMs: 12 });
  });

  test('are told apart by all levels of their names', () => {
    const known = new KnownTables();
    known.read({ ...read(1, 10), table: table('a', 'b.c') });
    expect(known.get(table('a.b', 'c'))).toBeUndefined();
    expect(known.get(table('a', 'b', 'c'))).toBeUndefined();
    expect(known.get(table('a', 'b.c'))).toBeDefined();
  });
});
