import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { acquireLock, enqueueLock, releaseLock } from './hive-rows.ts';

/** Runs `body` under the metastore's lock of one table: three transactions around it, as Iceberg's HiveCatalog makes them. */
export async function withHiveLock<T>(
  client: pg.ClientBase,
  database: string,
  table: string,
  body: () => Promise<T>,
): Promise<T> {
  const temporaryId = randomBytes(8).readBigInt64LE();
  const statements = enqueueLock({ temporaryId, database, table, agent: `Iceberg-${randomUUID()}` });
  const enqueued = await transaction<{ id: number }>(client, statements);
  const id = enqueued?.rows[0]?.id;
  if (id === undefined) throw new Error('The lock was not enqueued.');
  try {
    for (let waitMs = 2; ; waitMs = Math.min(waitMs * 2, 50)) {
      const checked = await transaction(client, acquireLock(id));
      if (checked?.rowCount === 1) break;
      await sleep(waitMs);
    }
    return await body();
  } finally {
    await client.query(releaseLock(id));
  }
}

/** Runs one transaction in one round trip and returns its last statement's result. */
async function transaction<Row extends pg.QueryResultRow>(client: pg.ClientBase, statements: readonly string[]) {
  const results = await client.query<Row>(['BEGIN', ...statements, 'COMMIT'].join(';\n'));
  return (results as unknown as pg.QueryResult<Row>[]).at(-2); // an array, as there are several statements
}
