import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../docs/root.ts';
import { deployed } from './agent-config.ts';
import { schemaLocation, writeCustomSchema, writeSchemas } from './kubernetes-schemas.ts';
import { agentIn, manifests, one, podOf, type Manifest, type PodTemplate } from './manifest.ts';
import { METASTORE_CHART } from './metastore-chart.ts';
import type { Step } from './step.ts';
import { helm, kubeconform, outcome, pythonPackages, serviceMonitorDefinition, type Ran } from './tools.ts';

const CHART = join(ROOT, 'charts/polaris-push');
const EXAMPLE = join(CHART, 'examples/hive-metastore-sidecar.yaml');
const SECRETS = '/run/secrets/polaris-push';
/** The oldest that the chart takes, the newest whose schemas there are, and one between. */
const KUBERNETES = ['1.25', '1.31', '1.37'] as const;
const EXAMPLES = ['hive', 'everything', 'glue', 'sidecar'] as const;
type ExampleName = (typeof EXAMPLES)[number];

type Options = { readonly set?: string; readonly version?: string; readonly release?: string };

async function template(example: ExampleName, options: Options = {}): Promise<string> {
  const { status, stdout, stderr } = await rendered(example, options);
  assert.equal(status, 0, stderr);
  return stdout;
}

async function rendered(example: ExampleName, { set, version = '1.31', release = 'r' }: Options = {}): Promise<Ran> {
  const values = join(CHART, `ci/${example}-values.yaml`);
  const args = ['template', release, CHART, '--values', values, '--kube-version', version];
  return outcome(await helm(), set === undefined ? args : [...args, '--set', set]);
}

const kindsOf = (found: readonly Manifest[]) => found.map(({ kind }) => kind).toSorted((a, b) => (a < b ? -1 : 1));

async function lints(): Promise<string> {
  for (const example of EXAMPLES) {
    const values = join(CHART, `ci/${example}-values.yaml`);
    const { status, stdout } = await outcome(await helm(), [
      'lint',
      '--strict',
      CHART,
      '--values',
      values,
      '--kube-version',
      '1.31',
    ]);
    assert.equal(status, 0, stdout);
    assert.ok(!stdout.includes('[WARNING]'), stdout);
  }
  return `${EXAMPLES.length} sets of values`;
}

async function rendersWhatItShould(): Promise<string> {
  const expected: Readonly<Record<ExampleName, readonly string[]>> = {
    hive: ['ConfigMap', 'Pod', 'Service', 'ServiceAccount', 'StatefulSet'],
    everything: [
      'ConfigMap',
      'NetworkPolicy',
      'Pod',
      'PodDisruptionBudget',
      'Service',
      'ServiceAccount',
      'ServiceMonitor',
      'StatefulSet',
    ],
    glue: ['ConfigMap', 'Pod', 'ServiceAccount', 'StatefulSet'],
    sidecar: ['ConfigMap', 'PersistentVolumeClaim'],
  };
  for (const example of EXAMPLES) assert.deepEqual(kindsOf(manifests(await template(example))), expected[example]);
  return 'the kinds of each set of values';
}

/** What the agent will find in its configuration file is what the agent accepts. */
async function configures(): Promise<string> {
  const listens: string[] = [];
  for (const example of EXAMPLES) {
    const { data = {} } = one(manifests(await template(example)), 'ConfigMap');
    const { config } = await deployed(data['polaris-push.yaml'] ?? '', SECRETS);
    assert.equal(config.ledger.path, '/var/lib/polaris-push/ledger.db');
    listens.push(
      config.http === undefined ? 'off' : `${config.http.host}:${config.http.port} ${config.http.open.join('+')}`,
    );
  }
  assert.deepEqual(listens, [
    '0.0.0.0:9184 health+metrics',
    '0.0.0.0:9999 health',
    'off',
    '0.0.0.0:9184 health+metrics',
  ]);
  return 'each configuration loads';
}

const namesOf = (all: readonly { readonly name: string }[]) => new Set(all.map(({ name }) => name));

