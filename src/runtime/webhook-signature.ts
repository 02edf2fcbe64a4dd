import { createHmac, timingSafeEqual } from 'node:crypto';
import type { EpochMillis } from '../core/types.ts';

/**
 * Signatures of webhooks as Standard Webhooks has them (standardwebhooks.com, specification 1.0.0, symmetric scheme `v1`):
 * HMAC-SHA256 over `id.timestamp.body`. A copy of a request can't be told from the request: who receives must keep ids.
 */
export type WebhookMessage = {
  /** The same for every attempt to deliver one message. No dot and no character that a header can't hold. */
  readonly id: string;
  /** When it is sent; goes on the wire in whole seconds. */
  readonly timestamp: EpochMillis;
  /** The exact bytes of the body; a text stands for its UTF-8. */
  readonly body: string | Uint8Array;
};

export type WebhookHeaders = {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
};

export type Verified =
  | { readonly kind: 'valid'; readonly id: string; readonly timestamp: EpochMillis }
  /** `reason` is for people, and holds nothing that would help to forge a signature. */
  | { readonly kind: 'invalid'; readonly reason: string };

/** How far the time of a message may be from ours, in both directions: five minutes, as the specification's libraries have it. */
export const TOLERANCE_MS = 5 * 60_000;

const PREFIX = 'whsec_';
/** Bounds what is compared: a sender that rotates its secret sends two. */
const MOST_SIGNATURES = 10;
const LONGEST_ID = 256;

/**
 * The headers that go with a message. A secret that begins with `whsec_` is base64, as the specification writes them; any other
 * is taken as it is (the `raw` format of the specification's libraries).
 */
export function signWebhook(secret: string, { id, timestamp, body }: WebhookMessage): WebhookHeaders {
  const seconds = String(Math.floor(timestamp / 1000));
  return {
    'webhook-id': id,
    'webhook-timestamp': seconds,
    'webhook-signature': `v1,${digest(secret, [id, seconds], body).toString('base64')}`,
  };
}

/** Whether the headers of a request vouch for its body, at the time `now`. Header names are in lower case. */
export function verifyWebhook(
  secret: string,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  body: string | Uint8Array,
  now: EpochMillis,
): Verified {
  const header = (name: keyof WebhookHeaders) => (typeof headers[name] === 'string' ? headers[name] : '');
  const [id, seconds, signatures] = [header('webhook-id'), header('webhook-timestamp'), header('webhook-signature')];
  if (id === '' || seconds === '' || signatures === '')
    return invalid('it lacks the header webhook-id, webhook-timestamp or webhook-signature');
  if (id.length > LONGEST_ID) return invalid('its webhook-id is too long');
  if (!/^[0-9]{1,12}$/.test(seconds)) return invalid('its webhook-timestamp is no time in seconds');
  const expected = digest(secret, [id, seconds], body);
  // Before the time is judged: what is said of a message's time should be said only to who knows the secret.
  if (!signatures.split(' ', MOST_SIGNATURES).some((one) => matches(one, expected)))
    return invalid('its signature is not that of the secret');
  const timestamp = Number(seconds) * 1000;
  if (Math.abs(now - timestamp) > TOLERANCE_MS) return invalid('its webhook-timestamp is more than 5 minutes off');
  return { kind: 'valid', id, timestamp };
}

const invalid = (reason: string): Verified => ({ kind: 'invalid', reason });

function digest(secret: string, [id, seconds]: readonly [string, string], body: string | Uint8Array): Buffer {
  const key = secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret);
  return createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest();
}

/** One entry of the header, `v1,<base64>`; other versions are other schemes. */
function matches(signature: string, expected: Buffer): boolean {
  const [version, value = ''] = signature.split(',', 2);
  const given = Buffer.from(value, 'base64');
  return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
}
