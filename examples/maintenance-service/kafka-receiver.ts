import { Consumer, stringDeserializers } from '@platformatic/kafka';
import { backoffMs } from '../../src/core/backoff.ts';
import type { TableEvent } from '../../src/forward/cloud-event.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { parseEvent } from './webhook-receiver.ts';

const BACKOFF = { baseMs: 500, maxMs: 30_000 };
/** How long the broker holds a fetch that has nothing to bring. */
const WAIT_MS = 500;
const SESSION_MS = 10_000;
const HEARTBEAT_MS = 2_000;

export type KafkaOptions = {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** The consumer group; its offsets say what was done with. */
  readonly group: string;
  readonly clock: Clock;
  readonly onEvent: (event: TableEvent, signal: AbortSignal) => Promise<unknown>;
  /** Told whenever it has joined the group, the first time and after an outage. */
  readonly onSubscribed?: (() => void) | undefined;
  readonly onProblem: (problem: string) => void;
};

/**
 * Takes forwarded events from a topic, in the order of each partition, until `signal` aborts. The offset of an event is
 * committed when it is done with; one that fails is tried until it doesn't, and holds its partition meanwhile. What isn't an
 * event is passed over. Brokers that are away are tried again.
 */
export async function receiveFromKafka(options: KafkaOptions, signal: AbortSignal): Promise<void> {
  const { clock, topic, onProblem } = options;
  let failures = 0;
  const onTaken = () => void (failures = 0);
  while (!signal.aborted) {
    try {
      await consume(options, onTaken, signal);
    } catch (error) {
      if (signal.aborted) return;
      onProblem(`reading topic ${topic} failed: ${reasonOf(error)}`);
      await clock.sleep(backoffMs(failures, { ...BACKOFF, random: Math.random() }), signal);
      failures += 1;
    }
  }
}

/** One membership in the group, for as long as it lasts. */
async function consume(options: KafkaOptions, onTaken: () => void, signal: AbortSignal): Promise<void> {
  const consumer = new Consumer({
    groupId: options.group,
    clientId: 'maintenance-service',
    bootstrapBrokers: [...options.brokers],
    deserializers: stringDeserializers,
    sessionTimeout: SESSION_MS,
    heartbeatInterval: HEARTBEAT_MS,
    maxWaitTime: WAIT_MS,
  });
  try {
    const stream = await consumer.consume({
      topics: [options.topic],
      mode: 'committed',
      fallbackMode: 'earliest',
      autocommit: false,
    });
    const onAbort = () => void stream.close().catch(() => {}); // the consumer is closed below anyway
    signal.addEventListener('abort', onAbort, { once: true });
    options.onSubscribed?.();
    try {
      for await (const message of stream) {
        if (signal.aborted) break;
        const isDone = await take(message, options, signal);
        if (!isDone) break;
        await message.commit();
        onTaken();
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  } finally {
    await consumer.close(true).catch(() => {}); // brokers that are gone can't be told
  }
}

/** The client collects the errors of all its attempts in one. */
const reasonOf = (error: unknown): string =>
  error instanceof AggregateError && error.errors.length > 0
    ? `${error.message}: ${reasonOf(error.errors.at(-1))}`
    : error instanceof Error
      ? error.message
      : String(error);

type Record = { readonly value: string; readonly partition: number; readonly offset: bigint };

/** Whether it is done with the record; false when `signal` aborted first. */
async function take(record: Record, options: KafkaOptions, signal: AbortSignal): Promise<boolean> {
  const { onEvent, onProblem, clock } = options;
  const event = parseEvent(record.value);
  if (event === undefined) {
    onProblem(`passed over partition ${record.partition}, offset ${record.offset}: it is no event of a table`);
    return true;
  }
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      await onEvent(event, signal);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      onProblem(`${event.subject}: ${reasonOf(error)}`);
      await clock.sleep(backoffMs(failures, { ...BACKOFF, random: Math.random() }), signal);
    }
  }
  return false;
}
