import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { startPostgres, type Postgres } from '../../examples/quickstart/postgres.ts';
import { createMetastore, HiveWriter } from '../../examples/quickstart/writer.ts';
import { startEmulator, type Emulator } from '../../src/polaris/emulator/emulator.ts';
import { ROOT } from './root.ts';

const STAND_INS = fileURLToPath(new URL('stand-ins', import.meta.url));
const WAREHOUSE = 's3a://lake/warehouse';

/** What the guide takes for given: a metastore on PostgreSQL and a Polaris, both as nobody has prepared them yet. */
export type GuideWorld = AsyncDisposable & {
  readonly postgres: Postgres;
  readonly client: () => Promise<pg.Client>;
  readonly writer: HiveWriter;
  readonly polaris: Emulator;
  /** Where the reader of the guide works. */
  readonly folder: string;
  /** The guide's text with the addresses of this world. */
  readonly here: (text: string) => string;
  /** What was printed, with the guide's addresses again. */
  readonly there: (text: string) => string;
  /** Moves the tables to where the guide says that they lie; the emulated Polaris doesn't read object stores. */
  readonly moveTables: () => Promise<void>;
};

export async function openGuideWorld(): Promise<GuideWorld> {
  const stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-guide-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(ROOT, 'examples'), join(folder, 'examples'));
  const postgres = stack.use(await startPostgres({ settings: { wal_level: 'replica' } }));
  const admin = await postgres.client();
  await admin.query('CREATE DATABASE metastore');
  await demandPasswords(postgres, admin);
  await admin.end();
  const client = () => postgres.client('metastore');
  const setUp = await client();
  await createMetastore(setUp);
  await setUp.end();
  const warehouse = join(folder, 'warehouse');
  const connectionString = postgres.url('metastore');
  const writer = stack.use(new HiveWriter({ connectionString, warehouse, metadataFiles: false, locks: false }));
  const polaris = stack.use(await startEmulator());
  const places = [
    ['metastore-db:5432', `127.0.0.1:${postgres.port}`],
    ['http://polaris:8181', polaris.uri],
    ['/var/lib/polaris-push', join(folder, 'state')],
  ] as const;
  const replaced = (text: string, from: 0 | 1): string =>
    places.reduce((rest, place) => rest.replaceAll(place[from], place[1 - from] ?? ''), text);
  return {
    postgres,
    client,
    writer,
    polaris,
    folder,
    here: (text) => replaced(text, 0),
    there: (text) => replaced(text, 1),
    moveTables: async () => {
      const mover = await client();
      await mover.query(
        `UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = replace("PARAM_VALUE", $1, $2) WHERE "PARAM_KEY" = 'metadata_location'`,
        [`file:${warehouse}`, WAREHOUSE],
      );
      await mover.end();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** What the outputs in the guide are about. */
export async function tablesOfGuide({ writer, moveTables }: GuideWorld): Promise<void> {
  await writer.createNamespace('sales');
  for (const name of ['orders', 'items', 'clients']) await writer.createTable(`sales.${name}`);
  await writer.createView('sales.large_orders', 'SELECT 1');
  await moveTables();
}

/** The agent's role must prove itself, as on a server of one's own; nobody else must. */
async function demandPasswords({ dataDir }: Postgres, admin: pg.Client): Promise<void> {
  const file = join(dataDir, 'pg_hba.conf');
  const lines = ['all', 'replication'].map((database) => `host ${database} polaris_push 127.0.0.1/32 scram-sha-256\n`);
  writeFileSync(file, lines.join('') + readFileSync(file, 'utf8'));
  await admin.query('SELECT pg_reload_conf()');
}

/**
 * A PATH with `polaris-push`, and with `psql` and `curl`: the machine's own where it has them, or always the stand-ins.
 */
export function guidePath(folder: string, tools: 'own' | 'stand-ins'): string {
  const [always, missing] = ['bin', 'stand-ins'].map((name) => join(folder, name)) as [string, string];
  for (const dir of [always, missing]) mkdirSync(dir);
  program(join(always, 'polaris-push'), join(ROOT, 'src', 'main.ts'));
  appendFileSync(join(always, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`);
  chmodSync(join(always, 'node'), 0o755);
  for (const tool of ['psql', 'curl']) program(join(missing, tool), join(STAND_INS, `${tool}.ts`));
  const own = process.env['PATH'] ?? '';
  return (tools === 'own' ? [always, own, missing] : [always, missing, own]).join(':');
}

function program(path: string, script: string): void {
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, { mode: 0o755 });
}
