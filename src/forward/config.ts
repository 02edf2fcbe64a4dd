import { z } from 'zod';
import { extraHeaders, tlsConfig, webAddress, webhookSecret } from '../runtime/http-schema.ts';
import { duration, secret } from '../runtime/schema.ts';

/** What the outbox and the forwarder need to know of a sink. */
export type SinkPolicy = {
  readonly name: string;
  /** Events of the sink that the outbox holds before newer ones take the places of older ones of their tables. */
  readonly limit: number;
  /** Tries that an event gets while the sink takes others. */
  readonly attempts: number;
};

export type WebhookConfig = SinkPolicy & {
  readonly kind: 'webhook';
  readonly url: string;
  readonly secret: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly tls: { readonly caFile?: string | undefined };
};

export type KafkaConfig = SinkPolicy & {
  readonly kind: 'kafka';
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly clientId: string;
  readonly sasl?:
    | { readonly mechanism: SaslMechanism; readonly username: string; readonly password: string }
    | undefined;
  /** Undefined: plain text. */
  readonly tls?:
    | {
        readonly caFile?: string | undefined;
        readonly certFile?: string | undefined;
        readonly keyFile?: string | undefined;
      }
    | undefined;
  readonly timeoutMs: number;
};

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';

export type SinkConfig = WebhookConfig | KafkaConfig;

const shared = (kind: string) => ({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, {
      error: 'expected 1 to 63 letters, digits, - and _, starting with a letter or digit',
    })
    .describe('Names the sink in the ledger, logs and commands; events of a renamed one stay with the old name.')
    .default(kind),
  coalesce: z
    .boolean()
    .describe(
      'Whether an event that has not left yet gives way to a newer one of its table: receivers then get the last state of a table, perhaps not each one.',
    )
    .default(true),
  limit: z
    .int()
    .min(1)
    .describe(
      'Without `coalesce`: so many events of the sink wait in the ledger at most, refused ones too; from there on it coalesces, so the last event of a table is never lost.',
    )
    .default(100_000),
  attempts: z
    .int()
    .min(1)
    .describe('Tries that an event gets while the sink takes other events; an outage of the sink counts as none.')
    .default(10),
});

const webhookConfig = z
  .strictObject({
    kind: z.literal('webhook').describe('HTTP requests, signed as Standard Webhooks has it.'),
    ...shared('webhook'),
    url: webAddress().describe('Where each event is POSTed to.'),
    secret: webhookSecret().describe(
      'What requests are signed with: whsec_ and base64, or a text that is taken as it is.',
    ),
    headers: extraHeaders(['webhook-id', 'webhook-timestamp', 'webhook-signature']).describe(
      'Extra headers of every request, for a gateway before the receiver.',
    ),
    timeout: duration().prefault('10s').describe('For one request, from connecting to the end of the answer.'),
    concurrency: z
      .int()
      .min(1)
      .max(64)
      .describe('Requests under way at once; events of one table never overtake each other.')
      .default(4),
    tls: tlsConfig().prefault({}).describe('For https addresses.'),
  })
  .transform(({ coalesce, limit, timeout, tls, ...sink }): WebhookConfig => ({
    ...sink,
    limit: coalesce ? 0 : limit,
    timeoutMs: timeout,
    tls: { caFile: tls.ca_file },
  }));

const file = () => z.string().min(1).optional();

const kafkaConfig = z
  .strictObject({
    kind: z.literal('kafka').describe('Records of a Kafka topic, keyed by table.'),
    ...shared('kafka'),
    brokers: z
      .array(
        z
          .string()
          .regex(/^[^\s:/]+:[0-9]{1,5}$|^\[[0-9a-fA-F:]+\]:[0-9]{1,5}$/, {
            error: 'expected a host and a port, such as kafka-1:9092',
          })
          .refine((text) => !(Number(text.slice(text.lastIndexOf(':') + 1)) > 65_535), {
            error: 'a port is at most 65535',
          }),
      )
      .min(1)
      .describe('Brokers to ask for the others.'),
    topic: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,249}$/, { error: 'expected 1 to 249 letters, digits, ., _ and -' })
      .describe('The topic; it must exist, unless the brokers create topics by themselves.'),
    client_id: z
      .string()
      .regex(/^[A-Za-z0-9._-]+$/, { error: 'expected letters, digits, ., _ and -' })
      .describe('How the agent is called in logs and quotas of the brokers.')
      .default('polaris-push'),
    sasl: z
      .strictObject({
        mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).describe('Which way of SASL.'),
        username: z.string().min(1).describe('Its user.'),
        password: secret().describe('Its password.'),
      })
      .optional()
      .describe('How the agent proves who it is; absent: not at all.'),
    tls: z
      .strictObject({
        ca_file: file().describe('PEM file of certificate authorities to trust besides those of the system.'),
        cert_file: file().describe("PEM file of the agent's own certificate, for brokers that want one."),
        key_file: file().describe('PEM file of its key.'),
      })
      .refine(({ cert_file: cert, key_file: key }) => (cert === undefined) === (key === undefined), {
        error: 'cert_file and key_file go together',
      })
      .optional()
      .describe('Present (it may be empty, {}): connections are encrypted; absent: they are not.'),
    timeout: duration().prefault('10s').describe('For one request to a broker.'),
  })
  .transform(({ coalesce, limit, timeout, tls, sasl, client_id: clientId, ...sink }): KafkaConfig => ({
    ...sink,
    clientId,
    limit: coalesce ? 0 : limit,
    timeoutMs: timeout,
    sasl: sasl && { ...sasl, mechanism: sasl.mechanism.toUpperCase() as SaslMechanism },
    tls: tls && { caFile: tls.ca_file, certFile: tls.cert_file, keyFile: tls.key_file },
  }));

/** The section `forward`: where events of admitted notifications go. */
export const forwardConfig = z
  .array(z.discriminatedUnion('kind', [webhookConfig, kafkaConfig]))
  .superRefine((sinks, context) => {
    for (const [index, { name }] of sinks.entries())
      if (sinks.findIndex((sink) => sink.name === name) !== index)
        context.addIssue({
          code: 'custom',
          path: [index, 'name'],
          message: `another sink is called ${name}, too; give each a name of its own`,
        });
  });
