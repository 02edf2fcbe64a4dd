import { afterAll, beforeAll } from 'vitest';
import hive from '../../../connectors/hive/index.ts';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import type { TableIdentifier } from '../../../src/core/types.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { connectorContract } from '../../contract/connector.contract.ts';
import { openMetastore, OPS, rows, SALES } from './metastore.ts';

const PASSWORD = 'planted secret/of the@test';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => postgres[Symbol.asyncDispose]());

let commits = 0;
/** The fixture's tables lie in two databases, so that a rename moves between them. */
const databaseOf = ({ namespace }: TableIdentifier) => (namespace[0] === 'ops' ? OPS : SALES);

connectorContract('hive', async () => {
  const metastore = await openMetastore(postgres);
  const changes = { connection: postgres.url(metastore.database, 'postgres', PASSWORD) };
  return {
    open: () => metastore.connector(changes),
    check: () =>
      hive.check(metastore.config(changes), { clock: systemClock, log: silentLog }, new AbortController().signal),
    table: (name) => ({ namespace: [name === 'b' ? 'ops' : 'sales'], name }),
    create: (table) => metastore.transact(rows.create(table.name, { db: databaseOf(table) })),
    commit: (table) => metastore.transact(rows.commit(table.name, `v${++commits}`, databaseOf(table))),
    drop: (table) => metastore.transact(rows.drop(table.name, databaseOf(table))),
    rename: (table, to) => metastore.transact(rows.rename(table.name, to.name, databaseOf(to), databaseOf(table))),
    createUnsupported: (table) =>
      metastore.transact(
        rows.create(table.name, { parameters: { table_type: 'ICEBERG-VIEW', metadata_location: 's3://v' } }),
      ),
    breakReads: async () => {
      await metastore.admin.query('ALTER TABLE "TBLS" RENAME COLUMN "TBL_TYPE" TO "TYPE"');
    },
    contents: async () => {
      const { rows: found } = await metastore.admin.query<{ text: string }>(
        `SELECT concat((SELECT json_agg(t) FROM "TBLS" t), (SELECT json_agg(p) FROM "TABLE_PARAMS" p),
                       (SELECT json_agg(b.*) FROM pg_publication b),
                       (SELECT json_agg(s.slot_name) FROM pg_replication_slots s WHERE s.slot_name = $1)) AS text`,
        [metastore.database],
      );
      return found[0]?.text ?? '';
    },
    secrets: [PASSWORD, encodeURIComponent(PASSWORD)],
    logged: () => JSON.stringify(metastore.events),
    [Symbol.asyncDispose]: () => metastore[Symbol.asyncDispose](),
  };
});
