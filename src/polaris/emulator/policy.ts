import { Refusal } from './reply.ts';

/** The types that Polaris 1.7.0 knows. All of them pass from catalog to namespace to table. */
const TYPES = [
  'system.data-compaction',
  'system.metadata-compaction',
  'system.orphan-file-removal',
  'system.snapshot-expiry',
] as const;

export type PolicyType = (typeof TYPES)[number];

/** Undefined for one that Polaris doesn't know. */
export const policyType = (name: unknown): PolicyType | undefined => TYPES.find((type) => type === name);

/** Policies attached to one thing: of each type at most one. */
export type Attached = Map<PolicyType, Policy>;

/** A policy of a namespace. Mappings refer to it, so an update is seen wherever it is attached. */
export class Policy {
  readonly namespace: readonly string[];
  readonly name: string;
  readonly type: PolicyType;
  description: string | null;
  content: string | null;
  version = 0;

  constructor(spec: {
    readonly namespace: readonly string[];
    readonly name: string;
    readonly type: PolicyType;
    readonly description: string | null;
    readonly content: string | null;
  }) {
    this.namespace = spec.namespace;
    this.name = spec.name;
    this.type = spec.type;
    this.description = spec.description;
    this.content = spec.content;
  }

  /** As the API shows it. */
  get json(): Readonly<Record<string, unknown>> {
    const { type, name, description, content, version } = this;
    return { 'policy-type': type, inheritable: true, name, description, content, version };
  }
}

/** As Polaris's messages name a policy. */
export const policyName = (namespace: readonly string[], name: string): string =>
  `PolicyIdentifier[namespace=${namespace.join('.')}, name=${name}]`;

const SCHEMA_VERSION = '2025-02-03';

/**
 * What Polaris demands of a content of any of its types: JSON with a boolean `enable`, of the only version of the schema
 * there is (source: BaseMaintenancePolicyContent and its kin; the messages are our own where Jackson's would stand).
 */
export function assertContent(content: string | null): void {
  if (content === null || content === '') throw invalid('Policy is empty');
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw invalid(`The content is not JSON: ${(error as SyntaxError).message}`);
  }
  if (typeof value !== 'object' || value === null) throw invalid(`Invalid policy: ${content}`);
  const { enable, version } = value as Readonly<Record<string, unknown>>;
  if (typeof enable !== 'boolean') throw invalid('The content needs a boolean "enable"');
  if (version !== undefined && version !== null && version !== '' && version !== SCHEMA_VERSION) {
    throw invalid(`Invalid policy version: ${JSON.stringify(version)}`);
  }
}

const invalid = (message: string): Refusal => new Refusal(400, 'InvalidPolicyException', message);
