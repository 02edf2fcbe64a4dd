import type { ConnectorDeps } from '../../src/connector/connector.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { Queue } from './queue.ts';
import { maxReceives, queueProblems } from './settings.ts';

/** What the connector knows of its queue from one start of the stream to the next. */
export type QueueMemory = {
  /** A message that can't be understood is given back at once on a FIFO queue, if that leads to its dead-letter queue. */
  redrives: boolean;
  /** Warnings given, so that none is repeated at every restart of the stream. */
  readonly warned: Set<string>;
};

/** Makes sure that there is a queue to take events from. Throws `PushError`; settings that are unwise are warned of. */
export async function prepareQueue(
  queue: Queue | undefined,
  memory: QueueMemory,
  { log }: Pick<ConnectorDeps, 'log'>,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (queue === undefined)
    throw new PushError('SQS_QUEUE_NOT_SET', 'Without it, changes would be found by the periodic list alone.');
  const attributes = await queue.attributes(signal);
  memory.redrives = maxReceives(attributes) !== undefined;
  for (const { subject, detail, fix } of queueProblems(queue, attributes)) {
    if (memory.warned.has(detail)) continue;
    memory.warned.add(detail);
    log.warn('queue-settings', { subject, detail, fix });
  }
}
