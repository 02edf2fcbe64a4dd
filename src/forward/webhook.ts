import { createHash } from 'node:crypto';
import { readAuthorities } from '../runtime/authorities.ts';
import type { Clock } from '../runtime/clock.ts';
import { Redactor } from '../runtime/redact.ts';
import { retryAfterMs } from '../runtime/retry-after.ts';
import { Transport, type Exchange } from '../runtime/transport.ts';
import { signWebhook } from '../runtime/webhook-signature.ts';
import { CLOUD_EVENT } from './cloud-event.ts';
import type { WebhookConfig } from './config.ts';
import type { OutgoingEvent, Sink, SinkAnswer } from './sink.ts';

/** Of an answer's text, for people; all else of it is of no interest. */
const MAX_BODY_BYTES = 4096;
const DETAIL_CHARS = 300;

/**
 * Statuses that a receiver answers to every event alike when it is in trouble, when its address is wrong, or when it
 * doesn't take our signature: trying again later may help, and refusing the event for that would lose it.
 */
const NOT_NOW: ReadonlySet<number> = new Set([401, 403, 404, 405, 407, 408, 410, 421, 425, 426, 429]);

/** POSTs each event to one address, signed as Standard Webhooks has it. Throws `PushError` when tls.ca_file can't be used. */
export async function openWebhook(config: WebhookConfig, { clock }: { readonly clock: Clock }): Promise<Sink> {
  const { timeoutMs, concurrency } = config;
  const transport = new Transport({
    origin: new URL(config.url).origin,
    connections: concurrency,
    timeouts: { connectMs: timeoutMs, headersMs: timeoutMs, bodyMs: timeoutMs, totalMs: timeoutMs },
    ca: await readAuthorities(config.tls.caFile),
    clock,
  });
  return new Webhook(config, transport, clock);
}

class Webhook implements Sink {
  readonly name: string;
  readonly batch = 1;
  readonly concurrency: number;
  readonly #config: WebhookConfig;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #redactor = new Redactor();

  constructor(config: WebhookConfig, transport: Transport, clock: Clock) {
    this.name = config.name;
    this.concurrency = config.concurrency;
    this.#config = config;
    this.#transport = transport;
    this.#clock = clock;
    for (const secret of [config.secret, ...Object.values(config.headers)]) this.#redactor.add(secret);
  }

  send(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<readonly SinkAnswer[]> {
    return Promise.all(events.map((event) => this.#post(event, signal)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  async #post({ id, body }: OutgoingEvent, signal: AbortSignal): Promise<SinkAnswer> {
    const { url, secret, headers } = this.#config;
    const message = { id: headerSafe(id), timestamp: this.#clock.now(), body };
    const { pathname } = new URL(url);
    const exchange = await this.#transport.send(
      {
        method: 'POST',
        path: pathname,
        headers: { ...headers, 'content-type': `${CLOUD_EVENT}; charset=utf-8`, ...signWebhook(secret, message) },
        body,
        maxBodyBytes: MAX_BODY_BYTES,
      },
      signal,
    );
    return this.#read(exchange);
  }

  #read(exchange: Exchange): SinkAnswer {
    if (exchange.kind !== 'answer') return { kind: 'failed', detail: this.#redactor.clean(exchange.message) };
    const { status, headers, body } = exchange;
    if (status >= 200 && status < 300) return { kind: 'accepted' };
    const text = this.#redactor.clean(body).replaceAll(/\s+/g, ' ').trim().slice(0, DETAIL_CHARS);
    const detail = `HTTP ${status}${text === '' ? '' : `: ${text}`}`;
    if (status < 400)
      return { kind: 'failed', detail: `HTTP ${status}: redirects are not followed; correct the sink's url` };
    if (status >= 500 || NOT_NOW.has(status))
      return { kind: 'failed', detail, retryAfterMs: retryAfterMs(headers['retry-after'], this.#clock.now()) };
    return { kind: 'refused', detail };
  }
}

/** Names of tables hold anything, headers don't; a dot would let a signature be read in two ways. */
const headerSafe = (id: string): string =>
  /^[\x21-\x2d\x2f-\x7e]{1,200}$/.test(id) ? id : `sha256-${createHash('sha256').update(id).digest('base64url')}`;