async function runsOnePod(): Promise<string> {
  const found = manifests(await template('hive'));
  const { replicas, volumeClaimTemplates = [] } = one(found, 'StatefulSet').spec;
  const pod = podOf(found, 'StatefulSet');
  const agent = agentIn(pod);
  assert.equal(replicas, 1);
  assert.deepEqual(agent.args, ['run', '--config', '/etc/polaris-push/polaris-push.yaml']);
  assert.equal(agent.securityContext['readOnlyRootFilesystem'], true);
  assert.deepEqual(agent.securityContext['capabilities'], { drop: ['ALL'] });
  assert.equal(pod.spec.automountServiceAccountToken, false);
  const probes = [agent.startupProbe, agent.livenessProbe, agent.readinessProbe];
  assert.deepEqual(
    probes.map((probe) => probe?.httpGet.path),
    ['/livez', '/livez', '/readyz'],
  );
  const volumes = [...pod.spec.volumes, ...volumeClaimTemplates.map(({ metadata }) => metadata)];
  assert.deepEqual(namesOf(agent.volumeMounts), namesOf(volumes));
  const stopped = one(manifests(await template('hive', { set: 'replicas=0' })), 'StatefulSet');
  assert.equal(stopped.spec.replicas, 0);
  return 'one, hardened, with every volume mounted';
}

const podWith = async (options: Options): Promise<PodTemplate> =>
  podOf(manifests(await template('hive', options)), 'StatefulSet');
const checksumOf = ({ metadata }: PodTemplate) => metadata.annotations?.['checksum/config'];

async function restartsForANewConfiguration(): Promise<string> {
  const before = await podWith({});
  assert.notEqual(checksumOf(before), checksumOf(await podWith({ set: 'config.log.level=debug' })));
  assert.deepEqual(before, await podWith({ set: 'serviceMonitor.enabled=true,podDisruptionBudget.enabled=true' }));
  return 'and for nothing that is not of the pod';
}

async function watches(): Promise<string> {
  const found = manifests(await template('everything'));
  const { spec } = one(found, 'ServiceMonitor');
  assert.deepEqual(spec.endpoints?.[0]?.authorization?.credentials, { name: 'page', key: 'admin' });
  const open = one(manifests(await template('hive', { set: 'serviceMonitor.enabled=true' })), 'ServiceMonitor');
  assert.equal(open.spec.endpoints?.length, 1);
  assert.equal(open.spec.endpoints[0]?.authorization, undefined);
  assert.deepEqual(spec.selector?.['matchLabels'], one(found, 'Service').spec.selector);
  assert.deepEqual(one(found, 'NetworkPolicy').spec.policyTypes, ['Ingress', 'Egress']);
  const account = one(manifests(await template('glue')), 'ServiceAccount');
  assert.deepEqual(account.metadata.annotations, {
    'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/polaris-push',
  });
  return 'ServiceMonitor with the token where metrics need it, NetworkPolicy, IRSA';
}

/** Values that are refused, and what the refusal names. */
const REFUSED = [
  ['config.source.conection=x', "'conection' not allowed"],
  ['config.source.kind=hdfs', '/config/source/kind'],
  ['config.targets[0].auth.client_secret=hunter2', '/config/targets/0/auth/client_secret'],
  ['config.source.connection=postgresql://u:hunter2@h/d', '/config/source/connection'],
  ['replicas=2', '/replicas'],
  ['http.token.secretName=', '/http/token/secretName'],
  ['secrets.x.secretName=y', "'key'"],
  ['persistence.acessModes=x', "'acessModes' not allowed"],
  ['persistence.accessModes[0]=ReadWriteMany', '/persistence/accessModes/0'],
  ['mode=daemonset', '/mode'],
] as const;

