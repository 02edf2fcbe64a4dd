import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigDocument, showPath, type Problem } from '../../src/config/document.ts';
import { problemsOf, wording } from '../../src/config/problems.ts';
import { settle } from '../../src/config/secret-files.ts';
import { substitute } from '../../src/config/variables.ts';
import { PushError } from '../../src/errors/errors.ts';
import { targetConfig } from '../../src/polaris/config.ts';
import { webhookSecret } from '../../src/runtime/http-schema.ts';
import { duration } from '../../src/runtime/schema.ts';
import type { Secrets } from '../../src/runtime/secrets.ts';

const LISTEN = /^(.+):([0-9]{1,5})$/;

const webhook = z
  .strictObject({
    listen: z
      .string()
      .regex(LISTEN, { error: 'expected an address and a port, such as 127.0.0.1:9080' })
      .refine((text) => Number(LISTEN.exec(text)?.[2] ?? 0) <= 65_535, { error: 'a port is at most 65535' })
      .describe('Where the agent sends events to: http://<listen>/events, without TLS.'),
    secret: webhookSecret().describe("The secret of the agent's sink."),
  })
  .transform(({ listen, secret: shared }) => {
    const [, host = '', port] = LISTEN.exec(listen) ?? [];
    return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), secret: shared };
  });

const kafka = z.strictObject({
  brokers: z.array(z.string().min(1)).min(1).describe('Brokers to ask for the others, each a host and a port.'),
  topic: z.string().min(1).describe("The topic of the agent's sink."),
  group: z.string().min(1).default('maintenance-service').describe('The consumer group that remembers what is done.'),
});

const serviceConfig = z
  .strictObject({
    polaris: targetConfig.describe("The target as the agent's configuration has it, its name included."),
    webhook: webhook.optional().describe('Take events by webhook.'),
    kafka: kafka.optional().describe('Take events from a Kafka topic.'),
    spark_catalog: z
      .string()
      .min(1)
      .describe("The source's name in Spark: compactions are commits, and an EXTERNAL catalog takes none."),
    policy_max_age: duration().prefault('60s').describe('How late a changed policy is noticed, at most.'),
  })
  .superRefine(({ webhook: byWebhook, kafka: fromKafka }, context) => {
    if ((byWebhook === undefined) === (fromKafka === undefined))
      context.addIssue({ code: 'custom', path: [], message: 'expected one of webhook and kafka' });
  })
  .transform(({ spark_catalog: sparkCatalog, policy_max_age: policyMaxAgeMs, ...config }) => ({
    ...config,
    sparkCatalog,
    policyMaxAgeMs,
  }));

export type ServiceConfig = z.output<typeof serviceConfig>;

/**
 * Reads the service's configuration, which is written as the agent's own: `${NAME}` in any value, `*_file` for any secret.
 * Throws `PushError`: `CONFIG_UNREADABLE`, or `CONFIG_INVALID` with every problem on a line of its own.
 */
export function readServiceConfig(
  file: string,
  { env, secrets }: { readonly env: NodeJS.ProcessEnv; readonly secrets: Secrets },
): ServiceConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new PushError('CONFIG_UNREADABLE', `${file}: ${(error as NodeJS.ErrnoException).code}.`, { cause: error });
  }
  const document = new ConfigDocument(text);
  const written = document.problems.length > 0 ? document : document.read();
  if (written.problems.length > 0 || written instanceof ConfigDocument) throw invalid(file, written.problems, document);
  const { content, substituted, problems: variables } = substitute(written.content, env);
  const settled = settle(content, serviceConfig, { substituted, secrets });
  const parsed = serviceConfig.safeParse(settled.content, { error: wording });
  const subject = { content: settled.content, schema: serviceConfig, substituted };
  const problems = [...variables, ...settled.problems, ...problemsOf(parsed.error?.issues ?? [], subject)];
  if (problems.length > 0 || !parsed.success) throw invalid(file, problems, document);
  return parsed.data;
}

function invalid(file: string, problems: readonly Problem[], document: ConfigDocument): PushError {
  const lines = problems.map(({ path, message, line }) => {
    const where = `${file}:${line ?? document.lineOf(path) ?? 1}`;
    return path.length === 0 ? `${where}: ${message}` : `${where}: ${showPath(path)}: ${message}`;
  });
  return new PushError('CONFIG_INVALID', `\n${lines.join('\n')}`);
}
