import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { signWebhook, TOLERANCE_MS, verifyWebhook, type WebhookHeaders } from '../../src/runtime/webhook-signature.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const now = Date.now();
const message = { id: 'msg_1', timestamp: now, body: '{"namespace":["sales"],"table":"orders"}' };

test('signs the example of the specification as it does', () => {
  // standardwebhooks.com, "Signature scheme"; the vector that its libraries test as well.
  const headers = signWebhook(SECRET, {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: 1614265330_000,
    body: '{"test": 2432232314}',
  });
  expect(headers).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

const ids = fc.stringMatching(/^[A-Za-z0-9_-]{1,60}$/);

test('agrees with the reference library on every secret, id and body', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 24, maxLength: 64 }),
      ids,
      fc.string({ unit: 'grapheme', maxLength: 200 }),
      (key, id, body) => {
        const secret = `whsec_${Buffer.from(key).toString('base64')}`;
        const theirs = new Webhook(secret);
        expect(signWebhook(secret, { id, timestamp: now, body })['webhook-signature']).toBe(
          theirs.sign(id, new Date(now), body),
        );
      },
    ),
  );
});

test('takes a secret without a prefix as it is, like the raw format of the reference library', () => {
  const theirs = new Webhook('a plain secret', { format: 'raw' });
  const headers = signWebhook('a plain secret', message);
  expect(headers['webhook-signature']).toBe(theirs.sign(message.id, new Date(now), message.body));
});

test('is verified by the reference library, and verifies what that one signed', () => {
  const theirs = new Webhook(SECRET);
  expect(theirs.verify(message.body, { ...signWebhook(SECRET, message) })).toEqual(JSON.parse(message.body));
  const signed = {
    ...signWebhook(SECRET, message),
    'webhook-signature': theirs.sign('msg_1', new Date(now), message.body),
  };
  expect(verifyWebhook(SECRET, signed, message.body, now)).toEqual({
    kind: 'valid',
    id: 'msg_1',
    timestamp: Math.floor(now / 1000) * 1000,
  });
});

test('signs the bytes of a text and of a buffer alike', () => {
  const body = '{"table":"größe 🚀"}';
  expect(signWebhook(SECRET, { ...message, body: Buffer.from(body) })).toEqual(
    signWebhook(SECRET, { ...message, body }),
  );
});

test('finds its own signature among those of a rotation', () => {
  const signed = signWebhook(SECRET, message);
  const foreign = signWebhook('another secret', message)['webhook-signature'];
  const both = (...all: string[]) => ({ ...signed, 'webhook-signature': all.join(' ') });
  const kindOf = (headers: WebhookHeaders) => verifyWebhook(SECRET, headers, message.body, now).kind;
  expect(kindOf(both(foreign, 'v1a,AAAA', signed['webhook-signature']))).toBe('valid');
  expect(kindOf(both(foreign, 'v1a,AAAA'))).toBe('invalid');
  expect(kindOf(both(...Array.from({ length: 10 }, () => foreign), signed['webhook-signature']))).toBe('invalid');
});

test.each([
  ['another body', {}, `${message.body} `],
  ['another id', { 'webhook-id': 'msg_2' }, message.body],
  ['another time', { 'webhook-timestamp': String(Math.floor(now / 1000) + 1) }, message.body],
  ['a signature of another version', { 'webhook-signature': 'v2,AAAA' }, message.body],
  ['a signature that is cut off', { 'webhook-signature': 'v1,AAAA' }, message.body],
  ['an empty signature', { 'webhook-signature': 'v1,' }, message.body],
  ['no version', { 'webhook-signature': 'AAAA' }, message.body],
])('refuses %s', (_, changes, body) => {
  expect(verifyWebhook(SECRET, { ...signWebhook(SECRET, message), ...changes }, body, now)).toEqual({
    kind: 'invalid',
    reason: 'its signature is not that of the secret',
  });
});

test.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('refuses a request without %s', (name) => {
  const headers = { ...signWebhook(SECRET, message), [name]: undefined };
  const verified = verifyWebhook(SECRET, headers, message.body, now);
  expect(verified.kind === 'invalid' ? verified.reason : '').toContain('lacks');
});

test('refuses a time that is no time, and an id that is a body', () => {
  const signed = signWebhook(SECRET, message);
  for (const changes of [
    { 'webhook-timestamp': '1e9' },
    { 'webhook-timestamp': '-1' },
    { 'webhook-id': 'x'.repeat(257) },
  ])
    expect(verifyWebhook(SECRET, { ...signed, ...changes }, message.body, now).kind).toBe('invalid');
});

test('bounds the age of a message, and how far it may be ahead', () => {
  const at = Math.floor(now / 1000) * 1000;
  const signed = signWebhook(SECRET, { ...message, timestamp: at });
  const kinds = [-TOLERANCE_MS - 1, -TOLERANCE_MS, TOLERANCE_MS, TOLERANCE_MS + 1].map(
    (offMs) => verifyWebhook(SECRET, signed, message.body, at + offMs).kind,
  );
  expect(kinds).toEqual(['invalid', 'valid', 'valid', 'invalid']);
});
