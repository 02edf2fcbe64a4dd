import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startEmulator } from '../../../src/polaris/emulator/emulator.ts';
import { Child, until } from '../child.ts';
import { AGENT_PRIVILEGES, type Credentials, Polaris } from '../polaris.ts';
import { Writer } from '../python-writer.ts';
import {
  FAREWELL,
  NOT_IN_NESSIE,
  ODD_NAMES,
  OPERATIONS,
  type Operation,
  OUTAGES,
  REGISTRATIONS,
  UNLOADABLE,
  VIEW_DROPS,
  VIEWS,
} from './operations.ts';
import { PYTHON, type Server, startIceberg, startNessie, type Tools } from './servers.ts';

export const ROOT: Credentials = { clientId: 'root', clientSecret: 's3cr3t' };
/** What somebody needs who only looks at what tables there are and where. */
const LOOK_PRIVILEGES = [
  'NAMESPACE_LIST',
  'NAMESPACE_READ_PROPERTIES',
  'TABLE_LIST',
  'TABLE_READ_PROPERTIES',
  'VIEW_LIST',
  'VIEW_READ_PROPERTIES',
];

/** A catalog to read from that runs, and what writes to it. */
export interface Source extends AsyncDisposable {
  readonly writer: Writer;
  /** The section `source` of the agent's configuration, without `poll` and `webhook`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Below it lie all tables. */
  readonly location: string;
  /** Absent where its tables are gone afterwards. */
  restart?(whileDown: () => Promise<void>): Promise<void>;
  tail(): string;
}

export type SourceKind = {
  readonly name: string;
  readonly title: string;
  readonly operations: readonly Operation[];
  /** New names are announced to the agent, and otherwise not found. */
  readonly announced?: boolean | undefined;
  start(tools: Tools, folder: string, main: string): Promise<Source>;
};

const REFERENCE: SourceKind = {
  name: 'iceberg',
  title: "Iceberg 1.11.0's reference server",
  operations: [
    ...OPERATIONS,
    ...NOT_IN_NESSIE,
    ...VIEWS,
    ...VIEW_DROPS,
    ...REGISTRATIONS,
    ...OUTAGES,
    ...UNLOADABLE,
    ...FAREWELL,
  ],
  start: (tools, folder) => written(startIceberg, tools, folder),
};

export const SOURCES: readonly SourceKind[] = [
  REFERENCE,
  { ...REFERENCE, name: 'webhook', title: 'the same with a webhook', announced: true },
  {
    name: 'nessie',
    title: 'Nessie 0.99.0',
    operations: [...OPERATIONS, ...VIEWS, ...ODD_NAMES, ...FAREWELL],
    start: (tools, folder) => written(startNessie, tools, folder),
  },
  {
    name: 'polaris',
    title: 'an emulated Polaris that another agent keeps equal to the reference server',
    operations: [...OPERATIONS, ...FAREWELL],
    start: startPolaris,
  },
];

/** A server with PyIceberg as its writer. */
async function written(
  start: (tools: Tools, folder: string) => Promise<Server>,
  tools: Tools,
  folder: string,
): Promise<Source> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await start(tools, folder));
  const { uri, warehouse, location } = server;
  const writer = await Writer.start({
    python: tools.python,
    args: [join(PYTHON, 'writer.py'), uri, JSON.stringify(server.properties)],
    logFile: join(folder, 'writer.log'),
  });
  stack.use(writer);
  const owned = stack.move();
  return {
    writer,
    config: { kind: 'iceberg-rest', uri, ...(warehouse === undefined ? {} : { warehouse }) },
    location,
    ...(server.restart === undefined ? {} : { restart: server.restart.bind(server) }),
    tail: () => server.tail(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const FED = 'lake';

/** Two agents in a row: what the first sends to a Polaris, the second reads there with the fewest privileges. */
async function startPolaris(tools: Tools, folder: string, main: string): Promise<Source> {
  await using stack = new AsyncDisposableStack();
  const origin = stack.use(await written(startIceberg, tools, folder));
  const polaris = stack.use(await startEmulator({ catalogs: [{ name: FED, baseLocation: origin.location }] }));
  const administrator = await Polaris.login(polaris.uri, ROOT);
  const feeder = await administrator.createPrincipal(FED, 'feeder', AGENT_PRIVILEGES);
  const reader = await administrator.createPrincipal(FED, 'reader', LOOK_PRIVILEGES);
  const uri = `${polaris.uri}/api/catalog`;
  mkdirSync(join(folder, 'feeder'));
  const file = join(folder, 'feeder', 'polaris-push.yaml');
  const config = {
    source: { ...origin.config, poll: { list: '200ms', requests_per_second: 500 } },
    targets: [{ name: 'main', uri, catalog: FED, auth: authOf(feeder) }],
    ledger: { path: join(folder, 'feeder', 'ledger.db') },
    drops: { budget: 'off' },
  };
  writeFileSync(file, stringify(config));
  const child = new Child({
    program: process.execPath,
    args: [main, 'run', '--config', file],
    logFile: join(folder, 'feeder', 'agent.log'),
  });
  stack.use(child);
  await until('the feeding agent runs', () => child.alive);
  const owned = stack.move();
  return {
    writer: origin.writer,
    config: {
      kind: 'iceberg-rest',
      uri,
      warehouse: FED,
      auth: { type: 'oauth2', scope: 'PRINCIPAL_ROLE:ALL', ...authOf(reader) },
    },
    location: origin.location,
    tail: () => [origin.tail(), child.tail()].join('\n'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export const authOf = ({ clientId, clientSecret }: Credentials) => ({
  client_id: clientId,
  client_secret: clientSecret,
});
