import type { Database } from '@aws-sdk/client-glue';
import type { ConnectorDeps } from '../../src/connector/connector.ts';
import type { Finding } from '../../src/core/finding.ts';
import { PushError } from '../../src/errors/errors.ts';
import { openAws, type Aws, type Page } from './aws.ts';
import { watchesDatabase, type GlueConfig } from './config.ts';
import { awsFailure, isNotFound } from './failure.ts';
import type { Queue } from './queue.ts';
import { maxReceives, queueProblems } from './settings.ts';
import { statementFor, type Action } from './statement.ts';
import { whyNotDatabase } from './state.ts';

/** Looks at everything that the connector needs, changes nothing, receives no message, and reports instead of throwing. */
export async function* checkSource(
  config: GlueConfig,
  deps: ConnectorDeps,
  signal: AbortSignal,
): AsyncGenerator<Finding, void, undefined> {
  let aws: Aws | undefined;
  try {
    // It is a person who waits: what fails four times in a row is reported.
    aws = await openAws({ ...config, maxAttempts: Math.min(config.maxAttempts, 4) }, deps);
    await aws.credentials(signal);
    const role = config.role === undefined ? '' : `, as ${config.role.arn}`;
    yield ok('credentials', `found, for region ${aws.region}${role}`);
    yield* queue(aws, signal);
    yield* catalog(aws, config, signal);
    yield* clock(aws, config);
  } catch (error) {
    if (signal.aborted) return;
    yield failed(error, 'source', aws);
  } finally {
    aws?.close();
  }
}

const ok = (subject: string, detail: string): Finding => ({ level: 'ok', subject, detail });

function failed(error: unknown, subject: string, aws: Aws | undefined): Finding {
  const place = aws?.place ?? { region: '', account: undefined, queueUrl: undefined };
  const { code, message, fix } = awsFailure(error, { doing: 'checking the source', action: 'glue:GetTable', ...place });
  return { level: 'error', subject, detail: message, fix, code };
}

const denied = (action: Action, aws: Aws): Finding => ({
  level: 'error',
  subject: action,
  detail: 'Not allowed.',
  fix: `Add to the policy of the agent's role: ${statementFor(action, aws.place)}`,
  code: action.startsWith('sqs:') ? 'SQS_ACCESS_DENIED' : 'GLUE_ACCESS_DENIED',
});

async function* queue(aws: Aws, signal: AbortSignal): AsyncGenerator<Finding, void, undefined> {
  const { queue: sqs, place, region } = aws;
  if (sqs === undefined)
    return yield {
      level: 'warning',
      subject: 'queue',
      detail: '`queue_url` is not set: jobs such as backfill and diff work, `run` does not.',
      fix: 'Set `queue_url` to the queue that the EventBridge rule sends to.',
      code: 'SQS_QUEUE_NOT_SET',
    };
  const arn = /"(arn:[^"]*:sqs:[^"]*)"/.exec(statementFor('sqs:ReceiveMessage', place))?.[1] ?? '';
  const queueRegion = arn.split(':')[3];
  if (queueRegion !== undefined && queueRegion !== region)
    yield {
      level: 'warning',
      subject: 'region',
      detail: `The catalog is looked for in ${region}, the queue is in ${queueRegion}. Events of Glue come into the bus of its own region, so this is right only if a rule forwards them.`,
      fix: `Set \`region: ${queueRegion}\`, or use a queue in ${region}.`,
      code: 'GLUE_REGION_MISMATCH',
    };
  let attributes: Readonly<Record<string, string>>;
  try {
    attributes = await sqs.attributes(signal);
  } catch (error) {
    signal.throwIfAborted();
    yield failed(error, 'sqs:GetQueueAttributes', aws);
    // Without the queue there is nothing to try on it.
    if (!(error instanceof PushError && error.code === 'SQS_ACCESS_DENIED')) return;
    attributes = {};
  }
  if (Object.keys(attributes).length > 0) {
    const { ApproximateNumberOfMessages: waiting = '?', ApproximateNumberOfMessagesNotVisible: hidden = '?' } =
      attributes;
    const kind = sqs.fifo ? 'FIFO' : 'standard';
    yield ok('queue', `${sqs.url}: ${kind}, about ${waiting} messages waiting, ${hidden} with consumers`);
    const limit = maxReceives(attributes);
    if (limit !== undefined) yield ok('redrive policy', `dead-letter queue after ${limit} receives`);
    yield* queueProblems(sqs, attributes);
  }
  yield* queuePermissions(sqs, aws, signal);
}

