import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type pg from 'pg';
import type { AgentSetup } from './agent-config.ts';
import { Command, type CommandEvent } from './child.ts';
import type { PolarisAccess } from './polaris-reader.ts';
import { startPostgres, type Postgres, type PostgresOptions } from './postgres.ts';
import { createMetastore } from './writer.ts';

const DATABASE = 'metastore';
const CATALOG = 'hive_mirror';
/** What `emulate` knows from the start. */
const CREDENTIALS = { clientId: 'root', clientSecret: 's3cr3t' };

/** A metastore's database on a real PostgreSQL. */
export type EmbeddedMetastore = AsyncDisposable & {
  readonly version: string;
  /** For writers and administrators. */
  readonly url: string;
  /** For the agent, whose role may do no more than its guide says. */
  readonly agentUrl: string;
  readonly client: () => Promise<pg.Client>;
  readonly postgres: Postgres;
};

/** Starts PostgreSQL, creates the metastore's tables and prepares them for the agent with the SQL that users are given. */
export async function startMetastore(options: PostgresOptions = {}): Promise<EmbeddedMetastore> {
  const postgres = await startPostgres(options);
  const admin = await postgres.client();
  const { rows } = await admin.query<{ version: string }>(`SELECT current_setting('server_version') AS version`);
  await admin.query(`CREATE DATABASE ${DATABASE}`);
  await admin.end();
  const client = await postgres.client(DATABASE);
  await createMetastore(client);
  const guide = readFileSync(new URL('../hive-sidecar/setup.sql', import.meta.url), 'utf8');
  await client.query(guide.replaceAll(':password', `'not needed: connections of this machine are trusted'`));
  await client.end();
  return {
    version: rows[0]?.version ?? '',
    url: postgres.url(DATABASE),
    agentUrl: postgres.url(DATABASE, 'polaris_push'),
    client: () => postgres.client(DATABASE),
    postgres,
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  };
}

/** The emulated Polaris as a process of its own, with one EXTERNAL catalog that admits locations below `warehouse`. */
export async function startPolaris(warehouse: string, port = 0): Promise<{ command: Command; access: PolarisAccess }> {
  const listening = Promise.withResolvers<string>();
  const onEvent = ({ event, uri }: CommandEvent) => {
    if (event === 'listening' && typeof uri === 'string') listening.resolve(uri);
  };
  const location = pathToFileURL(warehouse).href;
  const command = new Command(['emulate', '--port', String(port), '--catalog', `${CATALOG}=${location}`], { onEvent });
  const uri = await command.until(listening.promise);
  return { command, access: { uri: `${uri.replace(/\/$/, '')}/api/catalog`, catalog: CATALOG, ...CREDENTIALS } };
}

/** What an agent needs that mirrors the embedded metastore into the emulated Polaris. */
export function embeddedSetup(folder: string, metastore: EmbeddedMetastore, access: PolarisAccess): AgentSetup {
  const clientSecretFile = join(folder, 'client-secret');
  writeFileSync(clientSecretFile, access.clientSecret, { mode: 0o600 });
  return {
    folder,
    connection: metastore.agentUrl,
    hiveCatalog: 'hive',
    slot: 'polaris_push',
    publication: 'polaris_push',
    polaris: { uri: access.uri, catalog: access.catalog },
    clientId: access.clientId,
    clientSecretFile,
    locations: [],
    // The workload drops tables all the time, which is what the budget is there to hold.
    dropBudget: 'off',
  };
}

/** The folder of the warehouse, which PostgreSQL's user need not enter. */
export function createWarehouse(folder: string): string {
  const warehouse = join(folder, 'warehouse');
  mkdirSync(warehouse);
  return warehouse;
}
