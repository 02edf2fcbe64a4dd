import { z } from 'zod';
import { duration, secret } from '../../src/runtime/schema.ts';

export type HiveConfig = {
  readonly kind: 'hive';
  /** Holds a password: never to be printed. */
  readonly connection: string;
  readonly slot: string;
  readonly publication: string;
  readonly catalog: string;
  readonly schema: string;
  readonly create: boolean;
  readonly connectTimeoutMs: number;
  readonly queryTimeoutMs: number;
  readonly listTimeoutMs: number;
  readonly keepaliveMs: number | undefined;
  readonly watchdogMs: number | undefined;
  readonly inspectMs: number;
};

const identifier = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, {
  error: 'expected a name of letters, digits and underscores, at most 63 characters',
});

const period = () => duration().refine((ms) => ms > 0, { error: 'expected more than zero' });

/** The section `source` of the configuration, for `kind: hive`. */
export const hiveConfig = z
  .strictObject({
    kind: z.literal('hive').describe('A Hive Metastore (3.0 or later) whose database is PostgreSQL 14 or later.'),
    connection: secret()
      .regex(/^postgres(ql)?:\/\/\S+$/, {
        error: 'expected a URL such as postgresql://user:password@host:5432/metastore',
      })
      .describe(
        "The metastore's database, as postgresql://user:password@host:port/database. TLS by URL parameters: sslmode=verify-full and sslrootcert=/path/ca.pem.",
      ),
    slot: z
      .string()
      .regex(/^[a-z0-9_]{1,63}$/, {
        error: 'expected lower-case letters, digits and underscores, at most 63 characters',
      })
      .describe('The logical replication slot. One agent, one slot.')
      .default('polaris_push'),
    publication: identifier
      .describe('The publication of the tables DBS, TBLS and TABLE_PARAMS.')
      .default('polaris_push'),
    catalog: z.string().min(1).describe("The metastore's own catalog whose tables are mirrored.").default('hive'),
    schema: identifier.describe("The PostgreSQL schema that holds the metastore's tables.").default('public'),
    create: z
      .boolean()
      .describe(
        'Create the publication and the slot where they are missing, and the slot anew where PostgreSQL has invalidated it. If false, the error says which SQL to run.',
      )
      .default(true),
    connect_timeout: period().describe('How long a connection may take to be made.').prefault('10s'),
    query_timeout: period().describe('How long a query of single tables may take.').prefault('30s'),
    list_timeout: period().describe('How long each step of listing all tables may take.').prefault('5m'),
    keepalive: period()
      .describe('How often PostgreSQL is told how far we are. Absent: a third of its wal_sender_timeout, at most 10s.')
      .optional(),
    watchdog: period()
      .describe(
        'How long PostgreSQL may be silent, though asked to answer, before the connection counts as dead. Absent: its wal_sender_timeout, or 60s where that is off.',
      )
      .optional(),
    inspect: period()
      .describe(
        'How often the publication is looked at while changes are streamed, as nothing tells when it is altered.',
      )
      .prefault('30s'),
  })
  .transform((config): HiveConfig => ({
    kind: config.kind,
    connection: config.connection,
    slot: config.slot,
    publication: config.publication,
    catalog: config.catalog,
    schema: config.schema,
    create: config.create,
    connectTimeoutMs: config.connect_timeout,
    queryTimeoutMs: config.query_timeout,
    listTimeoutMs: config.list_timeout,
    keepaliveMs: config.keepalive,
    watchdogMs: config.watchdog,
    inspectMs: config.inspect,
  }));
