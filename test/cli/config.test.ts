import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { agentFile } from './agent-file.ts';
import { ndjson, run } from './command-line.ts';

test('config print shows the effective configuration as YAML, without secrets', async () => {
  await using agent = await agentFile({ clientSecret: 'MARKED-SECRET' });
  const { exitCode, stdout, stderr } = await run(['config', 'print', '--config', agent.config]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(parse(stdout)).toMatchObject({
    source: { kind: 'hive', connection: '***', slot: 'polaris_push', connect_timeout: '5s' },
    targets: [{ name: 'main', auth: { client_id: 'root', client_secret: '***' }, timeouts: { total: '60s' } }],
    ledger: { path: agent.ledger },
    reconcile: { every: '15m' },
  });
  expect(stdout).not.toContain('MARKED');
});

test('config print --json says it as one object', async () => {
  await using agent = await agentFile({ clientSecret: 'MARKED-SECRET' });
  const { stdout } = await run(['config', 'print', '--config', agent.config, '--json']);
  expect(ndjson(stdout)).toMatchObject([{ event: 'config', config: { source: { kind: 'hive' }, prechecks: 'new' } }]);
  expect(stdout).not.toContain('MARKED');
});

test.for([[[]], [['--kind', 'hive']]] as const)('config schema %j is a JSON Schema of every key', async ([argv]) => {
  const { exitCode, stdout } = await run(['config', 'schema', ...argv]);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    required: ['source', 'targets'],
    additionalProperties: false,
    properties: { reconcile: { properties: { every: { default: '15m' } } } },
  });
});

test('every key of every schema has a description', async () => {
  const { stdout } = await run(['config', 'schema']);
  const undescribed: string[] = [];
  const visit = (schema: unknown, path: string) => {
    if (typeof schema !== 'object' || schema === null) return;
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'properties')
        for (const [name, child] of Object.entries(value as Record<string, { description?: string }>))
          if (child.description === undefined) undescribed.push(`${path}.${name}`);
      visit(value, `${path}.${key}`);
    }
  };
  visit(JSON.parse(stdout), '');
  expect(undescribed).toEqual([]);
});