async function refuses(): Promise<string> {
  for (const [set, named] of REFUSED) {
    const { status, stderr } = await rendered('hive', { set });
    assert.notEqual(status, 0, `not refused: ${set}`);
    assert.ok(stderr.includes(named), `${set} is refused without ${named}:\n${stderr}`);
  }
  const old = await rendered('hive', { version: '1.24' });
  assert.notEqual(old.status, 0, 'not refused: Kubernetes 1.24');
  const { status, stderr } = await rendered('hive', { set: 'config.reconcile.every=${EVERY}' });
  assert.equal(status, 0, stderr);
  return `${REFUSED.length} mistakes, each by its name`;
}

async function names(): Promise<string> {
  const long = manifests(await template('hive', { set: `nameOverride=${'x'.repeat(60)}` }));
  for (const { metadata } of long) assert.ok(metadata.name.length <= 63, metadata.name);
  const other = manifests(await template('hive', { release: 'polaris-push-east' }));
  assert.equal(one(other, 'StatefulSet').metadata.name, 'polaris-push-east');
  return 'no longer than Kubernetes takes';
}

/** Helm shows notes only where it installs, so they are rendered here as a template like any other. */
async function notes(): Promise<string> {
  for (const [example, said] of [
    ['hive', 'polaris-push 0.1.0: hive → hive_mirror.'],
    ['everything', 'hive → hive_mirror, hive_mirror.'],
    ['glue', 'WARNING: without persistence the ledger is lost with the pod.'],
    ['sidecar', 'Mode sidecar: this release holds a ConfigMap'],
  ] as const) {
    const text = await inCopy(async (folder) => {
      renameSync(join(folder, 'templates/NOTES.txt'), join(folder, 'templates/_notes.tpl'));
      const name = join(folder, 'templates/_notes.tpl');
      writeFileSync(name, `{{ define "notes" }}${readFileSync(name, 'utf8')}{{ end }}`);
      writeFileSync(join(folder, 'templates/notes.yaml'), 'kind: Notes\ntext: {{ include "notes" . | quote }}\n');
      const values = join(CHART, `ci/${example}-values.yaml`);
      const args = [
        'template',
        'r',
        folder,
        '--values',
        values,
        '--kube-version',
        '1.31',
        '--show-only',
        'templates/notes.yaml',
      ];
      const { status, stdout, stderr } = await outcome(await helm(), args);
      assert.equal(status, 0, stderr);
      return stdout;
    });
    const { text: found } = parse(text) as { text: string };
    assert.ok(found.includes(said), found);
  }
  return 'what was installed, and what to do next';
}