/** Receiving a message counts against its receives, so it is not tried; a request that SQS must refuse shows as much. */
async function* queuePermissions(sqs: Queue, aws: Aws, signal: AbortSignal): AsyncGenerator<Finding, void, undefined> {
  for (const action of ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:ChangeMessageVisibility'] as const) {
    try {
      const answer = await sqs.probe(action, signal);
      if (answer === 'denied') yield denied(action, aws);
      else if (action === 'sqs:ReceiveMessage')
        yield ok(action, 'not refused; no message was received, as each receive counts');
      else yield ok(action, 'allowed');
    } catch (error) {
      signal.throwIfAborted();
      yield failed(error, action, aws);
    }
  }
}

async function* catalog(aws: Aws, config: GlueConfig, signal: AbortSignal): AsyncGenerator<Finding, void, undefined> {
  const found: Database[] = [];
  try {
    let after: string | undefined;
    do {
      const page: Page<Database> = await aws.listings.databases(after, signal);
      found.push(...page.items);
      after = page.next;
    } while (after !== undefined);
  } catch (error) {
    signal.throwIfAborted();
    return yield failed(error, 'glue:GetDatabases', aws);
  }
  yield ok('glue:GetDatabases', `${found.length} databases in catalog ${config.catalogId ?? 'of the account'}`);
  const wanted = found.filter(({ Name = '' }) => watchesDatabase(config, Name));
  yield* databases(found, wanted, config);
  const own = wanted.find((database) => whyNotDatabase(database) === undefined);
  yield* tablePermissions(own?.Name ?? 'polaris-push-check', aws, signal);
}

function* databases(
  found: readonly Database[],
  wanted: readonly Database[],
  config: GlueConfig,
): Generator<Finding, void, undefined> {
  const names = found.map(({ Name }) => Name ?? '').slice(0, 10);
  if (config.databases !== undefined && wanted.length === 0)
    yield {
      level: 'error',
      subject: 'databases',
      detail: `${config.databases.join(', ')} matches none of the ${found.length} databases of the catalog.`,
      fix: `Set \`databases\` to some of: ${names.join(', ') || 'none exist'}${found.length > names.length ? ', …' : ''}.`,
      code: 'GLUE_DATABASES_UNKNOWN',
    };
  else if (config.databases !== undefined) yield ok('databases', `${wanted.length} of ${found.length} match`);
  for (const database of wanted) {
    const reason = whyNotDatabase(database);
    if (reason === undefined) continue;
    const detail = `${database.Name ?? '?'} is ${reason.replace(/^in /, '')}. Its tables are not mirrored.`;
    const fix = `Leave it out with \`databases\`, or follow it with an agent of its own.`;
    yield { level: 'warning', subject: 'databases', detail, fix };
  }
}

/** Tries each permission on what there is; that something doesn't exist is an answer, too. */
async function* tablePermissions(
  database: string,
  aws: Aws,
  signal: AbortSignal,
): AsyncGenerator<Finding, void, undefined> {
  let table = 'polaris-push-check';
  const attempts: readonly (readonly [Action, () => Promise<unknown>])[] = [
    ['glue:GetDatabase', () => aws.events.database(database, signal)],
    [
      'glue:GetTables',
      async () => {
        const { items } = await aws.listings.tables(database, undefined, signal);
        table = items[0]?.Name ?? table;
      },
    ],
    ['glue:GetTable', () => aws.events.table(database, table, signal)],
  ];
  for (const [action, attempt] of attempts) {
    try {
      await attempt();
      yield ok(action, `allowed on ${database}`);
    } catch (error) {
      signal.throwIfAborted();
      if (isNotFound(error)) yield ok(action, 'allowed');
      else {
        const { code, message, fix } = aws.failure(error, `trying ${action}`, action);
        yield { level: 'error', subject: action, detail: message, fix, code };
      }
    }
  }
}

function* clock(aws: Aws, config: GlueConfig): Generator<Finding, void, undefined> {
  const { clockSkewMs } = aws.meter.figures();
  if (clockSkewMs === undefined) return;
  const detail = `AWS's clock is ${Math.abs(clockSkewMs)} ms ${clockSkewMs < 0 ? 'behind' : 'ahead of'} this host's, to a second`;
  if (Math.abs(clockSkewMs) <= config.maxClockSkewMs) yield ok('clock', detail);
  else
    yield {
      level: 'warning',
      subject: 'clock',
      detail: `${detail}. AWS refuses requests that are 5 minutes off.`,
      fix: 'Let this host synchronize its clock (NTP).',
      code: 'GLUE_CLOCK_SKEWED',
    };
}
