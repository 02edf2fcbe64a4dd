/** What an error code means to an operator. The page docs/errors.md is generated from this table. */
type ErrorSpec = {
  /** One line, without secrets. */
  readonly summary: string;
  /** What the operator does about it. The error's own `fix`, more exact, takes its place in the message. */
  readonly fix: string;
  /** `never`: the same call fails again; `backoff`: try again; `after-fix`: try again when the operator acted. */
  readonly retry: 'never' | 'backoff' | 'after-fix';
  readonly exitCode: 1 | 2 | 3 | 4;
};

export const ERRORS = {
  UNEXPECTED: {
    summary: 'An unexpected error.',
    fix: 'Run again with --log-level debug and report what it prints.',
    retry: 'backoff',
    exitCode: 1,
  },
  USAGE: { summary: 'The command line is not valid.', fix: 'See `polaris-push --help`.', retry: 'never', exitCode: 2 },
  CONFIG_INVALID: {
    summary: 'The configuration is not valid.',
    fix: 'Correct the named key; `polaris-push config schema` prints what is allowed.',
    retry: 'never',
    exitCode: 2,
  },
  CONFIG_UNREADABLE: {
    summary: 'The configuration file cannot be read.',
    fix: 'Name a readable YAML file with --config FILE.',
    retry: 'never',
    exitCode: 2,
  },
  NODE_TOO_OLD: {
    summary: 'This version of Node.js is too old.',
    fix: 'Install Node.js 24 or newer.',
    retry: 'never',
    exitCode: 2,
  },
  HTTP_LISTEN_FAILED: {
    summary: "The agent can't listen for HTTP requests.",
    fix: 'Let http.listen name an address of this machine and a port that is free.',
    retry: 'never',
    exitCode: 2,
  },
  FILE_UNREADABLE: {
    summary: 'The file of recorded states cannot be read.',
    fix: 'Name a readable file, as `polaris-push run --record FILE` writes it.',
    retry: 'after-fix',
    exitCode: 2,
  },
  FILE_INVALID: {
    summary: 'The file of recorded states has a broken line.',
    fix: 'Correct or remove the named line; `polaris-push replay` tells of every broken line and pushes the others.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_OTHER_SOURCE: {
    summary: 'The ledger belongs to another source.',
    fix: 'Give this source a ledger of its own (ledger.path). If it is the same source under a new address, start once with `run --adopt-ledger`.',
    retry: 'never',
    exitCode: 2,
  },
  LEDGER_OTHER_CATALOG: {
    summary: 'The ledger knows this target as another catalog.',
    fix: 'Give the target another name, so that it starts without entries. If it is the same catalog under a new address, start once with `run --adopt-ledger`.',
    retry: 'never',
    exitCode: 2,
  },
  LEDGER_IN_USE: {
    summary: 'Another process owns the ledger.',
    fix: 'Stop that process, or give this one a ledger of its own in ledger.path.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_UNWRITABLE: {
    summary: "The ledger can't be opened for reading and writing.",
    fix: 'Let ledger.path name a file in a folder that this user may write to, on a local disk.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_CORRUPT: {
    summary: "The ledger's file isn't a ledger, or is damaged.",
    fix: 'Restore it from a backup, or move it away with its -wal and -shm files and start again: the start compares source and Polaris.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_NEWER: {
    summary: 'The ledger was written by a newer release.',
    fix: 'Use that release or a later one; or move the ledger away with its -wal and -shm files and start again: the start compares source and Polaris.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_OLDER: {
    summary: 'The ledger was written by an older release.',
    fix: 'Use the release that the agent runs, or start the agent once with this one, which brings the ledger up to date.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_MISSING: {
    summary: 'There is no ledger.',
    fix: 'Correct ledger.path, or start the agent once: `polaris-push run` creates the ledger.',
    retry: 'after-fix',
    exitCode: 2,
  },
  LEDGER_FAILED: {
    summary: "The ledger can't be read or written any more.",
    fix: "Look at the disk of ledger.path (space, quota, the system's log), then start again. Nothing that was acknowledged to the source is lost.",
    retry: 'after-fix',
    exitCode: 1,
  },
  LEDGER_REQUESTS_FULL: {
    summary: 'Too many requests wait for the agent.',
    fix: 'Start the agent: it takes them within a second.',
    retry: 'after-fix',
    exitCode: 1,
  },
  SOURCE_NOT_LISTED: {
    summary: "The source's tables have not all been listed yet, so a table cannot be called absent.",
    fix: 'Nothing: it is tried again after the first complete list.',
    retry: 'backoff',
    exitCode: 1,
  },
  TARGET_NOT_READY: {
    summary: 'Polaris is not ready to take notifications.',
    fix: '`polaris-push check` looks at everything and says what to do.',
    retry: 'after-fix',
    exitCode: 4,
  },
  POLARIS_UNAVAILABLE: {
    summary: 'Polaris could not be asked.',
    fix: 'Make Polaris reachable at targets[].uri (host, port, TLS, firewall), or wait until it is available again; `polaris-push check` says which.',
    retry: 'backoff',
    exitCode: 4,
  },
  POLARIS_UNAUTHORIZED: {
    summary: 'Polaris did not accept the credentials.',
    fix: 'Correct targets[].auth; `polaris-push check` says what is wrong with it.',
    retry: 'after-fix',
    exitCode: 4,
  },
  POLARIS_FORBIDDEN: {
    summary: 'The principal lacks a privilege in Polaris.',
    fix: 'Grant it all five privileges on the catalog; `polaris-push check` prints the commands.',
    retry: 'after-fix',
    exitCode: 4,
  },
  POLARIS_NO_SUCH_CATALOG: {
    summary: 'Polaris has no such catalog.',
    fix: 'Correct targets[].catalog, or create it as an EXTERNAL catalog; `polaris-push check` prints the command.',
    retry: 'after-fix',
    exitCode: 2,
  },
  POLARIS_NO_SUCH_REALM: {
    summary: 'Polaris has no such realm, or wants one to be named.',
    fix: 'Set targets[].realm to a realm of the server.',
    retry: 'after-fix',
    exitCode: 2,
  },
  POLARIS_NO_SUCH_TABLE: {
    summary: 'Polaris has no such Iceberg table or namespace.',
    fix: 'Correct the name, as `polaris-push status` writes it; `polaris-push wait` waits until a table is there.',
    retry: 'after-fix',
    exitCode: 2,
  },
  POLARIS_CATALOG_INTERNAL: {
    summary: 'The catalog is INTERNAL and takes no notifications.',
    fix: 'Create an EXTERNAL catalog and name it in targets[].catalog; `polaris-push check` prints the command.',
    retry: 'after-fix',
    exitCode: 2,
  },
  POLARIS_REFUSED: {
    summary: 'Polaris gave an answer that the agent can do nothing with.',
    fix: 'Read the message and look at the log of Polaris under the same time; report it if the agent should know better.',
    retry: 'backoff',
    exitCode: 1,
  },
  POLICY_CONTENT_INVALID: {
    summary: "A policy's content can't be read.",
    fix: 'Correct the content of the named policy in Polaris; other policies are not affected.',
    retry: 'after-fix',
    exitCode: 3,
  },
  EMULATOR_NOT_LISTENING: {
    summary: 'The emulated Polaris can not listen.',
    fix: 'Give a free port with `--port`, or `--port 0` for any.',
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_CONNECTION: {
    summary: "The connection to the metastore's database can't be used.",
    fix: 'Write `connection` as postgresql://user:password@host:5432/database, with special characters percent-encoded.',
    retry: 'never',
    exitCode: 2,
  },
  HIVE_UNREACHABLE: {
    summary: "The metastore's database can't be reached.",
    fix: 'Check host, port, network and whether PostgreSQL runs and takes connections.',
    retry: 'backoff',
    exitCode: 4,
  },
  HIVE_TLS: {
    summary: "The metastore's database can't be reached by TLS.",
    fix: 'Set sslmode and sslrootcert in `connection` to what the server offers, e.g. ?sslmode=verify-full&sslrootcert=/path/ca.pem.',
    retry: 'after-fix',
    exitCode: 4,
  },
  HIVE_LOGIN_REFUSED: {
    summary: "The metastore's database refuses the login.",
    fix: 'Check user and password in `connection`, and pg_hba.conf for this host.',
    retry: 'after-fix',
    exitCode: 4,
  },
  HIVE_DATABASE_UNKNOWN: {
    summary: "The metastore's database doesn't exist.",
    fix: "Correct the database's name in `connection`.",
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_PRIVILEGE_MISSING: {
    summary: "The role lacks a privilege in the metastore's database.",
    fix: '`polaris-push check` names every missing privilege with its GRANT.',
    retry: 'after-fix',
    exitCode: 4,
  },
  HIVE_NOT_A_METASTORE: {
    summary: "The database doesn't hold the tables of a Hive Metastore.",
    fix: "Let `connection` and `schema` name the database and the schema of the metastore's tables.",
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_CATALOG_UNKNOWN: {
    summary: "The metastore doesn't have the catalog.",
    fix: 'Set `catalog` to one that `polaris-push check` lists.',
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_VERSION: {
    summary: "The metastore's PostgreSQL is too old.",
    fix: 'Upgrade it to PostgreSQL 14 or later.',
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_STANDBY: {
    summary: "The metastore's database is a standby.",
    fix: 'Let `connection` name the primary.',
    retry: 'backoff',
    exitCode: 4,
  },
  HIVE_WAL_LEVEL: {
    summary: "The metastore's PostgreSQL doesn't log enough for logical replication.",
    fix: "ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL.",
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_REPLICA_IDENTITY: {
    summary: "A table of the metastore isn't identified by its primary key.",
    fix: 'ALTER TABLE … REPLICA IDENTITY DEFAULT; `polaris-push check` names the table.',
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_PUBLICATION_MISSING: {
    summary: 'The publication is missing.',
    fix: "Run the SQL that `polaris-push check` prints, as the owner of the metastore's tables.",
    retry: 'backoff',
    exitCode: 2,
  },
  HIVE_PUBLICATION_WRONG: {
    summary: "The publication isn't what it must be.",
    fix: "Run the SQL that `polaris-push check` prints, as the publication's owner.",
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_SLOT_MISSING: {
    summary: 'The replication slot is missing.',
    fix: "SELECT pg_create_logical_replication_slot('polaris_push', 'pgoutput'); with your slot's name, or set `create: true`.",
    retry: 'backoff',
    exitCode: 2,
  },
  HIVE_SLOT_WRONG: {
    summary: "The replication slot is another's.",
    fix: 'Give another name as `slot`.',
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_SLOT_IN_USE: {
    summary: 'The replication slot is in use by another process.',
    fix: 'Stop the other agent, or give this one a slot of its own.',
    retry: 'backoff',
    exitCode: 4,
  },
  HIVE_SLOT_INVALIDATED: {
    summary: 'The replication slot was invalidated by PostgreSQL.',
    fix: 'It is created anew at the next start if `create: true`; else drop and create it. Raise max_slot_wal_keep_size if it happens often.',
    retry: 'backoff',
    exitCode: 2,
  },
  HIVE_SLOTS_EXHAUSTED: {
    summary: 'PostgreSQL has no replication slot left.',
    fix: 'Raise max_replication_slots (and max_wal_senders) and restart PostgreSQL, or drop an unused slot.',
    retry: 'after-fix',
    exitCode: 2,
  },
  HIVE_HISTORY_LOST: {
    summary: "The change stream isn't the continuation of what was read before.",
    fix: 'Nothing to do: the agent makes a new start with a list of all tables.',
    retry: 'backoff',
    exitCode: 4,
  },
  HIVE_SERVER_SILENT: {
    summary: "The metastore's PostgreSQL doesn't answer any more.",
    fix: 'Check the network between the agent and PostgreSQL; the agent connects again by itself.',
    retry: 'backoff',
    exitCode: 4,
  },
  HIVE_SERVER_STOPPING: {
    summary: "The metastore's PostgreSQL is shutting down.",
    fix: 'Nothing to do: the agent connects again by itself.',
    retry: 'backoff',
    exitCode: 4,
  },
  HIVE_TIMEOUT: {
    summary: "The metastore's database took too long.",
    fix: 'Look for locks and long transactions in pg_stat_activity, or raise query_timeout or list_timeout.',
    retry: 'backoff',
    exitCode: 4,
  },
  HIVE_STREAM_UNREADABLE: {
    summary: "The change stream can't be read.",
    fix: 'Report it with the PostgreSQL version; the agent connects again by itself.',
    retry: 'backoff',
    exitCode: 1,
  },
  HIVE_QUERY_FAILED: {
    summary: "The metastore's database answers with an error.",
    fix: "See the server's own message; run `polaris-push check`.",
    retry: 'backoff',
    exitCode: 4,
  },
  GLUE_CREDENTIALS_MISSING: {
    summary: 'No AWS credentials were found.',
    fix: 'Give the process a role (instance profile, IRSA or pod identity, task role), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    retry: 'after-fix',
    exitCode: 4,
  },
  GLUE_CREDENTIALS_EXPIRED: {
    summary: 'The AWS credentials have expired.',
    fix: 'Renew them (`aws sso login`, or a new session token) and start again. Credentials of a role are renewed by themselves.',
    retry: 'after-fix',
    exitCode: 4,
  },
  GLUE_CREDENTIALS_REFUSED: {
    summary: 'AWS does not accept the credentials.',
    fix: 'Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE: the key may be wrong, deleted, or of another partition than the region.',
    retry: 'after-fix',
    exitCode: 4,
  },
  GLUE_ROLE_REFUSED: {
    summary: "The role can't be assumed.",
    fix: "Allow sts:AssumeRole on `role.arn` in the policy of the agent's own role, and name that role (and the external id, if there is one) in the trust policy of `role.arn`.",
    retry: 'after-fix',
    exitCode: 4,
  },
  GLUE_REGION_MISSING: {
    summary: 'The AWS region is not known.',
    fix: 'Set `region` to the region of the Glue Data Catalog.',
    retry: 'never',
    exitCode: 2,
  },
  GLUE_REGION_MISMATCH: {
    summary: 'The queue is in another region than the catalog.',
    fix: 'Set `region` to the region of the catalog whose events the queue gets.',
    retry: 'after-fix',
    exitCode: 2,
  },
  GLUE_CLOCK_SKEWED: {
    summary: "This host's clock differs too much from AWS's.",
    fix: 'Synchronize the clock (NTP).',
    retry: 'after-fix',
    exitCode: 4,
  },
  GLUE_ACCESS_DENIED: {
    summary: 'The agent lacks a permission in AWS Glue.',
    fix: '`polaris-push check` names every missing action with its IAM statement.',
    retry: 'after-fix',
    exitCode: 4,
  },
  GLUE_ENCRYPTION: {
    summary: "The metadata of the Glue Data Catalog can't be decrypted.",
    fix: "Allow kms:Decrypt on the catalog's KMS key, in the policy of the agent's role and in the policy of the key.",
    retry: 'after-fix',
    exitCode: 4,
  },
  GLUE_FEDERATION: {
    summary: 'A federated catalog behind AWS Glue failed.',
    fix: 'Check the Glue connection of the federated database, or leave it out with `databases`.',
    retry: 'backoff',
    exitCode: 4,
  },
  GLUE_CATALOG_UNKNOWN: {
    summary: "AWS Glue doesn't have the catalog.",
    fix: 'Correct `catalog_id` and `region`.',
    retry: 'after-fix',
    exitCode: 2,
  },
  GLUE_DATABASES_UNKNOWN: {
    summary: '`databases` matches no database of the catalog.',
    fix: 'Name databases that `polaris-push check` lists; check `region` and `catalog_id`, too.',
    retry: 'after-fix',
    exitCode: 2,
  },
  GLUE_THROTTLED: {
    summary: 'AWS Glue refuses calls as too many.',
    fix: 'Lower `calls_per_second`, look for other heavy users of Glue in the account and region, or ask AWS for a higher quota.',
    retry: 'backoff',
    exitCode: 4,
  },
  GLUE_UNREACHABLE: {
    summary: "AWS Glue can't be reached.",
    fix: 'Check `region`, `glue_endpoint` and the network (proxy, VPC endpoint, DNS).',
    retry: 'backoff',
    exitCode: 4,
  },
  GLUE_FAILED: {
    summary: 'AWS Glue answers with an error.',
    fix: "See AWS's own message; run `polaris-push check`.",
    retry: 'backoff',
    exitCode: 4,
  },
  REST_UNREACHABLE: {
    summary: "The Iceberg REST catalog can't be reached.",
    fix: 'Check `source.uri` and the network (DNS, proxy, `tls.ca_file`).',
    retry: 'backoff',
    exitCode: 4,
  },
  REST_UNAVAILABLE: {
    summary: 'The Iceberg REST catalog answers with an error of its own.',
    fix: "Look into the catalog's log; it is asked again.",
    retry: 'backoff',
    exitCode: 4,
  },
  REST_THROTTLED: {
    summary: 'The Iceberg REST catalog refuses requests as too many.',
    fix: 'Lower `source.poll.requests_per_second`.',
    retry: 'backoff',
    exitCode: 4,
  },
  REST_UNAUTHORIZED: {
    summary: 'The Iceberg REST catalog does not accept the credentials.',
    fix: 'Correct `source.auth`; `polaris-push check` tries it.',
    retry: 'after-fix',
    exitCode: 4,
  },
  REST_TOKEN_REFUSED: {
    summary: 'No token for the Iceberg REST catalog could be had.',
    fix: 'Correct `source.auth`: `token_uri`, the client and its secret, `scope`.',
    retry: 'after-fix',
    exitCode: 4,
  },
  REST_CREDENTIALS_MISSING: {
    summary: 'No AWS credentials were found to sign requests with.',
    fix: 'Give the process a role (instance profile, IRSA or pod identity, task role), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    retry: 'after-fix',
    exitCode: 4,
  },
  REST_FORBIDDEN: {
    summary: 'The agent lacks a privilege in the Iceberg REST catalog.',
    fix: 'Let the agent list namespaces, tables and views, and read the properties of all tables; it needs no data.',
    retry: 'after-fix',
    exitCode: 4,
  },
  REST_TABLE_HIDDEN: {
    summary: 'The Iceberg REST catalog lists a table and says that it does not exist.',
    fix: "Let the agent read the table's properties, or look whether its metadata file is missing.",
    retry: 'backoff',
    exitCode: 4,
  },
  REST_NAME_NOT_ADDRESSABLE: {
    summary: 'No Iceberg REST catalog can be asked about such a name.',
    fix: 'Rename it: no level of a name may be empty, `.` or `..`, or hold the separator of namespaces.',
    retry: 'never',
    exitCode: 2,
  },
  REST_NO_METADATA_LOCATION: {
    summary: 'The Iceberg REST catalog does not tell where the metadata of its tables is.',
    fix: 'Let the catalog send `metadata-location` with loadTable; without it nothing can be pushed.',
    retry: 'after-fix',
    exitCode: 3,
  },
  REST_WAREHOUSE_UNKNOWN: {
    summary: "The Iceberg REST catalog doesn't have the warehouse.",
    fix: 'Correct `source.warehouse` and `source.uri`.',
    retry: 'after-fix',
    exitCode: 2,
  },
  REST_ENDPOINT_MISSING: {
    summary: 'The Iceberg REST catalog lacks an endpoint that the agent needs.',
    fix: 'Use a catalog that lists namespaces and tables and loads tables; `polaris-push check` shows what this one offers.',
    retry: 'after-fix',
    exitCode: 2,
  },
  REST_NOT_A_CATALOG: {
    summary: 'What answers is no Iceberg REST catalog.',
    fix: 'Correct `source.uri`: the part before /v1.',
    retry: 'after-fix',
    exitCode: 2,
  },
  REST_REDIRECTED: {
    summary: "Redirections lead away from the Iceberg REST catalog, or don't end.",
    fix: 'Set `source.uri` to the address that answers itself.',
    retry: 'after-fix',
    exitCode: 2,
  },
  REST_LISTING_ENDLESS: {
    summary: "A listing of the Iceberg REST catalog doesn't end.",
    fix: "Look for a fault in the catalog's paging (`next-page-token`), or in a cache before it.",
    retry: 'backoff',
    exitCode: 4,
  },
  REST_ANSWER_TOO_LARGE: {
    summary: 'An answer of the Iceberg REST catalog is too large.',
    fix: 'Expire snapshots of the table, so that its metadata gets smaller, or let the catalog honour `snapshots=refs`.',
    retry: 'after-fix',
    exitCode: 4,
  },
  REST_FAILED: {
    summary: 'The Iceberg REST catalog answers in a way that is not understood.',
    fix: "See the catalog's own message; run `polaris-push check`.",
    retry: 'backoff',
    exitCode: 4,
  },
  REST_CLOCK_SKEWED: {
    summary: "This host's clock differs too much from the catalog's.",
    fix: 'Synchronize the clock (NTP).',
    retry: 'after-fix',
    exitCode: 4,
  },
  SQS_QUEUE_NOT_SET: {
    summary: 'There is no queue to get events from.',
    fix: 'Set `queue_url` to the queue that the EventBridge rule sends to.',
    retry: 'never',
    exitCode: 2,
  },
  SQS_QUEUE_MISSING: {
    summary: "The queue doesn't exist.",
    fix: 'Correct `queue_url`; a queue in another region is missing, too.',
    retry: 'after-fix',
    exitCode: 2,
  },
  SQS_QUEUE_SETTINGS: {
    summary: "The queue's settings lose events or deliver them late.",
    fix: 'Change the queue as the finding says.',
    retry: 'after-fix',
    exitCode: 2,
  },
  SQS_ACCESS_DENIED: {
    summary: 'The agent lacks a permission on the queue.',
    fix: '`polaris-push check` names every missing action with its IAM statement.',
    retry: 'after-fix',
    exitCode: 4,
  },
  SQS_ENCRYPTION: {
    summary: "The queue's messages can't be decrypted.",
    fix: "Allow kms:Decrypt on the queue's KMS key, in the policy of the agent's role and in the policy of the key.",
    retry: 'after-fix',
    exitCode: 4,
  },
  SQS_TOO_MANY_IN_FLIGHT: {
    summary: 'Too many messages of the queue are under way.',
    fix: 'Stop other consumers of the queue, or wait until their messages become visible again.',
    retry: 'backoff',
    exitCode: 4,
  },
  SQS_THROTTLED: {
    summary: 'SQS refuses calls as too many.',
    fix: 'Nothing: the agent slows down. Lower `pollers` if it happens often.',
    retry: 'backoff',
    exitCode: 4,
  },
  SQS_UNREACHABLE: {
    summary: "SQS can't be reached.",
    fix: 'Check `queue_url`, `sqs_endpoint` and the network (proxy, VPC endpoint, DNS).',
    retry: 'backoff',
    exitCode: 4,
  },
  SQS_FAILED: {
    summary: 'SQS answers with an error.',
    fix: "See AWS's own message; run `polaris-push check`.",
    retry: 'backoff',
    exitCode: 4,
  },
  LAMBDA_EVENT_UNKNOWN: {
    summary: 'The Lambda function was invoked with something that it does not understand.',
    fix: 'Let it be invoked by an SQS event source mapping, by an EventBridge rule for aws.glue, or by a schedule with the input {"action":"reconcile"}.',
    retry: 'never',
    exitCode: 2,
  },
  LAMBDA_NOT_DELIVERED: {
    summary: 'The Lambda function could not deliver everything.',
    fix: 'See its log for each table and why. What is left comes again, or waits in the dead-letter queue to be sent back when the cause is gone.',
    retry: 'backoff',
    exitCode: 3,
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

/** An error that an operator can act on: `[CODE] summary detail` and a fix. Neither detail nor fix holds a secret. */
export class PushError extends Error {
  override readonly name = 'PushError';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly fix: string;

  constructor(code: ErrorCode, detail: string, options?: ErrorOptions & { readonly fix?: string | undefined }) {
    super(`${ERRORS[code].summary} ${detail}`, options);
    this.code = code;
    this.detail = detail;
    this.fix = options?.fix ?? ERRORS[code].fix;
  }

  get spec(): ErrorSpec {
    return ERRORS[this.code];
  }
}