async function inCopy<Result>(task: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-chart-'));
  try {
    cpSync(CHART, folder, { recursive: true });
    return await task(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The values of docs/deployment.md, as they stand there. */
async function isDocumented(): Promise<string> {
  const guide = readFileSync(join(ROOT, 'docs/deployment.md'), 'utf8');
  const [text] = /(?<=```yaml\n)image:[^]*?(?=```)/.exec(guide) ?? [];
  assert.ok(text !== undefined, 'the guide shows no values');
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-values-'));
  try {
    const values = join(folder, 'values.yaml');
    writeFileSync(values, text);
    const args = ['template', 'mirror', CHART, '--values', values, '--kube-version', '1.31'];
    const { status, stdout, stderr } = await outcome(await helm(), args);
    assert.equal(status, 0, stderr);
    const { data = {}, metadata } = one(manifests(stdout), 'ConfigMap');
    await deployed(data['polaris-push.yaml'] ?? '', SECRETS);
    assert.ok(guide.includes(`kubectl logs ${metadata.name}-0`), `the guide calls it otherwise than ${metadata.name}`);
    return 'its values install what its commands name';
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The container within a pod of another chart. */
async function lendsItsContainer(): Promise<string> {
  const found = manifests(await parentChart());
  const pod = podOf(found, 'Deployment');
  const agent = agentIn(pod);
  assert.deepEqual(namesOf(pod.spec.containers), new Set(['metastore', 'polaris-push']));
  assert.equal(agent.readinessProbe, undefined);
  assert.deepEqual(namesOf(agent.volumeMounts), namesOf(pod.spec.volumes));
  const volume = (name: string) => pod.spec.volumes.find((each) => each.name === name);
  const claim = one(found, 'PersistentVolumeClaim').metadata.name;
  assert.equal(volume('polaris-push-ledger')?.persistentVolumeClaim?.claimName, claim);
  assert.equal(volume('polaris-push-config')?.configMap?.name, one(found, 'ConfigMap').metadata.name);
  return 'in the pod of a metastore, with its volumes';
}

async function parentChart(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-parent-'));
  try {
    for (const [path, text] of Object.entries(METASTORE_CHART)) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    cpSync(CHART, join(folder, 'charts/polaris-push'), { recursive: true });
    const { status, stdout, stderr } = await outcome(await helm(), ['template', 'r', folder, '--kube-version', '1.31']);
    assert.equal(status, 0, stderr);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Everything that is rendered, and the example without Helm, against the schemas of Kubernetes. */
async function conforms(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-schemas-'));
  try {
    const packages = await pythonPackages();
    for (const version of KUBERNETES) writeSchemas(packages, version, folder);
    writeCustomSchema(await serviceMonitorDefinition(), KUBERNETES, folder);
    const judge = await kubeconform();
    const judged = (version: string, file: string) =>
      outcome(judge, [
        '-strict',
        '-summary',
        '-output',
        'json',
        '-kubernetes-version',
        `${version}.0`,
        '-schema-location',
        schemaLocation(folder),
        file,
      ]);
    let valid = 0;
    for (const version of KUBERNETES) {
      const texts = await Promise.all(EXAMPLES.map((example) => template(example, { version })));
      const file = join(folder, 'rendered.yaml');
      writeFileSync(file, [...texts, await parentChart()].join('\n---\n'));
      for (const each of [file, EXAMPLE]) {
        const { status, stdout } = await judged(version, each);
        assert.equal(status, 0, stdout);
        const { summary } = JSON.parse(stdout) as { summary: { valid: number; skipped: number } };
        assert.equal(summary.skipped, 0);
        valid += summary.valid;
      }
    }
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(wrong, (await template('everything')).replace('scrapeTimeout:', 'scrapeTimeOut:'));
    assert.notEqual((await judged('1.31', wrong)).status, 0, 'a misspelt key of the ServiceMonitor is not noticed');
    writeFileSync(wrong, (await template('hive')).replace('serviceName:', 'servicename:'));
    assert.notEqual((await judged('1.31', wrong)).status, 0, 'a misspelt key of the StatefulSet is not noticed');
    return `${valid} objects for Kubernetes ${KUBERNETES.join(', ')}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function packs(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-chart-'));
  try {
    const { status, stderr } = await outcome(await helm(), ['package', CHART, '--destination', folder]);
    assert.equal(status, 0, stderr);
    const [archive = ''] = readdirSync(folder);
    const { stdout } = await outcome('tar', ['-tzf', join(folder, archive)]);
    const files = stdout.trim().split('\n');
    assert.ok(files.includes('polaris-push/values.schema.json'));
    assert.deepEqual(
      files.filter((file) => /^polaris-push\/(ci|examples)\//.test(file)),
      [],
    );
    return `${files.length} files`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const chartSteps: readonly Step[] = [
  { name: 'helm lint --strict has nothing to say', run: lints },
  { name: 'it renders what each set of values asks for', run: rendersWhatItShould },
  { name: 'it gives the agent a configuration that the agent accepts', run: configures },
  { name: 'it runs one pod', run: runsOnePod },
  { name: 'it restarts the pod for a new configuration', run: restartsForANewConfiguration },
  { name: 'it opens the agent to those who watch', run: watches },
  { name: 'wrong values are refused before anything is installed', run: refuses },
  { name: 'names fit', run: names },
  { name: 'its notes say', run: notes },
  { name: 'the guide', run: isDocumented },
  { name: 'it lends its container to another chart', run: lendsItsContainer },
  { name: 'Kubernetes would take everything', run: conforms },
  { name: 'it can be packed', run: packs },
];
