import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import type { Connector } from '../../../src/connector/connector.ts';
import type { SourceFigures } from '../../../src/connector/figures.ts';
import { eventually, openMetastore, rows, started } from './metastore.ts';

const { signal } = new AbortController();
const measure = async (connector: Connector): Promise<SourceFigures> => (await connector.measure?.(signal)) ?? {};

describe.each([14, 18] as const)('on PostgreSQL %i', (major) => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ major, settings: { max_slot_wal_keep_size: '1GB' } });
  });
  afterAll(async () => postgres[Symbol.asyncDispose]());

  test('a slot that does not exist yet is missing', async () => {
    await using metastore = await openMetastore(postgres);
    expect(await measure(await metastore.connector())).toEqual({ slot: { state: 'missing', active: false } });
  });

  test('while all is recorded nothing lags, whatever others write into the log', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    await using watching = await started(connector);
    await metastore.transact(rows.create('orders'));
    await watching.until('sales.orders');
    const pending = watching.next().catch(() => undefined);
    await metastore.admin.query(`CREATE TABLE noise AS SELECT repeat('x', 100) FROM generate_series(1, 10000)`);
    await measure(connector);
    const figures = await eventually(async () => {
      const found = await measure(connector);
      return found.lagBytes === 0 && found.lagMs === 0 && found;
    });
    expect(figures.slot).toMatchObject({ state: 'reserved', active: true });
    expect(figures.slot?.safeBytes).toBeGreaterThan(500_000_000);
    expect(figures.slot?.retainedBytes).toBeGreaterThanOrEqual(0);
    void pending;
  });

  test('what is not acknowledged lags, in bytes and in time, and no more once it is', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    await using watching = await started(connector);
    await metastore.transact(rows.create('orders'));
    const delivery = await watching.next();
    await metastore.admin.query(`CREATE TABLE noise AS SELECT repeat('x', 100) FROM generate_series(1, 10000)`);
    const first = await measure(connector);
    expect(first.lagBytes).toBeGreaterThan(1_000_000);
    const later = await eventually(async () => {
      const found = await measure(connector);
      return (found.lagMs ?? 0) > 100 && found;
    });
    expect(later.lagBytes).toBeGreaterThanOrEqual(first.lagBytes ?? 0);
    await delivery.ack();
    await eventually(async () => {
      const { lagBytes, lagMs } = await measure(connector);
      return lagBytes === 0 && lagMs === 0;
    });
  });

  test('a slot that nobody streams from keeps WAL and lags more and more', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    {
      await using _ = await started(connector);
    }
    await eventually(async () => (await measure(connector)).slot?.active === false);
    const before = await measure(connector);
    await metastore.admin.query(`CREATE TABLE noise AS SELECT repeat('x', 100) FROM generate_series(1, 10000)`);
    const after = await measure(connector);
    expect((after.lagBytes ?? 0) - (before.lagBytes ?? 0)).toBeGreaterThan(1_000_000);
    expect((after.slot?.retainedBytes ?? 0) - (before.slot?.retainedBytes ?? 0)).toBeGreaterThan(1_000_000);
    expect(after.slot?.safeBytes).toBeLessThan(before.slot?.safeBytes ?? 0);
  });

  test('needs no right that following does not need', async () => {
    await using metastore = await openMetastore(postgres);
    await using _ = await started(await metastore.connector());
    const role = `plain_${metastore.database}`;
    await metastore.admin.query(`CREATE ROLE ${role} LOGIN REPLICATION`);
    await metastore.admin.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`);
    const connector = await metastore.connector({ connection: postgres.url(metastore.database, role) });
    const { slot, lagBytes } = await measure(connector);
    expect(slot?.state).toBe('reserved');
    expect(lagBytes).toBeGreaterThanOrEqual(0);
  });
});

test('a slot that has lost WAL says so', async () => {
  await using postgres = await startPostgres({ settings: { max_slot_wal_keep_size: '1MB' } });
  await using metastore = await openMetastore(postgres);
  const connector = await metastore.connector();
  {
    await using _ = await started(connector);
  }
  await eventually(async () => (await measure(connector)).slot?.active === false);
  await metastore.admin.query(`CREATE TABLE noise (t text)`);
  const lost = await eventually(async () => {
    await metastore.admin.query(`INSERT INTO noise SELECT repeat('x', 100) FROM generate_series(1, 100000)`);
    await metastore.admin.query('SELECT pg_switch_wal()');
    await metastore.admin.query('CHECKPOINT');
    const figures = await measure(connector);
    return figures.slot?.state === 'lost' && figures;
  });
  expect(lost.slot).toMatchObject({ state: 'lost', active: false });
});
