import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { connectors } from '../../connectors/index.ts';
import { describedValues } from '../../scripts/docs/chart-values.ts';
import { ROOT } from '../docs/root.ts';
import { deployed } from './agent-config.ts';
import { parseContainerfile, single } from './containerfile.ts';

const CHART = join(ROOT, 'charts/polaris-push');
const read = (path: string) => readFileSync(join(CHART, path), 'utf8');
type Values = { readonly [key: string]: unknown };
const chart = parse(read('Chart.yaml')) as Values;
const values = parse(read('values.yaml')) as Values;
const project = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  description: string;
};

/** The paths of all keys, down to what isn't a section; an empty section is a value itself. */
const leaves = (value: unknown, path = ''): readonly string[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
    ? Object.entries(value).flatMap(([key, item]) => leaves(item, path === '' ? key : `${path}.${key}`))
    : [path];

describe('The chart', () => {
  test('is of the version of the agent', () => {
    expect({ version: chart['version'], appVersion: chart['appVersion'] }).toEqual({
      version: project.version,
      appVersion: project.version,
    });
  });

  test('explains every value that it has, and has every value that it explains', () => {
    const explained = [...describedValues().keys()];
    const unexplained = leaves(values).filter(
      (path) => !explained.some((key) => path === key || path.startsWith(`${key}.`)),
    );
    expect(unexplained).toEqual([]);
    for (const key of explained) expect(read('README.md')).toContain(`| \`${key}\` `);
  });

  test('runs the agent as the user and in the folders of the image', () => {
    const image = parseContainerfile(readFileSync(join(ROOT, 'Containerfile'), 'utf8')).stages.at(-1);
    if (image === undefined) throw new RangeError('the Containerfile has no stage');
    const [uid, gid] = single(image, 'USER').text.split(':').map(Number);
    expect(values['securityContext']).toMatchObject({ runAsUser: uid, runAsGroup: gid, readOnlyRootFilesystem: true });
    expect(values['podSecurityContext']).toMatchObject({ runAsUser: uid, fsGroup: gid });
    expect(values['http']).toMatchObject({ port: Number(single(image, 'EXPOSE').text) });
    const [ledger = ''] = single(image, 'VOLUME').array ?? [];
    const config = single(image, 'CMD').array?.at(-1);
    expect(read('templates/_pod.tpl')).toContain(`mountPath: ${ledger}`);
    expect(read('templates/_pod.tpl')).toContain(`args: [run, --config, ${config}]`);
  });

  test('gives the agent more time to stop than it takes', async () => {
    const { config } = await deployed(stringify((parse(read('ci/hive-values.yaml')) as Values)['config']), SECRETS);
    expect(Number(values['terminationGracePeriodSeconds']) * 1000).toBeGreaterThan(config.shutdown.drainMs);
  });
});

const SECRETS = '/run/secrets/polaris-push';

describe('An example of values', () => {
  const examples = globSync('ci/*-values.yaml', { cwd: CHART }).toSorted();

  test('is there for every way to use the chart', () => {
    expect(examples.map((path) => basename(path, '-values.yaml'))).toEqual(['everything', 'glue', 'hive', 'sidecar']);
  });

  test.for(examples)('configures the agent by what the agent accepts: %s', async (path) => {
    const { config } = parse(read(path)) as { config: Values };
    const { http } = config;
    // Where it listens is the chart's to say.
    const here = http === undefined ? config : { ...config, http: { listen: '127.0.0.1:9184', ...http } };
    const loaded = await deployed(stringify(here), SECRETS);
    expect(Object.keys(connectors)).toContain(loaded.config.source.kind);
  });

  test.for(examples)('brings every secret file that its configuration names: %s', (path) => {
    const text = read(path);
    const { secrets = {} } = parse(text) as { secrets?: Values };
    const named = [...text.matchAll(/\/run\/secrets\/polaris-push\/([\w.-]+)/g)].map(([, name]) => name);
    expect(new Set(named)).toEqual(new Set(Object.keys(secrets)));
  });
});
