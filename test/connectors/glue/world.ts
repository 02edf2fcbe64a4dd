import {
  ChangeMessageVisibilityCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { startFauxqs, type FauxqsServer } from 'fauxqs';
import { glueConfig, type GlueConfig } from '../../../connectors/glue/config.ts';
import { openGlue, type GlueConnector } from '../../../connectors/glue/connector.ts';
import type { Delivery } from '../../../src/connector/connector.ts';
import type { Change } from '../../../src/core/types.ts';
import { showTable } from '../../../src/core/table.ts';
import { systemClock, type Clock } from '../../../src/runtime/clock.ts';
import type { Log, LogFields } from '../../../src/runtime/log.ts';
import { toQueue } from '../../fixtures/glue-events.ts';
import { startGlueStub, type GlueStub, type GlueStubOptions } from '../../fixtures/glue-stub.ts';
import { GlueWriter } from '../../fixtures/glue-writer.ts';

export const REGION = 'eu-west-1';
export const SECRET = 'planted/secret+of-the-test';
export const SESSION_TOKEN = 'planted-session-token-of-the-test';

/** Found by the SDK's default chain, as those of a real process are. */
export function plantCredentials(): void {
  delete process.env['AWS_PROFILE'];
  process.env['AWS_ACCESS_KEY_ID'] = 'AKIDPOLARISPUSHTEST';
  process.env['AWS_SECRET_ACCESS_KEY'] = SECRET;
  process.env['AWS_SESSION_TOKEN'] = SESSION_TOKEN;
  // No other source of credentials may be asked: some wait for a network that isn't there.
  process.env['AWS_EC2_METADATA_DISABLED'] = 'true';
}

export type WorldOptions = {
  readonly queue?: Readonly<Record<string, string>> | undefined;
  readonly fifo?: boolean | undefined;
  readonly stub?: GlueStubOptions | undefined;
  /** Whether events go into the queue; they do unless told. */
  readonly events?: boolean | undefined;
};

/** A Glue Data Catalog, a queue that gets its events, and connectors on them. */
export type GlueWorld = AsyncDisposable & {
  readonly sqs: FauxqsServer;
  readonly stub: GlueStub;
  readonly writer: GlueWriter;
  readonly client: SQSClient;
  readonly queueUrl: string;
  readonly events: { readonly event: string; readonly fields: LogFields }[];
  readonly config: (changes?: Record<string, unknown>) => GlueConfig;
  /** Closed with the world. */
  readonly connector: (changes?: Record<string, unknown>, clock?: Clock) => Promise<GlueConnector>;
  readonly send: (...bodies: readonly (string | object)[]) => Promise<void>;
  /** How many messages the queue holds: visible, and hidden by a receive. */
  readonly counts: () => { readonly visible: number; readonly hidden: number };
  /** How often each message in the queue, hidden or not, was received. */
  readonly receives: () => number[];
  /** Makes a hidden message visible. */
  readonly show: (receiptHandle: string) => Promise<void>;
  readonly redriveTo: (queueArn: string, maxReceiveCount: number) => Promise<void>;
};

export const QUEUE = 'polaris-push';

export async function openGlueWorld(options: WorldOptions = {}): Promise<GlueWorld> {
  plantCredentials();
  const stack = new AsyncDisposableStack();
  const sqs = await startFauxqs({ port: 0, logger: false, defaultRegion: REGION });
  stack.defer(() => sqs.stop());
  const name = options.fifo === true ? `${QUEUE}.fifo` : QUEUE;
  const fifo = options.fifo === true ? { FifoQueue: 'true', ContentBasedDeduplication: 'true' } : undefined;
  const { queueUrl } = sqs.createQueue(name, { region: REGION, attributes: { ...fifo, ...options.queue } });
  const client = new SQSClient({ region: REGION, endpoint: sqs.address });
  stack.defer(() => client.destroy());
  const stub = stack.use(await startGlueStub({ region: REGION, ...options.stub }));
  if (options.events !== false) stub.events.deliverTo(toQueue(client, queueUrl));
  const events: { event: string; fields: LogFields }[] = [];
  const config = (changes: Record<string, unknown> = {}) =>
    glueConfig.parse({
      kind: 'glue',
      region: REGION,
      queue_url: queueUrl,
      glue_endpoint: stub.endpoint,
      sqs_endpoint: sqs.address,
      wait_time: '1s',
      visibility_timeout: '2s',
      linger: '0ms',
      max_attempts: 1,
      calls_per_second: { events: 10_000, listings: 10_000 },
      ...changes,
    });
  const connector = async (changes: Record<string, unknown> = {}, clock: Clock = systemClock) =>
    stack.use(await openGlue(config(changes), { clock, log: recording(events) }));
  const send = async (...bodies: readonly (string | object)[]) => {
    const texts = bodies.map((body) => (typeof body === 'string' ? body : JSON.stringify(body)));
    const group = options.fifo === true ? { MessageGroupId: 'glue' } : {};
    if (texts.length === 1)
      await client.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: texts[0] ?? '', ...group }));
    for (let start = 0; texts.length > 1 && start < texts.length; start += 10) {
      const Entries = texts.slice(start, start + 10).map((body, i) => ({ Id: String(i), MessageBody: body, ...group }));
      await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
    }
  };
  const inspect = () => sqs.inspectQueue(name)?.messages ?? { ready: [], delayed: [], inflight: [] };
  return {
    sqs,
    stub,
    writer: new GlueWriter({ call: stub.call, warehouse: 's3://lake/warehouse', inFiles: false }),
    client,
    queueUrl,
    events,
    config,
    connector,
    send,
    counts: () => ({ visible: inspect().ready.length, hidden: inspect().inflight.length }),
    receives: () =>
      [...inspect().ready, ...inspect().inflight.map(({ message }) => message)].map(
        ({ approximateReceiveCount }) => approximateReceiveCount,
      ),
    show: async (receiptHandle) => {
      const input = { QueueUrl: queueUrl, ReceiptHandle: receiptHandle, VisibilityTimeout: 0 };
      await client.send(new ChangeMessageVisibilityCommand(input));
    },
    redriveTo: async (queueArn, maxReceiveCount) => {
      const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: queueArn, maxReceiveCount });
      await client.send(new SetQueueAttributesCommand({ QueueUrl: queueUrl, Attributes: { RedrivePolicy } }));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const recording = (events: { event: string; fields: LogFields }[], bound: LogFields = {}): Log => {
  const line = (event: string, fields: LogFields = {}) => void events.push({ event, fields: { ...bound, ...fields } });
  return {
    debug: line,
    info: line,
    warn: line,
    error: line,
    child: (fields) => recording(events, { ...bound, ...fields }),
  };
};

/** A watch under way. `take()` waits for the next delivery. */
export class Watch implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #deliveries: AsyncIterator<Delivery>;
  readonly changes: Change[] = [];

  constructor(connector: GlueConnector) {
    this.#deliveries = connector.watch(undefined, this.#stop.signal)[Symbol.asyncIterator]();
  }

  async take(): Promise<Delivery> {
    const result = await this.#deliveries.next();
    if (result.done === true) throw new Error('The watch has ended.');
    this.changes.push(...result.value.changes);
    return result.value;
  }

  /** Takes and acknowledges until so many different tables were hinted at; returns their names. */
  async untilTables(count: number): Promise<string[]> {
    const names = () => [...new Set(this.changes.map(({ table }) => showTable(table)))].toSorted();
    while (names().length < count) await (await this.take()).ack();
    return names();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#deliveries.return?.();
  }
}
