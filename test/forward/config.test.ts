import { describe, expect, test } from 'vitest';
import { forwardConfig } from '../../src/forward/config.ts';

const hook = { kind: 'webhook', url: 'https://example.com/events', secret: 'a-secret-of-length' };
const kafka = { kind: 'kafka', brokers: ['kafka-1:9092'], topic: 'polaris-push' };

const problems = (value: unknown): readonly string[] =>
  (forwardConfig.safeParse(value).error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('The section forward', () => {
  test('names a sink after its kind and coalesces, unless told otherwise', () => {
    expect(forwardConfig.parse([hook, kafka])).toMatchObject([
      {
        kind: 'webhook',
        name: 'webhook',
        limit: 0,
        attempts: 10,
        timeoutMs: 10_000,
        concurrency: 4,
        headers: {},
        tls: {},
      },
      {
        kind: 'kafka',
        name: 'kafka',
        limit: 0,
        attempts: 10,
        clientId: 'polaris-push',
        sasl: undefined,
        tls: undefined,
      },
    ]);
  });

  test('keeps so many events as it says when it does not coalesce', () => {
    expect(forwardConfig.parse([{ ...hook, coalesce: false }])).toMatchObject([{ limit: 100_000 }]);
    expect(forwardConfig.parse([{ ...hook, coalesce: false, limit: 5 }])).toMatchObject([{ limit: 5 }]);
  });

  test('takes SASL and TLS for Kafka', () => {
    const sasl = { mechanism: 'scram-sha-512', username: 'agent', password: 'planted' };
    expect(forwardConfig.parse([{ ...kafka, sasl, tls: {} }])).toMatchObject([
      { sasl: { mechanism: 'SCRAM-SHA-512', username: 'agent', password: 'planted' }, tls: {} },
    ]);
  });

  test.for([
    [[hook, hook], '1.name: another sink is called webhook, too; give each a name of its own'],
    [[{ ...hook, kind: 'pigeon' }], '0.kind'],
    [[{ ...hook, url: 'ftp://example.com' }], '0.url: expected an http:// or https:// address'],
    [[{ ...hook, url: 'https://u:p@example.com' }], '0.url'],
    [[{ kind: 'webhook', url: hook.url }], '0.secret'],
    [[{ ...hook, secret: 'short' }], '0.secret: expected whsec_'],
    [[{ ...hook, secret: 'whsec_not base64 at all, really not' }], '0.secret: expected whsec_'],
    [
      [{ ...hook, headers: { 'webhook-id': 'mine' } }],
      '0.headers.webhook-id: this header is set by polaris-push itself',
    ],
    [[{ ...hook, limit: 0 }], '0.limit'],
    [[{ ...hook, retries: 3 }], '0: '],
    [[{ ...kafka, brokers: [] }], '0.brokers'],
    [[{ ...kafka, brokers: ['kafka-1'] }], '0.brokers.0: expected a host and a port'],
    [[{ ...kafka, brokers: ['kafka-1:99999'] }], '0.brokers.0: a port is at most 65535'],
    [[{ ...kafka, topic: 'no blanks' }], '0.topic'],
    [[{ ...kafka, tls: { cert_file: 'x' } }], '0.tls: cert_file and key_file go together'],
    [[{ ...kafka, sasl: { mechanism: 'gssapi', username: 'u', password: 'p' } }], '0.sasl.mechanism'],
  ])('refuses %j', ([value, expected]) => {
    const found = problems(value);
    expect(found.join('\n')).toContain(expected);
    expect(found).toHaveLength(1);
  });
});
