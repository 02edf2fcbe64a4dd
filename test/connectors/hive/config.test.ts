import { expect, test } from 'vitest';
import { z } from 'zod';
import { hiveConfig } from '../../../connectors/hive/config.ts';
import hive from '../../../connectors/hive/index.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';

const minimal = { kind: 'hive', connection: 'postgresql://u:p@h/metastore' };

test('a connection is all that a configuration must name', () => {
  expect(hiveConfig.parse(minimal)).toEqual({
    ...minimal,
    slot: 'polaris_push',
    publication: 'polaris_push',
    catalog: 'hive',
    schema: 'public',
    create: true,
    connectTimeoutMs: 10_000,
    queryTimeoutMs: 30_000,
    listTimeoutMs: 300_000,
    keepaliveMs: undefined,
    watchdogMs: undefined,
    inspectMs: 30_000,
  });
});

test.each([
  [{ slots: 'x' }],
  [{ connection: 'mysql://u:planted@h/metastore' }],
  [{ connection: 'h:5432/planted' }],
  [{ slot: 'Polaris-Push' }],
  [{ publication: `p"; DROP TABLE x` }],
  [{ schema: '' }],
  [{ query_timeout: 30 }],
  [{ keepalive: '0s' }],
  [{ create: 'yes' }],
])('%j is refused, without repeating the connection', (changes) => {
  const result = hiveConfig.safeParse({ ...minimal, ...changes });
  expect(result.success).toBe(false);
  expect(String(result.error)).not.toContain('planted');
});

test('every key has a description in the JSON Schema, and the connection is marked as secret', () => {
  const schema = z.toJSONSchema(hiveConfig, { io: 'input' }) as {
    properties: Record<string, { description?: string; secret?: boolean }>;
  };
  expect(Object.values(schema.properties).filter(({ description }) => description === undefined)).toEqual([]);
  expect(schema.properties['connection']).toMatchObject({ secret: true });
});

test.each([
  ['postgresql://u:planted@h:6543/metastore', 'hive:h:6543/metastore/hive'],
  ['postgres://u:planted@h/metastore?sslmode=no-verify', 'hive:h:5432/metastore/hive'],
])('the source is named by host, port, database and catalog', async (connection, source) => {
  const deps = { clock: systemClock, log: silentLog };
  await using connector = await hive.open(hiveConfig.parse({ ...minimal, connection }), deps);
  expect(connector.source).toBe(source);
});
