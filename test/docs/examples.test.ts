import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import { connectors } from '../../connectors/index.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Secrets } from '../../src/runtime/secrets.ts';
import { markedBlock } from './marked-blocks.ts';
import { ROOT } from './root.ts';

const FILES = globSync('examples/**/polaris-push.yaml', { cwd: ROOT }).toSorted();
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** A value for each variable that the file names. */
const environment = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => [name, `value-of-${name}`]));

describe('The configuration of an example', () => {
  test.for(FILES)('is accepted: %s', async (path) => {
    const { config } = await loadConfig(join(ROOT, path), {
      env: environment(read(path)),
      connectors,
      secrets: new Secrets(),
    });
    expect(config.targets.length).toBeGreaterThan(0);
  });

  test.for(FILES)('holds no secret: %s', async (path) => {
    const secrets = /^\s*(?:client_secret|token|password):\s*(?!\$\{)\S|:\/\/[^\s/:]+:(?!\$\{)[^\s@]+@/m;
    expect(read(path)).not.toMatch(secrets);
  });

  test('has a page beside it', () => {
    for (const path of FILES) expect(read(join(dirname(path), 'README.md'))).toMatch(/^# /);
  });

  test('of the sidecar is the one that the README shows', () => {
    const shown = markedBlock(read('README.md'), 'guide: polaris-push.yaml');
    expect(parse(shown)).toEqual(parse(read('examples/hive-sidecar/polaris-push.yaml')));
  });
});

test('the pages of the examples show nothing that a configuration may not hold', async () => {
  const page = read('examples/hive-sidecar/README.md');
  const base = parse(read('examples/hive-sidecar/polaris-push.yaml')) as Record<string, unknown>;
  const blocks = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) => parse(text) as object);
  expect(blocks.length).toBeGreaterThan(0);
  const schema = JSON.parse(read('docs/reference/config.schema.json')) as { properties: Record<string, unknown> };
  for (const block of blocks) {
    for (const key of Object.keys(block)) expect(schema.properties).toHaveProperty(key);
    expect({ ...base, ...block }).toHaveProperty('source');
  }
});
