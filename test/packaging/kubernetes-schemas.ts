import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Node = { readonly [key: string]: unknown };

/** Every kind that the chart renders, as files of JSON Schemas name it. */
const KINDS = [
  'configmap-v1',
  'deployment-apps-v1',
  'networkpolicy-networking-v1',
  'persistentvolumeclaim-v1',
  'pod-v1',
  'poddisruptionbudget-policy-v1',
  'service-v1',
  'serviceaccount-v1',
  'statefulset-apps-v1',
];

/** Where kubeconform finds what `writeSchemas` wrote to `folder`. */
export const schemaLocation = (folder: string): string =>
  join(folder, '{{.NormalizedKubernetesVersion}}', '{{.ResourceKind}}{{.KindSuffix}}.json');

/**
 * Writes a schema per kind that needs no other file. The package `kubernetes-validate` holds those of a version in one
 * file of definitions, to which the others refer by an address that only its own reader knows.
 */
export function writeSchemas(packages: string, version: string, folder: string): void {
  const from = join(packages, 'kubernetes_validate/kubernetes-json-schema', `v${version}.0-local-strict`);
  const read = (name: string) => readFileSync(join(from, `${name}.json`), 'utf8');
  const { $defs: all } = JSON.parse(read('_definitions')) as { $defs: Readonly<Record<string, Node>> };
  const to = join(folder, `v${version}.0`);
  mkdirSync(to, { recursive: true });
  for (const kind of KINDS) {
    const schema = JSON.parse(read(kind).replaceAll('/api/_definitions.json#', '#')) as Node;
    writeFileSync(join(to, `${kind}.json`), JSON.stringify({ ...schema, $defs: referred(schema, all) }));
  }
}

/** The definitions that a schema refers to, and those that they refer to. */
function referred(schema: Node, all: Readonly<Record<string, Node>>): Readonly<Record<string, Node>> {
  const found: Record<string, Node> = {};
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const { $ref: reference } = value as { $ref?: unknown };
    const name = typeof reference === 'string' ? reference.replace('#/$defs/', '') : undefined;
    const definition = name === undefined ? undefined : all[name];
    if (name !== undefined && definition !== undefined && found[name] === undefined) {
      found[name] = definition;
      visit(definition);
    }
    Object.values(value).forEach(visit);
  };
  visit(schema);
  return found;
}

/** Writes the schema within a custom resource definition, which Kubernetes takes as strict. */
export function writeCustomSchema(definition: unknown, versions: readonly string[], folder: string): void {
  const { spec } = definition as {
    spec: { names: { kind: string }; group: string; versions: { name: string; schema: { openAPIV3Schema: Node } }[] };
  };
  const [group = ''] = spec.group.split('.');
  for (const { name, schema } of spec.versions)
    for (const version of versions) {
      const file = `${spec.names.kind.toLowerCase()}-${group}-${name}.json`;
      writeFileSync(join(folder, `v${version}.0`, file), JSON.stringify(strict(schema.openAPIV3Schema, true)));
    }
}

/** Structural schemas drop what they don't name; here that is an error. Metadata of the object itself is Kubernetes' own. */
function strict(value: unknown, root = false): unknown {
  if (Array.isArray(value)) return value.map((item) => strict(item));
  if (typeof value !== 'object' || value === null) return value;
  const node = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, strict(item)]));
  if (node['x-kubernetes-int-or-string'] === true) return { anyOf: [{ type: 'integer' }, { type: 'string' }] };
  const closed = typeof node['properties'] === 'object' && !('additionalProperties' in node) && !root;
  return closed ? { ...node, additionalProperties: false } : node;
}
