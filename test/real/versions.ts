import type { Parts } from './assembly.ts';

/** One Hive Metastore server under test, and the setting that it is tested in. */
export type Version = {
  readonly version: string;
  /** The PostgreSQL under it: each supported way to publish is used once (14 knows no column lists). */
  readonly postgres: 14 | 15 | 18;
  /** Who the agent logs in as: least privilege by the example's SQL, the owner of the tables, or a superuser. */
  readonly role: 'least-privilege' | 'owner' | 'superuser';
  readonly parts: Parts;
  /** Relative to the home of the tarball `schemaFrom`. */
  readonly schemaScript: string;
  readonly schemaFrom: Parts;
  /** `metastore-site.xml`, beyond what every version gets. */
  readonly settings: Readonly<Record<string, string>>;
  /** Whether PyIceberg can write to it: PyIceberg 0.12 calls `get_table`, which Hive 4 no longer has. */
  readonly takesPyIceberg: boolean;
};

const NOTIFICATION_LISTENER = 'org.apache.hive.hcatalog.listener.DbNotificationListener';

/** Hadoop 3.5 no longer calls what Java 24 took away (`Subject.getSubject`). */
const HADOOP = [
  'org.apache.hadoop:hadoop-client-api:3.5.0',
  'org.apache.hadoop:hadoop-client-runtime:3.5.0',
  // SnapshotException, which the shaded client lacks.
  '!org.apache.hadoop:hadoop-hdfs:3.5.0',
];

const COMMONS = [
  'commons-collections:commons-collections:3.2.2',
  'org.apache.httpcomponents:httpclient:4.5.13',
  'com.google.code.gson:gson:2.9.0',
  'javax.servlet:javax.servlet-api:3.1.0',
];

const hiveClasses = (version: string): readonly string[] => [
  `!org.apache.hive:hive-common:${version}`,
  `!org.apache.hive.shims:hive-shims-common:${version}`,
  `!org.apache.hive.shims:hive-shims-0.23:${version}`,
];

/** The official tarball of the standalone server; it lacks Hadoop and some of what Hadoop used to bring along. */
const HIVE_4_0: Parts = {
  name: 'hive-4.0.1',
  tarball: 'org.apache.hive:hive-standalone-metastore-server:4.0.1',
  jars: [...HADOOP, ...COMMONS, ...hiveClasses('4.0.1')],
};

const HIVE_3_1: Parts = {
  name: 'hive-3.1.3',
  tarball: 'org.apache.hive:hive-standalone-metastore:3.1.3',
  jars: [
    ...HADOOP,
    ...COMMONS,
    ...hiveClasses('3.1.3'),
    '!org.apache.hive.hcatalog:hive-hcatalog-server-extensions:3.1.3',
    'commons-beanutils:commons-beanutils:1.9.4',
    'com.google.guava:guava:19.0',
    'org.postgresql:postgresql:42.7.14',
    'commons-cli:commons-cli:1.2',
    'commons-io:commons-io:2.6',
    'org.codehaus.jackson:jackson-mapper-asl:1.9.13',
  ],
};

/** Maven Central has no standalone server of 4.1 and 4.2, but the shaded hive-exec holds all of it. */
const HIVE_4_2: Parts = {
  name: 'hive-4.2.0',
  jars: [
    '!org.apache.hive:hive-exec:4.2.0',
    '!org.apache.hive.hcatalog:hive-hcatalog-server-extensions:4.2.0',
    '!org.apache.hive:hive-storage-api:4.2.0',
    ...HADOOP,
    ...COMMONS,
    'org.datanucleus:datanucleus-core:6.0.10',
    'org.datanucleus:datanucleus-api-jdo:6.0.3',
    'org.datanucleus:datanucleus-rdbms:6.0.10',
    'org.datanucleus:javax.jdo:3.2.1',
    'com.zaxxer:HikariCP:4.0.3',
    'org.postgresql:postgresql:42.7.14',
    'org.springframework:spring-jdbc:5.3.39',
    'com.google.guava:guava:22.0',
    'com.fasterxml.jackson.core:jackson-databind:2.18.1',
    'org.apache.logging.log4j:log4j-slf4j-impl:2.24.3',
    'org.apache.logging.log4j:log4j-1.2-api:2.24.3',
    'org.apache.logging.log4j:log4j-core:2.24.3',
    'io.dropwizard.metrics:metrics-core:3.1.0',
    'io.dropwizard.metrics:metrics-jvm:3.1.0',
    'io.dropwizard.metrics:metrics-json:3.1.0',
    '!com.github.joshelser:dropwizard-metrics-hadoop-metrics2-reporter:0.1.2',
    'org.apache.commons:commons-collections4:4.4',
    'org.apache.commons:commons-dbcp2:2.12.0',
    'commons-cli:commons-cli:1.5.0',
    'commons-io:commons-io:2.16.1',
    'commons-codec:commons-codec:1.15',
    'commons-beanutils:commons-beanutils:1.9.4',
    'org.eclipse.jetty:jetty-servlet:9.4.57.v20241219',
    'org.antlr:antlr4-runtime:4.9.3',
    'com.cronutils:cron-utils:9.1.6',
    'com.github.ben-manes.caffeine:caffeine:2.8.4',
    'javolution:javolution:5.5.1',
  ],
};

