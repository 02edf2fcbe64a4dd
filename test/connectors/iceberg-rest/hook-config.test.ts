import { expect, test } from 'vitest';
import { connectors } from '../../../connectors/index.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { Secrets } from '../../../src/runtime/secrets.ts';

const yaml = (more: string) => `source:
  kind: iceberg-rest
  uri: http://127.0.0.1:1/api/catalog
${more}
targets:
  - { name: main, uri: "http://127.0.0.1:1/api/catalog", catalog: c, auth: { client_id: a, client_secret: planted-secret } }
`;
const parse = (more: string) => parseConfig(yaml(more), 'agent.yaml', { env: {}, connectors, secrets: new Secrets() });

test('a webhook needs a server that takes it, and the error says what to add where', async () => {
  const failure: unknown = await parse('  webhook: { secret: planted-hook-secret }').catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'CONFIG_INVALID' });
  const { message } = failure as Error;
  expect(message).toContain('agent.yaml:4: source.webhook: needs http.listen');
  expect(message).toContain('http: { listen: 127.0.0.1:9184 }');
  expect(message).not.toContain('planted');
});

test('a server without a webhook, both, and neither are fine', async () => {
  const http = 'http: { listen: 127.0.0.1:9184 }';
  const { config } = await parse(`  webhook: { secret: planted-hook-secret }\n${http}`);
  expect(config.http).toMatchObject({ host: '127.0.0.1', port: 9184 });
  for (const more of [http, '']) await parse(more);
});
