import type { Context, SQSBatchResponse } from 'aws-lambda';
import { showTable, tableOf } from '../../src/core/table.ts';
import { PushError } from '../../src/errors/errors.ts';
import { reconcileStateless } from '../../src/pipeline/stateless-reconcile.ts';
import type { TimeLimit } from '../../src/pipeline/stateless.ts';
import { lambdaEnvironment, openLambdaAgent, type LambdaAgent, type LambdaEnvironment } from './lambda-agent.ts';
import { deliverMessages, statelessParts, type Delivered, type Failure } from './lambda-delivery.ts';
import { messageOf, messageOfEvent, type Message, type QueueRecord, type Reading } from './lambda-events.ts';

/** What the handlers look at of an invocation's context. */
export type Invocation = Pick<Context, 'getRemainingTimeInMillis' | 'invokedFunctionArn'>;

export type LambdaHandlers = AsyncDisposable & {
  /** Takes whatever the other three take. */
  readonly handler: (event: unknown, context: Invocation) => Promise<SQSBatchResponse | ReconcileSummary | undefined>;
  /** For an event source mapping with `ReportBatchItemFailures`: messages that failed come again, the rest is deleted. */
  readonly sqsHandler: (event: unknown, context: Invocation) => Promise<SQSBatchResponse>;
  /** For a rule whose target is the function itself; throws `LAMBDA_NOT_DELIVERED`, so that Lambda tries again. */
  readonly eventBridgeHandler: (event: unknown, context: Invocation) => Promise<undefined>;
  /** For a schedule; throws `LAMBDA_NOT_DELIVERED` when it found something that it couldn't mend, or wasn't ready in time. */
  readonly reconcileHandler: (event: unknown, context: Invocation) => Promise<ReconcileSummary>;
};

export type ReconcileSummary = {
  /** Listed in the source. */
  readonly tables: number;
  readonly targets: readonly { readonly target: string; readonly differed: number; readonly unlisted: number }[];
};

/** Before the function's end, so that what is under way is answered; and so that the function itself can still answer. */
const STOP_BEFORE_MS = 3_000;
const KILL_BEFORE_MS = 1_000;
/** Names in one log line, at most. */
const NAMES_SHOWN = 20;

/** The handlers of one function's environment. Configuration and clients are made at the first invocation, and kept. */
export function lambdaHandlers(environment: LambdaEnvironment = lambdaEnvironment()): LambdaHandlers {
  let opening: Promise<LambdaAgent> | undefined;
  const agent = async (): Promise<LambdaAgent> => {
    opening ??= openLambdaAgent(environment);
    try {
      return await opening;
    } catch (error) {
      // A configuration that reads a secret may be right at the next invocation.
      opening = undefined;
      throw error;
    }
  };
  const sqsHandler = async (event: unknown, context: Invocation) =>
    handleRecords(await agent(), recordsOf(event), context);
  const eventBridgeHandler = async (event: unknown, context: Invocation) => handleEvent(await agent(), event, context);
  const reconcileHandler = async (_: unknown, context: Invocation) => handleReconcile(await agent(), context);
  const handler = (event: unknown, context: Invocation) => {
    if (isReconcile(event)) return reconcileHandler(event, context);
    return isEvent(event) ? eventBridgeHandler(event, context) : sqsHandler(event, context);
  };
  return {
    handler,
    sqsHandler,
    eventBridgeHandler,
    reconcileHandler,
    [Symbol.asyncDispose]: async () => (await opening?.catch(() => undefined))?.[Symbol.asyncDispose](),
  };
}

export const { handler, sqsHandler, eventBridgeHandler, reconcileHandler } = lambdaHandlers();

async function handleRecords(
  agent: LambdaAgent,
  records: readonly QueueRecord[],
  context: Invocation,
): Promise<SQSBatchResponse> {
  const reading = readingOf(agent, context);
  const messages = records.map((record) => messageOf(record, reading));
  const { failed } = await deliver(agent, messages, context);
  const first = records.findIndex(({ messageId }) => failed.has(messageId));
  // A FIFO queue keeps its order only if everything after the first failure comes again.
  const isFifo = records.some(({ eventSourceARN }) => eventSourceARN?.endsWith('.fifo'));
  const again = records.filter(({ messageId }, i) => failed.has(messageId) || (isFifo && first !== -1 && i > first));
  return { batchItemFailures: again.map(({ messageId }) => ({ itemIdentifier: messageId })) };
}

async function handleEvent(agent: LambdaAgent, event: unknown, context: Invocation): Promise<undefined> {
  const message = messageOfEvent(event, readingOf(agent, context));
  const { failed, failures } = await deliver(agent, [message], context);
  if (failed.size > 0) throw new PushError('LAMBDA_NOT_DELIVERED', message.unreadable ?? reasonsOf(failures));
}

