import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
  type SQSClientConfig,
} from '@aws-sdk/client-sqs';
import type { PushError } from '../../src/errors/errors.ts';
import type { GlueConfig } from './config.ts';
import { isDenied } from './failure.ts';
import type { Meter } from './meter.ts';
import { queueOf, type Action } from './statement.ts';

/** A message as it was received: hidden from others until its visibility timeout is over. */
export type Received = {
  readonly id: string;
  /** Changes with every receive; only the newest counts. */
  readonly receipt: string;
  readonly body: string;
  /** How often it has been received, this time included. */
  readonly receives: number;
};

export type Receipt = Pick<Received, 'id' | 'receipt'>;

/** What SQS did not do for one message of a batch, although the call itself succeeded. */
export type Refused = Receipt & { readonly code: string; readonly senderFault: boolean };

/** Permissions on messages. */
export type Probed = 'sqs:ReceiveMessage' | 'sqs:DeleteMessage' | 'sqs:ChangeMessageVisibility';

/** Ten messages go into one call. Every method throws `PushError` or the abort's reason. */
export interface Queue {
  readonly url: string;
  readonly fifo: boolean;
  attributes(signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** At most ten. `wait`: for as long as configured, if there is none; else what is at hand. */
  receive(wait: boolean, signal: AbortSignal): Promise<readonly Received[]>;
  delete(receipts: readonly Receipt[]): Promise<readonly Refused[]>;
  /** From now on; 0 shows them to others at once. */
  hide(receipts: readonly Receipt[], seconds: number): Promise<readonly Refused[]>;
  /** Tries a permission without an effect on any message. */
  probe(action: Probed, signal: AbortSignal): Promise<'allowed' | 'denied'>;
  close(): void;
}

export type QueueOptions = SQSClientConfig & {
  readonly handler: (requestTimeoutMs: number) => NonNullable<SQSClientConfig['requestHandler']>;
  readonly measure: (client: SQSClient) => void;
  readonly failure: (error: unknown, doing: string, action: Action) => PushError;
  readonly meter: Meter;
};

export const BATCH = 10;

/** Receipt handles that never existed: SQS refuses them, but only to those who may call at all. */
const NO_RECEIPT = 'AQEBpolaris-push-check';

export function connectQueue(url: string, config: GlueConfig, options: QueueOptions): Queue {
  const { failure, handler, measure, meter, ...settings } = options;
  // Longer than the server waits, or every receive that finds nothing would count as a failure.
  const requestTimeoutMs = config.requestTimeoutMs + config.waitTimeMs;
  const client = new SQSClient({ ...settings, ...endpointOf(url, config), requestHandler: handler(requestTimeoutMs) });
  measure(client);
  return new SqsQueue(client, url, config, { failure, meter });
}

class SqsQueue implements Queue {
  readonly url: string;
  readonly fifo: boolean;
  readonly #client: SQSClient;
  readonly #config: GlueConfig;
  readonly #options: Pick<QueueOptions, 'failure' | 'meter'>;

  constructor(client: SQSClient, url: string, config: GlueConfig, options: Pick<QueueOptions, 'failure' | 'meter'>) {
    this.url = url;
    this.fifo = queueOf(url).fifo;
    this.#client = client;
    this.#config = config;
    this.#options = options;
  }

