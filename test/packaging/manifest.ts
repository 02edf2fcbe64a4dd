import assert from 'node:assert/strict';
import { parseAllDocuments } from 'yaml';

type Named = { readonly name: string };
type Probe = { readonly httpGet: { readonly path: string } };

export type Container = Named & {
  readonly args: readonly string[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly Named[];
};

export type Volume = Named & {
  readonly configMap?: Named;
  readonly persistentVolumeClaim?: { readonly claimName: string };
};

export type PodTemplate = {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly automountServiceAccountToken?: boolean;
    readonly containers: readonly Container[];
    readonly volumes: readonly Volume[];
  };
};

/** As much of the specifications of the kinds that the chart renders as is looked at. */
export type Spec = {
  readonly replicas?: number;
  readonly template?: PodTemplate;
  readonly volumeClaimTemplates?: readonly { readonly metadata: Named }[];
  readonly selector?: Readonly<Record<string, unknown>>;
  readonly endpoints?: readonly { readonly authorization?: { readonly credentials: object } }[];
  readonly policyTypes?: readonly string[];
};

export type Manifest = {
  readonly kind: string;
  readonly metadata: Named & { readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Spec;
};

/** The objects within rendered YAML. */
export const manifests = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).flatMap((document) => {
    assert.ok('errors' in document, 'nothing was rendered');
    assert.deepEqual(document.errors, []);
    return document.contents === null ? [] : [document.toJS() as Manifest];
  });

/** The only object of a kind. */
export function one(found: readonly Manifest[], kind: string): Manifest & { readonly spec: Spec } {
  const [manifest, ...more] = found.filter((each) => each.kind === kind);
  assert.ok(manifest !== undefined && more.length === 0, `expected one ${kind}`);
  return { spec: {}, ...manifest };
}

/** The pod of the only object of a kind. */
export function podOf(found: readonly Manifest[], kind: string): PodTemplate {
  const { template } = one(found, kind).spec;
  assert.ok(template !== undefined);
  return template;
}

/** The agent's container in a pod. */
export function agentIn({ spec }: PodTemplate): Container {
  const agent = spec.containers.find(({ name }) => name === 'polaris-push');
  assert.ok(agent !== undefined, `no agent among ${spec.containers.map(({ name }) => name).join(', ')}`);
  return agent;
}
