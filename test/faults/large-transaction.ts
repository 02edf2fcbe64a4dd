import { rss } from './outage.ts';
import type { Following } from './following.ts';

export type LargeTransaction = {
  /** WAL that the transaction made. */
  readonly walBytes: number;
  /** Rows of the followed tables that it changed. */
  readonly updates: number;
  /** The agent's memory at most, before and after. */
  readonly before: number;
  readonly after: number;
  /** From the commit until both sides were equal. */
  readonly equalMs: number;
};

/** A megabyte a row. */
const FILL = `INSERT INTO filler SELECT repeat(md5(mib::text), 32768) FROM generate_series(1, $1::int) AS mib`;
const TABLES = 100;

/** What a careless job of an administrator does: one transaction of so many MiB that also touches every table, many times. */
export async function largeTransaction(
  { world, agent, writer }: Following,
  { mib, updates }: { readonly mib: number; readonly updates: number },
): Promise<LargeTransaction> {
  const tables = Array.from({ length: TABLES }, (_, i) => `sales.t${i}`);
  await Promise.all(tables.map((table) => writer.createTable(table)));
  await world.equal(agent);
  const before = rss(agent.process.pid, 'VmHWM');
  const client = await world.admin.connect();
  try {
    // Uncompressed, or the rows would be small.
    await client.query('CREATE TABLE filler (text text); ALTER TABLE filler ALTER text SET STORAGE EXTERNAL');
    const { rows: start } = await client.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    await client.query('BEGIN');
    await client.query(FILL, [mib]);
    await client.query(`DO $$ BEGIN FOR i IN 1..${Math.ceil(updates / TABLES)} LOOP
      UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = "PARAM_VALUE"
        WHERE "PARAM_KEY" = 'metadata_location' AND "TBL_ID" IN (SELECT "TBL_ID" FROM "TBLS" WHERE "TBL_NAME" LIKE 't%');
    END LOOP; END $$`);
    await client.query('COMMIT');
    const { rows } = await client.query<{ bytes: number }>(
      `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::float AS bytes`,
      [start[0]?.lsn],
    );
    const since = performance.now();
    await writer.commit('sales.orders');
    await world.equal(agent, 120_000);
    return {
      walBytes: rows[0]?.bytes ?? 0,
      updates,
      before,
      after: rss(agent.process.pid, 'VmHWM'),
      equalMs: Math.round(performance.now() - since),
    };
  } finally {
    client.release();
  }
}
