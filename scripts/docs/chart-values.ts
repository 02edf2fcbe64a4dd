import type { JsonSchema } from '../../src/config/json-schema.ts';
import { chartConfigSchema } from './chart-config-schema.ts';

type Node = Readonly<Record<string, unknown>>;

const text = (description: string, more: Node = {}): Node => ({ type: 'string', description, ...more });
const flag = (description: string): Node => ({ type: 'boolean', description });
const count = (description: string, minimum: number, maximum?: number): Node => ({
  type: 'integer',
  minimum,
  ...(maximum === undefined ? {} : { maximum }),
  description,
});
const section = (properties: Readonly<Record<string, Node>>): Node => ({
  type: 'object',
  properties,
  additionalProperties: false,
});
/** What Kubernetes itself checks. */
const raw = (description: string): Node => ({ type: 'object', description });
const list = (description: string, items: Node = { type: 'object' }): Node => ({ type: 'array', items, description });
const texts = (description: string): Node => ({
  type: 'object',
  additionalProperties: { type: 'string' },
  description,
});

const NAME = { pattern: '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$' };
const TIME = { pattern: '^([0-9]+(ms|s|m|h))+$' };

const probe = (description: string): Node => ({
  type: 'object',
  description,
  additionalProperties: false,
  properties: Object.fromEntries(
    ['initialDelaySeconds', 'periodSeconds', 'timeoutSeconds', 'failureThreshold'].map((key) => [
      key,
      { type: 'integer', minimum: key === 'initialDelaySeconds' ? 0 : 1 },
    ]),
  ),
});

const secretOf: Node = {
  type: 'object',
  properties: {
    secretName: { type: 'string', minLength: 1, ...NAME },
    key: { type: 'string', minLength: 1, pattern: '^[-._a-zA-Z0-9]+$' },
  },
  required: ['secretName', 'key'],
  additionalProperties: false,
};

