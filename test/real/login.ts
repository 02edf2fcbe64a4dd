import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Postgres } from '../../examples/quickstart/postgres.ts';
import { DATABASE, OWNER } from './metastore.ts';
import type { Version } from './versions.ts';

/** The SQL that the user guide tells to run; `:password` is psql's variable. */
const SETUP = fileURLToPath(new URL('../../examples/hive-sidecar/setup.sql', import.meta.url));

const PASSWORD = 'change me';

/** Prepares the agent's login to the metastore's database; resolves with the connection URL. */
export async function connectionFor(role: Version['role'], postgres: Postgres): Promise<string> {
  switch (role) {
    case 'least-privilege':
      await execute(postgres, readFileSync(SETUP, 'utf8').replaceAll(':password', `'${PASSWORD}'`));
      return postgres.url(DATABASE, 'polaris_push', PASSWORD);
    case 'owner':
      await execute(postgres, `ALTER ROLE ${OWNER} REPLICATION`);
      return postgres.url(DATABASE, OWNER, OWNER);
    case 'superuser':
      return postgres.url(DATABASE);
  }
}

async function execute(postgres: Postgres, sql: string): Promise<void> {
  const client = await postgres.client(DATABASE);
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