/** Iceberg's own HiveCatalog. Iceberg 1.11 doesn't run with Hive 4's client, and Hive 3's client talks to all servers. */
export const DRIVER: Omit<Parts, 'sources'> = {
  name: 'driver',
  jars: [
    'org.apache.iceberg:iceberg-hive-metastore:1.11.0',
    'org.apache.iceberg:iceberg-core:1.11.0',
    '!org.apache.hive:hive-standalone-metastore:3.1.3',
    ...hiveClasses('3.1.3'),
    '!org.apache.hive:hive-storage-api:2.7.0',
    'io.dropwizard.metrics:metrics-core:3.1.0',
    'org.apache.thrift:libthrift:0.9.3',
    'org.apache.thrift:libfb303:0.9.3',
    ...HADOOP.slice(0, 2),
    'commons-lang:commons-lang:2.6',
    'org.apache.commons:commons-lang3:3.12.0',
    'commons-collections:commons-collections:3.2.2',
    'com.google.guava:guava:22.0',
    'org.apache.httpcomponents:httpclient:4.5.13',
    'org.slf4j:slf4j-simple:2.0.17',
  ],
};

export const VERSIONS: readonly Version[] = [
  {
    version: '4.2.0',
    postgres: 18,
    role: 'least-privilege',
    parts: HIVE_4_2,
    schemaFrom: HIVE_4_0,
    schemaScript: 'scripts/metastore/upgrade/postgres/hive-schema-4.0.0.postgres.sql',
    settings: {
      // The script of 4.2 is not on Maven Central. From 4.0.0 it differs by what DataNucleus adds itself (CATALOG_PARAMS).
      'datanucleus.schema.autoCreateAll': 'true',
      'metastore.schema.verification': 'false',
      'metastore.transactional.event.listeners': NOTIFICATION_LISTENER,
      'metastore.event.message.factory': 'org.apache.hadoop.hive.metastore.messaging.json.JSONMessageEncoder',
    },
    takesPyIceberg: false,
  },
  {
    version: '4.0.1',
    postgres: 15,
    role: 'owner',
    parts: HIVE_4_0,
    schemaFrom: HIVE_4_0,
    schemaScript: 'scripts/metastore/upgrade/postgres/hive-schema-4.0.0.postgres.sql',
    settings: {}, // no listener, which is Hive's default: NOTIFICATION_LOG stays empty
    takesPyIceberg: false,
  },
  {
    version: '3.1.3',
    postgres: 14,
    role: 'superuser',
    parts: HIVE_3_1,
    schemaFrom: HIVE_3_1,
    schemaScript: 'scripts/metastore/upgrade/postgres/hive-schema-3.1.0.postgres.sql',
    settings: {
      'metastore.transactional.event.listeners': NOTIFICATION_LISTENER,
      'metastore.event.message.factory': 'org.apache.hadoop.hive.metastore.messaging.json.JSONMessageFactory',
      // Without DumpDirCleanerTask, a class of Hive itself that the standalone server lacks.
      'metastore.task.threads.always': 'org.apache.hadoop.hive.metastore.events.EventCleanerTask',
    },
    takesPyIceberg: true,
  },
];
