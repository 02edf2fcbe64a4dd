import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readServiceConfig } from '../../examples/maintenance-service/service-config.ts';
import { Secrets } from '../../src/runtime/secrets.ts';

const EXAMPLE = readFileSync(new URL('../../examples/maintenance-service/maintenance.yaml', import.meta.url), 'utf8');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'polaris-push-test-'));
  writeFileSync(join(folder, 'secret'), 'the secret of the webhook\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(yaml: string) {
  const file = join(folder, 'maintenance.yaml');
  writeFileSync(file, yaml.replaceAll('/run/secrets/maintenance-webhook', join(folder, 'secret')));
  return readServiceConfig(file, { env: { POLARIS_CLIENT_SECRET: 's3cr3t' }, secrets: new Secrets() });
}

const thrown = (yaml: string): string => {
  try {
    read(yaml);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('It was taken.');
};

test('the example is taken, its secret read from the file', () => {
  expect(read(EXAMPLE)).toMatchObject({
    polaris: { name: 'main', catalog: 'hive_mirror', auth: { clientSecret: 's3cr3t' } },
    webhook: { host: '127.0.0.1', port: 9080, secret: 'the secret of the webhook' },
    sparkCatalog: 'hive',
    policyMaxAgeMs: 60_000,
  });
});

test('Kafka takes the place of the webhook, not both and not neither', () => {
  const kafka = `kafka: { brokers: ['k:9092'], topic: events }\n`;
  const without = EXAMPLE.replace(/webhook:\n.*\n.*\n/, '');
  expect(read(without + kafka)).toMatchObject({ kafka: { topic: 'events', group: 'maintenance-service' } });
  expect(thrown(EXAMPLE + kafka)).toContain('expected one of webhook and kafka');
  expect(thrown(without)).toContain('expected one of webhook and kafka');
});

test('every problem is told with its line, and no secret', () => {
  const message = thrown(EXAMPLE.replace('spark_catalog', 'spark_catalogue').replace('60s', '60'));
  expect(message).toMatch(/maintenance\.yaml:\d+: spark_catalogue/);
  expect(message).toMatch(/maintenance\.yaml:\d+: policy_max_age: expected a duration/);
  expect(message).not.toContain('s3cr3t');
});

test('a file that cannot be read or is no YAML is told as such', () => {
  expect(() => readServiceConfig('/nowhere.yaml', { env: {}, secrets: new Secrets() })).toThrow('/nowhere.yaml');
  expect(thrown('a: [')).toContain('not valid YAML');
});
