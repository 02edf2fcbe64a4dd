import { z } from 'zod';
import { duration, size } from '../../src/runtime/schema.ts';

export type GlueConfig = {
  readonly kind: 'glue';
  /** Undefined: the region in the queue's URL, else what the AWS SDK finds. */
  readonly region: string | undefined;
  readonly queueUrl: string | undefined;
  readonly glueEndpoint: string | undefined;
  readonly sqsEndpoint: string | undefined;
  readonly stsEndpoint: string | undefined;
  readonly catalogId: string | undefined;
  readonly role: RoleConfig | undefined;
  /** Undefined: all. Lower case, as Glue stores them. */
  readonly databases: readonly string[] | undefined;
  /** Accounts whose events are about this catalog. Undefined: the catalog's own. */
  readonly accounts: readonly string[] | undefined;
  readonly body: 'event' | 'detail';
  readonly pollers: number;
  readonly waitTimeMs: number;
  readonly visibilityTimeoutMs: number;
  readonly lingerMs: number;
  /** Messages waiting here or under way, at most. */
  readonly buffer: number;
  readonly maxMessageBytes: number;
  readonly callsPerSecond: { readonly events: number; readonly listings: number };
  readonly concurrency: { readonly events: number; readonly listings: number };
  /** That many tables of one database in one read are read by GetTables instead of GetTable. */
  readonly burst: number;
  readonly confirmAfterMs: readonly number[];
  readonly maxAttempts: number;
  readonly requestTimeoutMs: number;
  readonly maxClockSkewMs: number;
};

export type RoleConfig = {
  readonly arn: string;
  readonly externalId: string | undefined;
  readonly sessionName: string;
  readonly appliesTo: 'all' | 'glue';
};

