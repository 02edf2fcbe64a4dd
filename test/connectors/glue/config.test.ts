import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { glueConfig, watchesDatabase } from '../../../connectors/glue/config.ts';
import { endpointOf } from '../../../connectors/glue/queue.ts';

const minimal = {
  kind: 'glue',
  region: 'eu-west-1',
  queue_url: 'https://sqs.eu-west-1.amazonaws.com/123456789012/polaris-push',
};

test('the keys that the configuration’s contract shows are all that is needed', () => {
  const config = glueConfig.parse({ ...minimal, endpoint: 'http://127.0.0.1:4566' });
  expect(config).toMatchObject({
    kind: 'glue',
    region: 'eu-west-1',
    queueUrl: minimal.queue_url,
    glueEndpoint: 'http://127.0.0.1:4566',
    sqsEndpoint: 'http://127.0.0.1:4566',
    stsEndpoint: 'http://127.0.0.1:4566',
    waitTimeMs: 20_000,
    visibilityTimeoutMs: 120_000,
    confirmAfterMs: [100, 400, 1500],
    callsPerSecond: { events: 40, listings: 10 },
  });
  expect(glueConfig.parse({ kind: 'glue' })).toMatchObject({ queueUrl: undefined, region: undefined });
});

test('an endpoint of one service wins over that of all', () => {
  const config = glueConfig.parse({ ...minimal, endpoint: 'http://a', sqs_endpoint: 'http://b' });
  expect([config.glueEndpoint, config.sqsEndpoint, config.stsEndpoint]).toEqual(['http://a', 'http://b', 'http://a']);
});

test.each([
  [{ region: 'Ireland' }],
  [{ queue_url: 'polaris-push' }],
  [{ queue_url: 'arn:aws:sqs:eu-west-1:123456789012:q' }],
  [{ endpoint: '127.0.0.1:4566' }],
  [{ catalog_id: '123' }],
  [{ catalog_id: 123456789012 }],
  [{ role: { arn: 'polaris-push' } }],
  [{ role: {} }],
  [{ databases: [] }],
  [{ accounts: ['12'] }],
  [{ pollers: 0 }],
  [{ wait_time: '21s' }],
  [{ wait_time: '1500ms' }],
  [{ visibility_timeout: '13h' }],
  [{ visibility_timeout: 120 }],
  [{ confirm_after: [100] }],
  [{ calls_per_second: 10 }],
  [{ queue: 'x' }],
])('%j is refused', (changes) => expect(glueConfig.safeParse({ ...minimal, ...changes }).success).toBe(false));

test('every key has a description', () => {
  type Schema = { readonly description?: string; readonly properties?: Record<string, Schema> };
  const undescribed = (schema: Schema, path: string): string[] => [
    ...(schema.description === undefined ? [path] : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([key, below]) => undescribed(below, `${path}.${key}`)),
  ];
  const schema = z.toJSONSchema(glueConfig, { io: 'input' }) as Schema;
  expect(undescribed({ ...schema, description: '' }, 'source')).toEqual([]);
});

test('databases are chosen by name or glob, whatever case the configuration writes', () => {
  const config = glueConfig.parse({ ...minimal, databases: ['Sales', 'lake_*', 'a.b'] });
  expect(['sales', 'lake_', 'lake_raw', 'a.b'].map((name) => watchesDatabase(config, name))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(['sales2', 'alake_', 'axb'].map((name) => watchesDatabase(config, name))).toEqual([false, false, false]);
  expect(watchesDatabase(glueConfig.parse(minimal), 'anything')).toBe(true);
});

test.each([
  ['an endpoint of the configuration wins', { sqs_endpoint: 'http://a' }, {}, 'http://a'],
  [
    'a test server’s queue is asked there, not at AWS',
    { queue_url: 'http://127.0.0.1:1/0/q' },
    {},
    'http://127.0.0.1:1',
  ],
  ['AWS’s queue is asked at AWS', {}, {}, undefined],
  // The SDK would ask the queue's host in spite of it.
  ['the environment’s endpoint is heeded', {}, { AWS_ENDPOINT_URL_SQS: 'http://b' }, undefined],
  [
    'also for a test server’s queue',
    { queue_url: 'http://127.0.0.1:1/0/q' },
    { AWS_ENDPOINT_URL: 'http://b' },
    undefined,
  ],
])('%s', (_name, changes, environment, expected) => {
  const config = glueConfig.parse({ ...minimal, ...changes });
  const { endpoint, useQueueUrlAsEndpoint } = endpointOf(config.queueUrl ?? '', config, environment);
  expect(endpoint).toBe(expected);
  expect(useQueueUrlAsEndpoint).toBe(false);
});

test('nothing of AWS is loaded until the source is opened', () => {
  const script = `
    import { Module } from 'node:module';
    const { connectors } = await import('./connectors/index.ts');
    const definition = await connectors.glue();
    definition.config.parse({ kind: 'glue' });
    const loaded = () => Object.keys(Module._cache).filter((path) => path.includes('@aws-sdk')).length;
    const before = loaded();
    const log = { child: () => log, debug() {}, info() {}, warn() {}, error() {} };
    const clock = { now: () => Date.now(), monotonicMs: () => performance.now(), sleep: async () => {} };
    const connector = await definition.open(definition.config.parse({ kind: 'glue', region: 'eu-west-1' }), { clock, log });
    await connector[Symbol.asyncDispose]();
    console.log(JSON.stringify([before, loaded() > 0]));`;
  const output = execFileSync(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    encoding: 'utf8',
  });
  expect(JSON.parse(output)).toEqual([0, true]);
});
