import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort, type Postgres } from '../../examples/quickstart/postgres.ts';
import type { Assembly } from './assembly.ts';
import { Child, until } from './child.ts';
import type { Jdk } from './toolchain.ts';
import type { Version } from './versions.ts';

/** The metastore's database, and the role that owns it and its tables. */
export const DATABASE = 'metastore';
export const OWNER = 'hive';

/** Hadoop and DataNucleus look into the JDK by reflection. */
export const JVM_OPENS = ['lang', 'util', 'net', 'io', 'nio', 'util.concurrent', 'util.regex']
  .map((name) => `--add-opens=java.base/java.${name}=ALL-UNNAMED`)
  .concat('--add-opens=java.base/sun.nio.ch=ALL-UNNAMED', '--enable-native-access=ALL-UNNAMED');

const LOGGING = `status = WARN
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p [%t] %c{1}: %m%n
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
logger.datanucleus.name = DataNucleus
logger.datanucleus.level = ERROR
`;

/** Creates the metastore's database with the official script of its version. */
export async function createSchema(postgres: Postgres, script: string): Promise<void> {
  const admin = await postgres.client();
  try {
    await admin.query(`CREATE ROLE ${OWNER} LOGIN PASSWORD '${OWNER}'`);
    await admin.query(`CREATE DATABASE ${DATABASE} OWNER ${OWNER}`);
  } finally {
    await admin.end();
  }
  const owner = await postgres.client(DATABASE, OWNER);
  try {
    await owner.query(readFileSync(script, 'utf8'));
  } finally {
    await owner.end();
  }
}

export type Metastore = { readonly process: Child; readonly uri: string };

/** Starts a Hive Metastore on a free port; resolves when it accepts connections. */
export async function startMetastore(options: {
  readonly version: Version;
  readonly server: Assembly;
  readonly jdk: Jdk;
  readonly postgres: Postgres;
  /** Configuration, log and the folders of managed and external tables go here. */
  readonly folder: string;
}): Promise<Metastore> {
  const { version, server, jdk, postgres, folder } = options;
  const port = await freePort();
  const uri = `thrift://127.0.0.1:${port}`;
  const conf = join(folder, 'conf');
  const temporary = join(folder, 'tmp');
  for (const each of [conf, temporary]) mkdirSync(each, { recursive: true });
  const site = siteXml({
    'metastore.thrift.uris': uri,
    'metastore.thrift.bind.host': '127.0.0.1',
    // Hive 4 refuses external tables, as Iceberg's are, below the folder of the managed ones.
    'metastore.warehouse.dir': `file://${join(folder, 'managed')}`,
    'metastore.warehouse.external.dir': `file://${join(folder, 'warehouse')}`,
    'javax.jdo.option.ConnectionURL': `jdbc:postgresql://127.0.0.1:${postgres.port}/${DATABASE}`,
    'javax.jdo.option.ConnectionDriverName': 'org.postgresql.Driver',
    'javax.jdo.option.ConnectionUserName': OWNER,
    'javax.jdo.option.ConnectionPassword': OWNER,
    'metastore.expression.proxy': 'org.apache.hadoop.hive.metastore.DefaultPartitionExpressionProxy',
    'metastore.event.db.notification.api.auth': 'false',
    ...version.settings,
  });
  for (const name of ['metastore-site.xml', 'hive-site.xml']) writeFileSync(join(conf, name), site);
  writeFileSync(join(conf, 'log4j2.properties'), LOGGING);
  const child = new Child({
    program: join(jdk.home, 'bin', 'java'),
    args: [
      '-Xmx512m',
      ...JVM_OPENS,
      `-Djava.io.tmpdir=${temporary}`,
      `-Dlog4j2.configurationFile=file:${join(conf, 'log4j2.properties')}`,
      '-cp',
      `${conf}:${server.classPath}`,
      'org.apache.hadoop.hive.metastore.HiveMetaStore',
      '-p',
      String(port),
    ],
    logFile: join(folder, 'metastore.log'),
    cwd: folder,
    env: { METASTORE_CONF_DIR: conf, HIVE_CONF_DIR: conf },
  });
  try {
    await until(
      `the Hive Metastore ${version.version} accepts connections`,
      async () => {
        if (!child.alive) throw new Error('The Hive Metastore ended by itself.');
        return accepts(port);
      },
      { timeoutMs: 90_000 },
    );
  } catch (error) {
    await child.stop('SIGKILL');
    throw new Error(`${String(error)}\n${child.tail()}`, { cause: error });
  }
  return { process: child, uri };
}

function siteXml(settings: Readonly<Record<string, string>>): string {
  const properties = Object.entries(settings).map(
    ([name, value]) => `  <property><name>${name}</name><value>${value}</value></property>`,
  );
  return `<?xml version="1.0"?>\n<configuration>\n${properties.join('\n')}\n</configuration>\n`;
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
