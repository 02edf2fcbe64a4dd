import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { expect, test } from 'vitest';
import { connectors } from '../../connectors/index.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Secrets } from '../../src/runtime/secrets.ts';
import { blocksOf, type Block } from './blocks.ts';
import { ROOT } from './root.ts';

type Section = { readonly [key: string]: unknown };

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const BASE = parse(read('examples/hive-sidecar/polaris-push.yaml')) as Section;
const { properties } = JSON.parse(read('docs/reference/config.schema.json')) as { properties: object };

/** YAML that is no configuration of ours: by its first key, what it is, and who looks at it. */
const OTHERS: Readonly<Record<string, string>> = {
  image: 'values of the Helm chart, in test/packaging',
  spec: 'a pod that takes the chart as its sidecar, in test/packaging',
  scrape_configs: 'a configuration of Prometheus',
};

const BLOCKS = blocksOf('yaml');
/** Of its first level. Not parsed, as a template needn't be YAML yet. */
const keysOf = ({ text }: Block): readonly string[] => [...text.matchAll(/^([\w-]+):/gm)].map(([, key = '']) => key);
const CONFIGURATIONS = BLOCKS.filter((block) => keysOf(block).every((key) => Object.hasOwn(properties, key)));

/** A section with what a page leaves out because it was shown before: the rest of the example's, or of the page's own source. */
function completed({ page, text }: Block): Section {
  const shown = parse(text) as { readonly source?: Section };
  const sources = CONFIGURATIONS.filter((block) => block.page === page).map(
    (block) => (parse(block.text) as { readonly source?: Section }).source,
  );
  const whole = sources.find((source) => source?.['kind'] !== undefined) ?? (BASE['source'] as Section);
  const source = shown.source?.['kind'] === undefined ? { ...whole, ...shown.source } : shown.source;
  return { ...BASE, ...shown, source };
}

/** The same with files that exist here wherever it names one. */
function withFiles(value: unknown, fileOf: (key: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => withFiles(item, fileOf));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key.endsWith('_file') && typeof item === 'string' ? fileOf(key) : withFiles(item, fileOf),
    ]),
  );
}

test('the pages show configurations, and no other YAML than is known', () => {
  expect(CONFIGURATIONS.length).toBeGreaterThan(10);
  const unknown = BLOCKS.filter((block) => !CONFIGURATIONS.includes(block)).filter(
    (block) => !Object.hasOwn(OTHERS, keysOf(block)[0] ?? ''),
  );
  expect(unknown.map(({ page, text }) => `${page}:\n${text}`)).toEqual([]);
});

test.for(CONFIGURATIONS)('a configuration of $page is accepted', async (block) => {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-shown-'));
  try {
    const fileOf = (key: string) => {
      const file = join(folder, key);
      const secret = `whsec_${Buffer.from('a secret of the documentation').toString('base64')}`;
      writeFileSync(file, key === 'connection_file' ? 'postgresql://agent:secret@metastore-db:5432/metastore' : secret);
      return file;
    };
    const text = JSON.stringify(withFiles(completed(block), fileOf));
    const path = join(folder, 'polaris-push.yaml');
    writeFileSync(path, text);
    const env = Object.fromEntries(
      [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => [name, `value-of-${name}`]),
    );
    const { config } = await loadConfig(path, { env, connectors, secrets: new Secrets() });
    expect(config.targets.length).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