async function handleReconcile(agent: LambdaAgent, context: Invocation): Promise<ReconcileSummary> {
  using time = timeOf(context);
  const { connector, targets, unlisted, log, clock } = agent;
  const before = clock.monotonicMs();
  const parts = targets.map((_, index) => statelessParts(agent, index));
  const result = await reconcileStateless({ connector, targets: parts, unlisted }, time);
  const failures: Failure[] = [];
  for (const { target, fates, unlisted: extra } of result.targets) {
    for (const [key, fate] of fates) if (fate.kind !== 'settled') failures.push({ target, table: tableOf(key), fate });
    if (extra.length === 0 || unlisted === 'drop') continue;
    log.warn('unlisted-tables', {
      target,
      tables: extra.length,
      names: extra.slice(0, NAMES_SHOWN).map(showTable),
      fix: 'Set POLARIS_PUSH_UNLISTED to drop if the catalog in Polaris is fed by this source alone; or run `polaris-push reconcile`.',
    });
  }
  report(agent, failures);
  const summary = {
    tables: result.tables,
    targets: result.targets.map(({ target, fates, unlisted: extra }) => ({
      target,
      differed: fates.size,
      unlisted: extra.length,
    })),
  };
  log.info('reconciled', {
    ...summary,
    complete: result.complete,
    failed: failures.length,
    ms: Math.round(clock.monotonicMs() - before),
  });
  if (!result.complete)
    throw new PushError('LAMBDA_NOT_DELIVERED', `The time was up after ${result.tables} tables.`, {
      fix: 'Give the function more time (15 minutes at most), or reconcile by `polaris-push reconcile` in a container.',
    });
  if (failures.length > 0) throw new PushError('LAMBDA_NOT_DELIVERED', reasonsOf(failures));
  return summary;
}

async function deliver(agent: LambdaAgent, messages: readonly Message[], context: Invocation): Promise<Delivered> {
  using time = timeOf(context);
  const { log, clock } = agent;
  const before = clock.monotonicMs();
  for (const { id, unreadable, ignored } of messages) {
    if (unreadable !== undefined) log.warn('message-unreadable', { message: id, detail: unreadable });
    for (const { kind, detail } of ignored) log.debug('event-ignored', { kind, detail });
  }
  const delivered = await deliverMessages(agent, messages, time);
  report(agent, delivered.failures);
  const tables = messages.reduce((sum, message) => sum + message.tables.length, 0);
  const counts = { messages: messages.length, hints: tables, failed: delivered.failed.size };
  log.info('delivered', { ...counts, ms: Math.round(clock.monotonicMs() - before) });
  return delivered;
}

/** One line for each table that was not delivered, as nobody else will tell. */
function report({ log }: LambdaAgent, failures: readonly Failure[]): void {
  for (const { target, table, fate } of failures) {
    const fields = { target, table: showTable(table), detail: fate.detail };
    if (fate.kind === 'parked') log.error('table-parked', { ...fields, code: fate.code });
    else log.warn('table-unfinished', fields);
  }
}

const reasonsOf = (failures: readonly Failure[]): string =>
  failures
    .slice(0, 3)
    .map(({ table, fate }) => `${showTable(table)}: ${fate.detail}`)
    .join(' ') + (failures.length > 3 ? ` And ${failures.length - 3} more.` : '');

/** Leaves the last seconds for answers, and a short function half of its time. */
function timeOf({ getRemainingTimeInMillis }: Invocation): TimeLimit & Disposable {
  const leftMs = getRemainingTimeInMillis();
  const stop = new AbortController();
  const kill = new AbortController();
  const timers = [
    setTimeout(() => stop.abort(), Math.max(leftMs / 2, leftMs - STOP_BEFORE_MS)),
    setTimeout(() => kill.abort(), Math.max(leftMs * 0.75, leftMs - KILL_BEFORE_MS)),
  ];
  return {
    stop: stop.signal,
    kill: kill.signal,
    [Symbol.dispose]: () => {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

/** Events are taken as being about the catalog of the function's own account, unless the configuration names another. */
function readingOf({ glue }: LambdaAgent, { invokedFunctionArn }: Invocation): Reading {
  const [, region, account] = /^arn:[^:]+:lambda:([^:]+):([0-9]{12}):/.exec(invokedFunctionArn) ?? [];
  const owner = /^[0-9]{12}/.exec(glue.catalogId ?? '')?.[0] ?? /::([0-9]{12}):/.exec(glue.role?.arn ?? '')?.[1];
  const accounts = glue.accounts ?? [owner ?? account].filter((id) => id !== undefined);
  return {
    glue,
    origin: {
      region: glue.region ?? region,
      accounts: accounts.length === 0 ? undefined : accounts,
      catalogId: glue.catalogId,
    },
  };
}

const fieldsOf = (event: unknown): Readonly<Record<string, unknown>> =>
  typeof event === 'object' && event !== null ? (event as Readonly<Record<string, unknown>>) : {};

/** A schedule of EventBridge sends this by itself; a scheduler sends what it is told to. */
const isReconcile = (event: unknown): boolean =>
  fieldsOf(event)['action'] === 'reconcile' || fieldsOf(event)['detail-type'] === 'Scheduled Event';

const isEvent = (event: unknown): boolean => typeof fieldsOf(event)['detail-type'] === 'string';

function recordsOf(event: unknown): readonly QueueRecord[] {
  const records = fieldsOf(event)['Records'];
  const isOfQueue = (record: unknown) =>
    fieldsOf(record)['eventSource'] === 'aws:sqs' &&
    typeof fieldsOf(record)['messageId'] === 'string' &&
    typeof fieldsOf(record)['body'] === 'string';
  if (Array.isArray(records) && records.every(isOfQueue)) return records as readonly QueueRecord[];
  const keys = Object.keys(fieldsOf(event)).slice(0, NAMES_SHOWN).join(', ');
  throw new PushError('LAMBDA_EVENT_UNKNOWN', keys === '' ? 'It is empty.' : `It has the members: ${keys}.`);
}
