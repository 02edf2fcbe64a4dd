import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { startEmulator, type Emulator } from '../../src/polaris/emulator/emulator.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const CREDENTIALS = { clientId: 'root', clientSecret: 's3cr3t' };
const CATALOG = 'mirror';
const TABLES = 25;

/** A source of recorded states and an emulated Polaris for an agent whose files are elsewhere. */
export type ImageWorld = AsyncDisposable & {
  readonly polaris: Emulator;
  readonly port: number;
  /** How many tables the source has. */
  readonly tables: number;
  /** The recorded states. */
  readonly states: string;
  /** The agent's configuration, for folders as they are called where it runs. */
  readonly config: (folders: { readonly states: string; readonly ledger: string }) => string;
  readonly delivered: () => number;
};

export async function imageWorld(): Promise<ImageWorld> {
  const catalogs = [{ name: CATALOG, baseLocation: 's3://lake/warehouse' }];
  const polaris = await startEmulator({ port: 0, catalogs, credentials: CREDENTIALS, clock: systemClock });
  const port = await freePort();
  const states = Array.from({ length: TABLES }, (_, index) =>
    JSON.stringify({
      table: ['sales', `t${index}`],
      state: 'present',
      metadata_location: `s3://lake/warehouse/sales/t${index}/metadata/00000-x.metadata.json`,
      incarnation: String(index),
      as_of: 1_700_000_000_000 + index,
    }),
  );
  return {
    polaris,
    port,
    tables: TABLES,
    states: `${states.join('\n')}\n`,
    // JSON is YAML.
    config: ({ states: path, ledger }) =>
      JSON.stringify({
        source: { kind: 'file', path },
        targets: [
          {
            name: 'main',
            uri: `${polaris.uri}/api/catalog`,
            catalog: CATALOG,
            auth: { client_id: CREDENTIALS.clientId, client_secret: CREDENTIALS.clientSecret },
          },
        ],
        ledger: { path: ledger },
        http: { listen: `127.0.0.1:${port}` },
      }),
    delivered: () => polaris.tables(CATALOG).size,
    [Symbol.asyncDispose]: () => polaris[Symbol.asyncDispose](),
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
