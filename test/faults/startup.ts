import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { embeddedSetup, startMetastore } from '../../examples/quickstart/embedded.ts';
import { Session } from '../../examples/quickstart/session.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { rss } from './outage.ts';

// node test/faults/startup.ts [--tables 100000]: a metastore of so many Iceberg tables is mirrored once, and then the agent is
// started again on what it has delivered; prints how long that takes until it follows the source, and its memory.

const { values } = parseArgs({ options: { tables: { type: 'string', default: '100000' } } });
const tables = Number(values.tables);
const NEVER = new AbortController().signal;
const CREDENTIALS = { clientId: 'root', clientSecret: 's3cr3t' };
const mib = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`;

const folder = mkdtempSync(join(tmpdir(), 'polaris-push-startup-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
await using metastore = await startMetastore({ detached: true });
// Locations on an object store: nobody reads the metadata, so that none need be written.
const catalog = { name: 'hive_mirror', baseLocation: 's3://warehouse' };
await using emulator = await startEmulator({ catalogs: [catalog] });
await using parts = new AsyncDisposableStack();
const client = await metastore.client();
parts.defer(() => client.end());
await client.query(synthetic(tables));
await client.query('ANALYZE');

const access = { uri: `${emulator.uri}/api/catalog`, catalog: catalog.name, ...CREDENTIALS };
const setup = embeddedSetup(folder, metastore, access);
const empty = async () => new Map<string, string>();
const start = () => parts.use(new Session({ setup, source: empty, mirror: empty }));

for (const life of ['first start: everything is pushed', 'next start: everything was delivered before']) {
  const served = emulator.tables(catalog.name).size;
  const before = performance.now();
  const session = start();
  await session.caughtUp(NEVER);
  const caughtUpMs = performance.now() - before;
  const { pid } = session.agent.process;
  const most = rss(pid, 'VmHWM');
  // Following the source means that a commit shows.
  const committed = performance.now();
  const seen = session.statistics.admitted;
  await client.query(
    `UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = replace("PARAM_VALUE", '/00001-', '/00002-') || '.next'
     WHERE "TBL_ID" = 7 AND "PARAM_KEY" = 'metadata_location'`,
  );
  while (session.statistics.admitted === seen) await sleep(5);
  console.log(`${life} (${served} of ${tables} tables in Polaris)`);
  console.log(
    `  caught up after ${(caughtUpMs / 1000).toFixed(1)} s from the start of the process, following the source`,
  );
  console.log(`  a commit then was visible after ${Math.round(performance.now() - committed)} ms`);
  await sleep(5_000);
  console.log(`  resident: ${mib(most)} at most until then, ${mib(rss(pid))} five seconds later`);
  const stopped = performance.now();
  await session.agent.stop(30_000);
  console.log(`  stopped in ${Math.round(performance.now() - stopped)} ms`);
}

/** Iceberg tables in 200 databases, with the parameters of a real one. */
function synthetic(count: number): string {
  return `
    INSERT INTO "DBS" ("DB_ID", "DB_LOCATION_URI", "NAME") SELECT 10 + i, 's3://warehouse/db' || i, 'db' || i FROM generate_series(0, 199) i;
    INSERT INTO "SERDES" ("SERDE_ID") SELECT i FROM generate_series(1, ${count}) i;
    INSERT INTO "CDS" SELECT i FROM generate_series(1, ${count}) i;
    INSERT INTO "SDS" SELECT i, 'f', false, 's3://warehouse/db' || i % 200 || '/t' || i, 0, 'f', i, i, false FROM generate_series(1, ${count}) i;
    INSERT INTO "TBLS" ("TBL_ID", "CREATE_TIME", "DB_ID", "LAST_ACCESS_TIME", "RETENTION", "SD_ID", "TBL_NAME", "TBL_TYPE")
      SELECT i, 1700000000, 10 + i % 200, 0, 0, i, 't' || i, 'EXTERNAL_TABLE' FROM generate_series(1, ${count}) i;
    INSERT INTO "TABLE_PARAMS" SELECT i, k, CASE k WHEN 'table_type' THEN 'ICEBERG' WHEN 'uuid' THEN gen_random_uuid()::text
        WHEN 'metadata_location' THEN 's3://warehouse/db' || i % 200 || '/t' || i || '/metadata/00001-' || gen_random_uuid() || '.metadata.json'
        WHEN 'current-schema' THEN repeat('{"id":1,"name":"x"},', 60) ELSE 'v' END
      FROM generate_series(1, ${count}) i, unnest(ARRAY['table_type', 'uuid', 'metadata_location', 'previous_metadata_location',
        'transient_lastDdlTime', 'EXTERNAL', 'current-schema', 'current-snapshot-summary', 'snapshot-count', 'numRows']) k`;
}