  async attributes(abortSignal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const command = new GetQueueAttributesCommand({ QueueUrl: this.url, AttributeNames: ['All'] });
    try {
      return (await this.#client.send(command, { abortSignal })).Attributes ?? {};
    } catch (error) {
      abortSignal.throwIfAborted();
      throw this.#options.failure(error, "reading the queue's attributes", 'sqs:GetQueueAttributes');
    }
  }

  async receive(wait: boolean, abortSignal: AbortSignal): Promise<readonly Received[]> {
    const command = new ReceiveMessageCommand({
      QueueUrl: this.url,
      MaxNumberOfMessages: BATCH,
      WaitTimeSeconds: wait ? this.#config.waitTimeMs / 1000 : 0,
      VisibilityTimeout: this.#config.visibilityTimeoutMs / 1000,
      MessageSystemAttributeNames: ['ApproximateReceiveCount'],
    });
    try {
      const { Messages = [] } = await this.#client.send(command, { abortSignal });
      this.#options.meter.add('received', Messages.length);
      return Messages.map(({ MessageId = '', ReceiptHandle = '', Body = '', Attributes }) => ({
        id: MessageId,
        receipt: ReceiptHandle,
        body: Body,
        receives: Number(Attributes?.ApproximateReceiveCount ?? 1),
      }));
    } catch (error) {
      abortSignal.throwIfAborted();
      throw this.#options.failure(error, 'receiving messages', 'sqs:ReceiveMessage');
    }
  }

  async delete(receipts: readonly Receipt[]): Promise<readonly Refused[]> {
    const Entries = receipts.map(({ receipt }, i) => ({ Id: String(i), ReceiptHandle: receipt }));
    try {
      const { Failed } = await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl: this.url, Entries }));
      return refusedOf(receipts, Failed);
    } catch (error) {
      throw this.#options.failure(error, 'deleting messages', 'sqs:DeleteMessage');
    }
  }

  async hide(receipts: readonly Receipt[], seconds: number): Promise<readonly Refused[]> {
    const Entries = receipts.map(({ receipt }, i) => ({
      Id: String(i),
      ReceiptHandle: receipt,
      VisibilityTimeout: seconds,
    }));
    try {
      const { Failed } = await this.#client.send(
        new ChangeMessageVisibilityBatchCommand({ QueueUrl: this.url, Entries }),
      );
      return refusedOf(receipts, Failed);
    } catch (error) {
      throw this.#options.failure(error, 'changing the visibility of messages', 'sqs:ChangeMessageVisibility');
    }
  }

  async probe(action: Probed, signal: AbortSignal): Promise<'allowed' | 'denied'> {
    try {
      await probeOf(action, this.url)(this.#client, signal);
      return 'allowed';
    } catch (error) {
      signal.throwIfAborted();
      if (isDenied(error)) return 'denied';
      const known = this.#options.failure(error, 'trying permissions', action);
      // It got as far as the receipt handle or the number, so the caller is allowed to call.
      if (known.code === 'SQS_FAILED') return 'allowed';
      throw known;
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

/**
 * Where the queue is asked. Unless told otherwise the SDK asks the host of the queue's URL, even against AWS_ENDPOINT_URL,
 * so that a test could reach the real AWS. And without that the URL of a test server would be asked of the real one.
 */
export function endpointOf(
  url: string,
  { sqsEndpoint }: GlueConfig,
  environment: NodeJS.ProcessEnv = process.env,
): Pick<SQSClientConfig, 'endpoint' | 'useQueueUrlAsEndpoint'> {
  if (sqsEndpoint !== undefined) return { endpoint: sqsEndpoint, useQueueUrlAsEndpoint: false };
  const inEnvironment = environment['AWS_ENDPOINT_URL_SQS'] ?? environment['AWS_ENDPOINT_URL'];
  const { origin, public: isPublic } = queueOf(url);
  if (inEnvironment === undefined && !isPublic) return { endpoint: origin, useQueueUrlAsEndpoint: false };
  return { useQueueUrlAsEndpoint: false };
}

type Failed = {
  readonly Id?: string | undefined;
  readonly Code?: string | undefined;
  readonly SenderFault?: boolean | undefined;
};

function refusedOf(receipts: readonly Receipt[], failed: readonly Failed[] = []): Refused[] {
  return failed.flatMap(({ Id, Code = 'unknown', SenderFault = false }) => {
    const receipt = receipts[Number(Id)];
    return receipt === undefined ? [] : [{ ...receipt, code: Code, senderFault: SenderFault }];
  });
}

function probeOf(action: Probed, url: string): (client: SQSClient, signal: AbortSignal) => Promise<unknown> {
  const on = { QueueUrl: url, ReceiptHandle: NO_RECEIPT };
  switch (action) {
    case 'sqs:DeleteMessage':
      return (client, abortSignal) => client.send(new DeleteMessageCommand(on), { abortSignal });
    case 'sqs:ChangeMessageVisibility': {
      const command = new ChangeMessageVisibilityCommand({ ...on, VisibilityTimeout: 0 });
      return (client, abortSignal) => client.send(command, { abortSignal });
    }
    case 'sqs:ReceiveMessage': {
      // More than SQS gives at once: refused as such, so that no message counts as received.
      const command = new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: BATCH + 1, WaitTimeSeconds: 0 });
      return (client, abortSignal) => client.send(command, { abortSignal });
    }
  }
}
