import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Assembly, assemble, type Parts } from '../assembly.ts';
import { Child, startServer, until } from '../child.ts';
import type { ReadyPython } from '../pyiceberg.ts';
import type { Jdk } from '../toolchain.ts';

const SERVER_SOURCES = fileURLToPath(new URL('server', import.meta.url));
export const PYTHON = fileURLToPath(new URL('python', import.meta.url));

/** Iceberg's reference implementation of the protocol: the servlet of its compatibility kit, over a JdbcCatalog. */
const ICEBERG: Parts = {
  name: 'iceberg-rest',
  jars: [
    'org.apache.iceberg:iceberg-core:1.11.0',
    '!org.apache.iceberg:iceberg-core:1.11.0:tests',
    'org.eclipse.jetty.ee10:jetty-ee10-servlet:12.1.14',
    // Hadoop 3.5 no longer calls what Java 24 took away (`Subject.getSubject`).
    'org.apache.hadoop:hadoop-client-api:3.5.0',
    'org.apache.hadoop:hadoop-client-runtime:3.5.0',
    'org.xerial:sqlite-jdbc:3.54.1.0',
    'org.slf4j:slf4j-simple:2.0.17',
  ],
  sources: readdirSync(SERVER_SOURCES).map((name) => join(SERVER_SOURCES, name)),
};

/** Nessie's own distribution, one jar with everything. */
const NESSIE: Parts = { name: 'nessie', jars: ['!org.projectnessie.nessie:nessie-quarkus:0.99.0:runner'] };

export type Tools = { readonly jdk: Jdk; readonly maven: string; readonly python: ReadyPython };

/** A catalog that isn't ours, and how PyIceberg reaches it. */
export interface Server extends AsyncDisposable {
  /** The part before `/v1`. */
  readonly uri: string;
  readonly warehouse?: string | undefined;
  /** Below it lie all tables, metadata files included. */
  readonly location: string;
  /** Properties of PyIceberg's RestCatalog. */
  readonly properties: Readonly<Record<string, string>>;
  /** Absent where its tables are gone afterwards. */
  restart?(whileDown: () => Promise<void>): Promise<void>;
  tail(): string;
}

/** Iceberg's reference server. Its tables outlive it, in a SQLite file and files. */
export async function startIceberg({ jdk, maven }: Tools, folder: string): Promise<Server> {
  const assembly = await assemble(ICEBERG, maven, jdk);
  mkdirSync(join(folder, 'warehouse'));
  const location = pathToFileURL(join(folder, 'warehouse')).href;
  const start = (port: string) =>
    startServer({
      program: join(jdk.home, 'bin', 'java'),
      args: [
        '-Xmx384m',
        '--enable-native-access=ALL-UNNAMED',
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        '-cp',
        assembly.classPath,
        'polarispush.rest.IcebergRestServer',
        `jdbc:sqlite:${join(folder, 'iceberg.db')}`,
        location,
        port,
      ],
      logFile: join(folder, 'iceberg.log'),
      cwd: folder,
    });
  let { child, address } = await start('0');
  return {
    uri: address,
    location,
    properties: {},
    restart: async (whileDown) => {
      await child.stop('SIGKILL');
      await whileDown();
      ({ child, address } = await start(new URL(address).port));
    },
    tail: () => child.tail(),
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

const BUCKET = 'lake';
const WAREHOUSE = 'lake';
/** moto looks at no credentials. */
const S3_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIDREAL', AWS_SECRET_ACCESS_KEY: 'secret' };
/** Of Nessie's settings, the name of a secret. */
const SECRET = 'polaris-push.s3';

/** Nessie in memory. It keeps metadata files in object stores only, so moto serves it one. */
export async function startNessie({ jdk, maven, python }: Tools, folder: string): Promise<Server> {
  await using stack = new AsyncDisposableStack();
  const assembly = await assemble(NESSIE, maven, jdk);
  const store = await startServer({
    program: python.program,
    args: [join(PYTHON, 'object_store.py'), BUCKET],
    env: { ...python.env, ...S3_CREDENTIALS },
    logFile: join(folder, 'moto.log'),
  });
  stack.use(store.child);
  const location = `s3://${BUCKET}/warehouse`;
  const { child, uri } = await runNessie({ jdk, assembly, folder, store: store.address, location });
  stack.use(child);
  const owned = stack.move();
  return {
    uri: `${uri}/iceberg`,
    warehouse: WAREHOUSE,
    location,
    properties: {
      warehouse: WAREHOUSE,
      's3.access-key-id': S3_CREDENTIALS.AWS_ACCESS_KEY_ID,
      's3.secret-access-key': S3_CREDENTIALS.AWS_SECRET_ACCESS_KEY,
    },
    tail: () => child.tail(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function runNessie(options: {
  readonly jdk: Jdk;
  readonly assembly: Assembly;
  readonly folder: string;
  readonly store: string;
  readonly location: string;
}): Promise<{ readonly child: Child; readonly uri: string }> {
  const { jdk, assembly, folder, store, location } = options;
  const settings = {
    'quarkus.http.host': '127.0.0.1',
    'quarkus.http.port': '0',
    'quarkus.management.host': '127.0.0.1',
    'quarkus.management.port': '0',
    'nessie.version.store.type': 'IN_MEMORY',
    'nessie.catalog.default-warehouse': WAREHOUSE,
    [`nessie.catalog.warehouses.${WAREHOUSE}.location`]: location,
    'nessie.catalog.service.s3.default-options.endpoint': store,
    'nessie.catalog.service.s3.default-options.path-style-access': 'true',
    'nessie.catalog.service.s3.default-options.region': 'us-east-1',
    'nessie.catalog.service.s3.default-options.request-signing-enabled': 'false',
    'nessie.catalog.service.s3.default-options.access-key': `urn:nessie-secret:quarkus:${SECRET}`,
    [`${SECRET}.name`]: S3_CREDENTIALS.AWS_ACCESS_KEY_ID,
    [`${SECRET}.secret`]: S3_CREDENTIALS.AWS_SECRET_ACCESS_KEY,
  };
  let uri: string | undefined;
  const child = new Child({
    program: join(jdk.home, 'bin', 'java'),
    args: [
      '-Xmx512m',
      '--enable-native-access=ALL-UNNAMED',
      ...Object.entries(settings).map(([key, value]) => `-D${key}=${value}`),
      '-cp',
      assembly.classPath,
      'io.quarkus.runner.GeneratedMain',
    ],
    logFile: join(folder, 'nessie.log'),
    cwd: folder,
    onLine: (line) => {
      uri ??= /Listening on: (http:\/\/[^ ]+?)\. /.exec(line)?.[1];
    },
  });
  try {
    await until('Nessie serves', () => uri !== undefined || !child.alive, { timeoutMs: 120_000 });
    if (uri === undefined) throw new Error(`Nessie ended at once.\n${child.tail()}`);
    return { child, uri };
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
}