/** What is in values.yaml, by the path of its keys. Descriptions go into the chart's README. */
const VALUES: Readonly<Record<string, Node>> = {
  mode: {
    enum: ['standalone', 'sidecar'],
    description:
      '`standalone`: a StatefulSet. `sidecar`: only the ConfigMap and the claim, for a container in another pod.',
  },
  nameOverride: text("Instead of the chart's name."),
  fullnameOverride: text('Name of everything, instead of one made from release and chart.'),
  image: section({
    repository: text('The image; build it from the Containerfile.', { minLength: 1 }),
    tag: text("Empty: the chart's `appVersion`."),
    digest: text('Wins over the tag.', { pattern: '^(sha256:[0-9a-f]{64})?$' }),
    pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'], description: 'When the image is pulled.' },
  }),
  imagePullSecrets: list('Secrets of the registry, as `{ name: … }`.'),
  replicas: count('1, or 0 to stop the agent. Never more, as one ledger has one owner.', 0, 1),
  secrets: {
    type: 'object',
    description:
      'Files below `/run/secrets/polaris-push`: name of the file → `{ secretName, key }`. They are read at start: after a change, `kubectl rollout restart`.',
    propertyNames: { pattern: '^[-._a-zA-Z0-9]+$', not: { const: 'http-token' } },
    additionalProperties: secretOf,
  },
  http: section({
    enabled: flag('Metrics, health and status page. Without it there are no probes, Service and ServiceMonitor.'),
    port: count('The port.', 1024, 65_535),
    token: section({
      secretName: text(
        'Secret with the token that opens the status page and the API. Metrics and health need none, unless `config.http.open` says so.',
        NAME,
      ),
      key: text('Its key.', { minLength: 1 }),
    }),
  }),
  env: list('Environment variables, for `${NAME}` in `config`.'),
  envFrom: list('ConfigMaps and Secrets whose keys become environment variables.'),
  extraVolumes: list('Further volumes of the pod, such as a private certificate authority.'),
  extraVolumeMounts: list('Where the agent finds them.'),
  persistence: section({
    enabled: flag('Keep the ledger. Without it every start compares all tables with Polaris anew.'),
    existingClaim: text('A claim that exists, instead of one by the chart.', NAME),
    storageClass: text("Empty: the cluster's default. Block storage: SQLite's locks don't hold on NFS."),
    accessModes: list('`ReadWriteOncePod` where the cluster has it.', {
      enum: ['ReadWriteOnce', 'ReadWriteOncePod'],
    }),
    size: text('A ledger takes about a kilobyte per table.', { pattern: '^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$' }),
    annotations: texts('Annotations of the claim.'),
  }),
  serviceAccount: section({
    create: flag('Create the account.'),
    name: text("Its name. Empty: the release's, or `default` if none is created.", NAME),
    annotations: texts('For IRSA: `eks.amazonaws.com/role-arn`.'),
    automountToken: flag("Mount Kubernetes' own token. The agent never uses it; IRSA brings its own."),
  }),
  podAnnotations: texts('Annotations of the pod.'),
  podLabels: texts('Labels of the pod.'),
  podSecurityContext: raw("The pod's security context. The ledger's volume must be writable: `fsGroup`."),
  securityContext: raw("The container's security context. The root file system can stay read-only."),
  resources: raw('Requests and limits.'),
  nodeSelector: texts('Nodes that qualify.'),
  tolerations: list('Taints that are tolerated.'),
  affinity: raw('Affinity.'),
  priorityClassName: text('Priority class.'),
  terminationGracePeriodSeconds: count(
    'Longer than `shutdown.drain` of the configuration, which is 30s unless told.',
    1,
  ),
  probes: section({
    startup: probe('Of `/livez`, until it first succeeds.'),
    liveness: probe('Of `/livez`.'),
    readiness: probe(
      'Of `/readyz`. The pod is not ready while the source or a target is down. In `standalone` mode only.',
    ),
  }),
  service: section({
    type: { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'], description: 'Type of the Service.' },
    annotations: texts('Annotations of the Service.'),
  }),
  serviceMonitor: section({
    enabled: flag('A ServiceMonitor for the Prometheus Operator.'),
    interval: text('How often.', TIME),
    scrapeTimeout: text('How long at most.', TIME),
    labels: texts('Labels by which your Prometheus finds it, such as `release`.'),
  }),
  podDisruptionBudget: section({
    enabled: flag('A PodDisruptionBudget.'),
    maxUnavailable: count('0: `kubectl drain` waits until somebody deletes the pod. 1: it never waits.', 0, 1),
  }),
  networkPolicy: section({
    enabled: flag('A NetworkPolicy.'),
    ingressFrom: list('Who may reach the HTTP port, as in `from`. Empty: pods of the namespace.'),
    egress: list('What the agent may reach besides DNS, as in `egress`. Empty: everything.'),
  }),
  // What a chart that depends on this one may give it; values.yaml has neither.
  global: raw('Values that Helm shares with subcharts; not used.'),
  enabled: flag('For the `condition` of a dependency; not used.'),
};

const CONFIG = "The agent's configuration; a secret in it is refused, a variable or a `_file` is taken.";

/** Whoever reaches the port from outside needs a token, which is a Secret's. */
const TOKEN = {
  if: { properties: { http: { properties: { enabled: { const: true } } } } },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { properties: { http: { properties: { token: { properties: { secretName: { minLength: 1 } } } } } } },
};

/** `values.schema.json`, by which Helm checks the values, the agent's configuration among them. */
export function chartValuesSchema(config: JsonSchema): Node {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart polaris-push',
    type: 'object',
    properties: { config: { ...chartConfigSchema(config), description: CONFIG }, ...VALUES },
    required: ['config'],
    additionalProperties: false,
    ...TOKEN,
  };
}

/** Every value that may be given: the path of its key, and what it is for. */
export function describedValues(): ReadonlyMap<string, string> {
  const found = new Map<string, string>([['config', CONFIG]]);
  const visit = (nodes: Readonly<Record<string, Node>>, prefix: string): void => {
    for (const [key, node] of Object.entries(nodes)) {
      if (typeof node['description'] === 'string') found.set(`${prefix}${key}`, node['description']);
      else visit(node['properties'] as Record<string, Node>, `${prefix}${key}.`);
    }
  };
  visit(VALUES, '');
  for (const key of ['global', 'enabled']) found.delete(key);
  return found;
}
