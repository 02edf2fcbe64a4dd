import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { getCACertificates, type ConnectionOptions } from 'node:tls';
import type { Producer } from '@platformatic/kafka';
import { PushError } from '../errors/errors.ts';
import { readAuthorities } from '../runtime/authorities.ts';
import { Redactor } from '../runtime/redact.ts';
import { CLOUD_EVENT } from './cloud-event.ts';
import type { KafkaConfig } from './config.ts';
import type { OutgoingEvent, Sink, SinkAnswer } from './sink.ts';

/** An event takes some 700 bytes, and a topic takes 1 MiB at once unless told otherwise. */
const BATCH = 200;
/** More than one, or the client takes an idempotent producer to mean: for ever. The forwarder tries again anyway. */
const RETRIES = 2;
const RETRY_DELAY_MS = 250;
const DETAIL_CHARS = 300;

/** What brokers answer to a record that they will never take (org.apache.kafka.common.protocol.Errors). */
const REFUSALS: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD']);

/**
 * Produces each event to one topic: acknowledged by all in-sync replicas, idempotent, in the partition that the Java
 * client would choose for the key. The client is loaded here and nowhere else. Connects at the first event. Throws
 * `PushError` when a file of `tls` can't be used.
 */
export async function openKafka(config: KafkaConfig): Promise<Sink> {
  const { compatibilityPartitioner, Producer: KafkaProducer, stringSerializers } = await import('@platformatic/kafka');
  const { sasl } = config;
  const tls = await tlsOf(config);
  const producer = new KafkaProducer<string, string, string, string>({
    clientId: config.clientId,
    bootstrapBrokers: [...config.brokers],
    serializers: stringSerializers,
    idempotent: true,
    partitioner: compatibilityPartitioner,
    retries: RETRIES,
    retryDelay: RETRY_DELAY_MS,
    timeout: config.timeoutMs,
    connectTimeout: config.timeoutMs,
    requestTimeout: config.timeoutMs,
    ...(tls === undefined ? {} : { tls, tlsServerName: !config.brokers.every(isAddress) }),
    ...(sasl === undefined ? {} : { sasl: { ...sasl } }),
  });
  return new Kafka(config, producer);
}

class Kafka implements Sink {
  readonly name: string;
  readonly batch = BATCH;
  /** The order within a partition is that of the calls. */
  readonly concurrency = 1;
  readonly #topic: string;
  readonly #producer: Producer<string, string, string, string>;
  readonly #redactor = new Redactor();

  constructor({ name, topic, sasl }: KafkaConfig, producer: Producer<string, string, string, string>) {
    this.name = name;
    this.#topic = topic;
    this.#producer = producer;
    if (sasl !== undefined) this.#redactor.add(sasl.password);
  }

  async send(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<readonly SinkAnswer[]> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      // Nothing but the end of the process gives up waiting: a request that is given up may yet arrive, after newer ones.
      return await Promise.race([this.#produce(events), aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close(true).catch(() => {}); // of a connection that is gone already
  }

  async #produce(events: readonly OutgoingEvent[]): Promise<readonly SinkAnswer[]> {
    const answer = await this.#try(events);
    if (answer.kind !== 'refused' || events.length === 1) return events.map(() => answer);
    // Brokers judge what comes together as one: each alone tells which it is.
    const answers: SinkAnswer[] = [];
    for (const event of events) answers.push(await this.#try([event]));
    return answers;
  }

  async #try(events: readonly OutgoingEvent[]): Promise<SinkAnswer> {
    try {
      await this.#producer.send({
        messages: events.map(({ table, body }) => ({
          topic: this.#topic,
          key: table,
          value: body,
          headers: { 'content-type': `${CLOUD_EVENT}; charset=utf-8` },
        })),
      });
      return { kind: 'accepted' };
    } catch (error) {
      const causes = [...causesOf(error)];
      const detail = this.#redactor
        .clean([...new Set(causes.map(({ text }) => text))].join('; '))
        .slice(0, DETAIL_CHARS);
      const isRefused = causes.some(({ id }) => id !== undefined && REFUSALS.has(id));
      return { kind: isRefused ? 'refused' : 'failed', detail };
    }
  }
}

/** Whether a broker is named by its IP address, which TLS knows no server name for. */
const isAddress = (broker: string): boolean =>
  isIP(broker.slice(0, broker.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1')) > 0;

/** What the client's errors come down to: it collects the errors of all its attempts, and of all brokers, in one. */
function* causesOf(error: unknown): Generator<{ readonly id: string | undefined; readonly text: string }> {
  if (error instanceof AggregateError) {
    for (const inner of error.errors) yield* causesOf(inner);
    return;
  }
  const { apiId, message, cause } = error as { apiId?: unknown; message?: unknown; cause?: unknown };
  const id = typeof apiId === 'string' ? apiId : undefined;
  const text = typeof message === 'string' ? message : String(error);
  if (cause instanceof Error && id === undefined) yield* causesOf(cause);
  else yield { id, text: id === undefined ? text : `${id}: ${text}` };
}

async function tlsOf({ name, tls }: KafkaConfig): Promise<ConnectionOptions | undefined> {
  if (tls === undefined) return undefined;
  const ca = await readAuthorities(tls.caFile);
  const pem = async (key: string, path: string | undefined) => {
    if (path === undefined) return undefined;
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      const { code = 'unknown reason' } = error as NodeJS.ErrnoException;
      const fix = `Let tls.${key} of the sink ${name} name a PEM file that this user may read.`;
      throw new PushError('CONFIG_INVALID', `tls.${key} ${path} can't be read (${code}).`, { cause: error, fix });
    }
  };
  const [cert, key] = [await pem('cert_file', tls.certFile), await pem('key_file', tls.keyFile)];
  return {
    ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
}