const endpoint = () =>
  z.string().regex(/^https?:\/\/[^\s/?#@]+\/?$/, { error: 'expected a URL such as https://vpce-0123.example.com' });

const between = (min: number, max: number) => z.int().min(min).max(max);

/** A duration that SQS takes in whole seconds. */
const seconds = (min: number, max: number) =>
  duration().refine((ms) => ms % 1000 === 0 && ms >= min * 1000 && ms <= max * 1000, {
    error: `expected whole seconds, from ${min}s to ${max}s`,
  });

const roleConfig = z.strictObject({
  arn: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::[0-9]{12}:role\/\S+$/, {
      error: 'expected the ARN of a role, such as arn:aws:iam::123456789012:role/polaris-push',
    })
    .describe('The role to assume, such as arn:aws:iam::123456789012:role/polaris-push.'),
  external_id: z
    .string()
    .min(2)
    .describe("The external id that the role's trust policy asks for, if it asks for one.")
    .optional(),
  session_name: z
    .string()
    .regex(/^[\w+=,.@-]{2,64}$/, { error: 'expected 2 to 64 letters, digits or any of _+=,.@-' })
    .describe("The session's name, as CloudTrail shows it.")
    .default('polaris-push'),
  applies_to: z
    .enum(['all', 'glue'])
    .describe(
      'What the role is used for: `glue` leaves the queue to the default credentials, e.g. in an account of its own.',
    )
    .default('all'),
});

const perUse = (defaults: { events: number; listings: number }, max: number) =>
  z
    .strictObject({
      events: between(1, max).describe('For tables that events told of.').default(defaults.events),
      listings: between(1, max).describe('For lists of all tables.').default(defaults.listings),
    })
    .prefault({});

/** The section `source` of the configuration, for `kind: glue`. */
export const glueConfig = z
  .strictObject({
    kind: z.literal('glue').describe('An AWS Glue Data Catalog, whose events EventBridge puts into an SQS queue.'),
    region: z
      .string()
      .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]+$/, { error: 'expected a region such as eu-west-1' })
      .describe("The catalog's region. Absent: that of the queue's URL, else the AWS SDK's (AWS_REGION, profile).")
      .optional(),
    queue_url: z
      .string()
      .regex(/^https?:\/\/[^\s/?#@]+\/\S+$/, {
        error: 'expected a URL such as https://sqs.eu-west-1.amazonaws.com/123456789012/polaris-push',
      })
      .describe(
        'The queue that the EventBridge rule sends to, standard or FIFO. Only `run` needs it; jobs such as `backfill` and `diff` do without.',
      )
      .optional(),
    endpoint: endpoint()
      .describe('Where all AWS services are asked instead of at their public endpoints (VPC endpoint, test server).')
      .optional(),
    glue_endpoint: endpoint().describe('The same for Glue alone; wins over `endpoint`.').optional(),
    sqs_endpoint: endpoint().describe('The same for SQS alone; wins over `endpoint`.').optional(),
    sts_endpoint: endpoint()
      .describe('The same for STS alone, which is asked for `role`; wins over `endpoint`.')
      .optional(),
    catalog_id: z
      .string()
      .regex(/^[0-9]{12}(:\S+)?$/, { error: 'expected an account of 12 digits, or 123456789012:catalog/name' })
      .describe("The catalog: the owner's account, or a nested catalog as 123456789012:name. Absent: the caller's own.")
      .optional(),
    role: roleConfig
      .describe("A role to assume with the default credentials, e.g. in the catalog owner's account.")
      .optional(),
    databases: z
      .array(z.string().min(1))
      .min(1)
      .describe(
        'Names of databases to look at, `*` for any characters. What lies in others is neither listed nor read. Absent: all; tables.include narrows further, but lists everything first.',
      )
      .optional(),
    accounts: z
      .array(z.string().regex(/^[0-9]{12}$/, { error: 'expected an account of 12 digits, in quotes' }))
      .min(1)
      .describe("Accounts whose events are taken as being about this catalog. Absent: the catalog's own account.")
      .optional(),
    body: z
      .enum(['event', 'detail'])
      .describe(
        "What a message's body is: the event as EventBridge sends it, also wrapped by SNS or a pipe; or its `detail` alone, where the rule has InputPath $.detail.",
      )
      .default('event'),
    pollers: between(1, 64)
      .describe(
        'How many receives run at the same time while there are many messages; one waits at the queue otherwise.',
      )
      .default(4),
    wait_time: seconds(1, 20).describe('How long a receive waits for messages (long polling).').prefault('20s'),
    visibility_timeout: seconds(2, 43_200)
      .describe('How long a received message is hidden from others. Extended at half time for as long as it is held.')
      .prefault('2m'),
    linger: duration()
      .describe('How long to gather messages after the first, so that a burst on one table is read once.')
      .prefault('250ms'),
    buffer: between(10, 50_000).describe('How many messages to hold at most.').default(1_000),
    max_message_size: size().describe('A larger message is left to the redrive policy.').prefault('1MiB'),
    calls_per_second: perUse({ events: 40, listings: 10 }, 10_000).describe(
      'How many calls of Glue to make per second, at most. Its quotas are those of the account and region, so others share them.',
    ),
    concurrency: perUse({ events: 8, listings: 4 }, 256).describe(
      'How many calls of Glue to make at the same time, at most.',
    ),
    burst: between(2, 10_000)
      .describe('This many changed tables of one database are read by pages of all its tables, if that is fewer calls.')
      .default(20),
    confirm_after: z
      .array(duration())
      .max(10)
      .describe(
        'A table that an event has just told of, and that reads as missing or unchanged, is read again after these delays before that counts.',
      )
      .prefault(['100ms', '400ms', '1500ms']),
    max_attempts: between(1, 50)
      .describe('How often a call of AWS is tried; adaptive, so that it slows down when throttled.')
      .default(8),
    request_timeout: duration().describe('How long a call of AWS may take.').prefault('10s'),
    max_clock_skew: duration().describe("A clock that differs by more from AWS's is warned of.").prefault('5s'),
  })
  .transform((config): GlueConfig => ({
    kind: config.kind,
    region: config.region,
    queueUrl: config.queue_url,
    glueEndpoint: config.glue_endpoint ?? config.endpoint,
    sqsEndpoint: config.sqs_endpoint ?? config.endpoint,
    stsEndpoint: config.sts_endpoint ?? config.endpoint,
    catalogId: config.catalog_id,
    role: config.role === undefined ? undefined : roleOf(config.role),
    // Glue stores names of databases in lower case, whatever case they were created with.
    databases: config.databases?.map((name) => name.toLowerCase()),
    accounts: config.accounts,
    body: config.body,
    pollers: config.pollers,
    waitTimeMs: config.wait_time,
    visibilityTimeoutMs: config.visibility_timeout,
    lingerMs: config.linger,
    buffer: config.buffer,
    maxMessageBytes: config.max_message_size,
    callsPerSecond: config.calls_per_second,
    concurrency: config.concurrency,
    burst: config.burst,
    confirmAfterMs: config.confirm_after,
    maxAttempts: config.max_attempts,
    requestTimeoutMs: config.request_timeout,
    maxClockSkewMs: config.max_clock_skew,
  }));

const roleOf = ({ arn, external_id, session_name, applies_to }: z.output<typeof roleConfig>): RoleConfig => ({
  arn,
  externalId: external_id,
  sessionName: session_name,
  appliesTo: applies_to,
});

/** Whether a database is looked at, by its name as Glue has it. */
export function watchesDatabase({ databases }: GlueConfig, name: string): boolean {
  return databases === undefined || databases.some((pattern) => globOf(pattern).test(name));
}

const globs = new Map<string, RegExp>();

function globOf(pattern: string): RegExp {
  const known = globs.get(pattern);
  if (known !== undefined) return known;
  const source = pattern.split('*').map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`));
  const glob = new RegExp(`^${source.join('.*')}$`, 'su');
  globs.set(pattern, glob);
  return glob;
}
