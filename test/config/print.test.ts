import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { loadConfig } from '../../src/config/load.ts';
import { effectiveConfig, printConfig } from '../../src/config/print.ts';
import { showDuration, showSize } from '../../src/config/units.ts';
import { Secrets } from '../../src/runtime/secrets.ts';
import { duration, size } from '../../src/runtime/schema.ts';
import { connectors } from './stub-connector.ts';

const TEXT = `source: { kind: stub, connection: "db://me:MARKED-URL@\${HOST}/x", password_file: SECRET_FILE }
targets:
  - name: main
    uri: http://127.0.0.1:8181/api/catalog
    catalog: mirror
    auth: { client_id: agent, client_secret: MARKED-SECRET }
    headers: { X-Key: MARKED-HEADER }
ledger: { path: /tmp/ledger.db }
drops: { budget: { floor: 5 } }
`;

async function loaded(text: string = TEXT) {
  const folder = await mkdtemp(join(tmpdir(), 'polaris-push-print-'));
  await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  const secret = join(folder, 'secret');
  await writeFile(secret, 'MARKED-FILE');
  await writeFile(join(folder, 'agent.yaml'), text.replace('SECRET_FILE', secret));
  const options = { env: { HOST: 'host' }, connectors, secrets: new Secrets() };
  return { ...(await loadConfig(join(folder, 'agent.yaml'), options)), secret };
}

test('the effective configuration has variables replaced and defaults filled in, in the words of the file', async () => {
  const { written, secret } = await loaded();
  expect(parse(printConfig(written))).toMatchObject({
    source: {
      kind: 'stub',
      connection: 'db://me:***@host/x',
      password_file: secret,
      port: 5432,
      buffer: '64MiB',
      timeout: '90s',
      tls: false,
    },
    tables: { include: ['**'], exclude: [], locations: [], namespace: { case: 'preserve' } },
    targets: [
      { auth: { client_id: 'agent', client_secret: '***' }, timeouts: { connect: '5s' }, headers: { 'X-Key': '***' } },
    ],
    reconcile: { every: '15m' },
    drops: { mode: 'fenced', budget: { floor: 5, share: 0.2, per: '10m' } },
    log: { level: 'info' },
  });
});

test('no secret is in the effective configuration', async () => {
  expect(printConfig((await loaded()).written)).not.toContain('MARKED');
});

test('the effective configuration, with its secrets put back, is valid and means the same', async () => {
  const first = await loaded();
  const again = printConfig(first.written)
    .replace('db://me:***@', 'db://me:MARKED-URL@')
    .replace('client_secret: "***"', 'client_secret: MARKED-SECRET')
    .replace('X-Key: "***"', 'X-Key: MARKED-HEADER')
    .replace(first.secret, 'SECRET_FILE');
  const second = await loaded(again);
  expect(second.config).toEqual(first.config);
  expect(Object.keys(effectiveConfig(second.written) as object)).toEqual(
    Object.keys(effectiveConfig(first.written) as object),
  );
});

test('a budget that is off stays off', async () => {
  const { written } = await loaded(TEXT.replace('{ floor: 5 }', 'off'));
  expect(parse(printConfig(written))).toMatchObject({ drops: { mode: 'fenced', budget: 'off' } });
});

test.for([1, 999, 1000, 1500, 60_000, 90_000, 3_600_000, 86_400_000])(
  '%i ms is written as a duration that means it',
  (ms) => {
    expect(duration().parse(showDuration(ms))).toBe(ms);
  },
);

test.for([1, 1023, 1024, 64 * 1024 ** 2, 1024 ** 3])('%i bytes are written as a size that means it', (bytes) => {
  expect(size().parse(showSize(bytes))).toBe(bytes);
});

test('the JSON Schema describes every key, with defaults as they are written, and a file beside every secret', async () => {
  const schema = await configJsonSchema(connectors);
  expect(schema.required).toEqual(['source', 'targets']);
  expect(schema).toHaveProperty('properties.reconcile.properties.every.default', '15m');
  expect(schema).toHaveProperty('properties.source.properties.timeout.default', '90s');
  expect(schema).toHaveProperty('properties.source.properties.password.writeOnly', true);
  expect(schema).toHaveProperty('properties.source.properties.password_file.type', 'string');
  expect(schema).toHaveProperty('properties.targets.items.properties.auth.properties.client_secret_file');
  // token_file is a key of its own: the file that is read again whenever it changes.
  expect(schema).toHaveProperty(
    'properties.targets.items.properties.auth.properties.token_file.description',
    expect.stringContaining('renews'),
  );
  expect(JSON.stringify(schema)).not.toMatch(/"format":"(duration|size)"|"secret":true/);
});
