import { expect, test } from 'vitest';
import { startMetastore } from '../../examples/quickstart/embedded.ts';
import { blocksOf } from './blocks.ts';

test('the SQL that the pages show answers, on a metastore that is set up as they say', async () => {
  await using metastore = await startMetastore();
  const client = await metastore.client();
  await client.query(`SELECT pg_create_logical_replication_slot('polaris_push', 'pgoutput')`);
  const rows: Record<string, number> = {};
  for (const { page, text } of blocksOf('sql')) rows[`${page}: ${text}`] = (await client.query(text)).rows.length;
  await client.end();
  expect(Object.keys(rows).length).toBeGreaterThan(2);
  expect(Object.entries(rows).filter(([, count]) => count === 0)).toEqual([]);
});
