import type { TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { ApplicablePolicy, PolicyClient, PolicyFilter } from './policies.ts';

/** What a policy is attached to. */
export type PolicyOrigin =
  | { readonly kind: 'table' }
  | { readonly kind: 'namespace'; readonly namespace: readonly string[] }
  | { readonly kind: 'catalog' }
  /** The error is a denial (`POLARIS_FORBIDDEN`); without one, the policy was taken off while it was looked for. */
  | { readonly kind: 'unknown'; readonly error?: PushError | undefined };

/**
 * Finds out what each policy that applies to a table is attached to, which Polaris doesn't say: it is the nearest thing
 * around the table whose own the policy is. Asks level by level from the table's namespace up to the catalog, as far as
 * needed; a denial leaves the rest unknown. Throws `PushError` for everything else. In the order of `policies`.
 */
export async function policyOrigins(
  client: Pick<PolicyClient, 'applicableWithin'>,
  applied: { readonly table: TableIdentifier; readonly policies: readonly ApplicablePolicy[] },
  filter: PolicyFilter,
  signal: AbortSignal,
): Promise<readonly PolicyOrigin[]> {
  const { table, policies } = applied;
  const found = new Map<ApplicablePolicy, PolicyOrigin>();
  for (const policy of policies) if (!policy.inherited) found.set(policy, { kind: 'table' });
  let denial: PushError | undefined;
  for (let depth = table.namespace.length; depth >= 0 && found.size < policies.length; depth--) {
    const namespace = table.namespace.slice(0, depth);
    let within: readonly ApplicablePolicy[];
    try {
      within = await client.applicableWithin(namespace, filter, signal);
    } catch (error) {
      if (!(error instanceof PushError) || error.code !== 'POLARIS_FORBIDDEN') throw error;
      denial = error;
      break;
    }
    for (const policy of policies) {
      if (found.has(policy)) continue;
      if (within.some((other) => !other.inherited && isSame(other, policy))) {
        found.set(policy, depth === 0 ? { kind: 'catalog' } : { kind: 'namespace', namespace });
      }
    }
  }
  return policies.map((policy) => found.get(policy) ?? { kind: 'unknown', error: denial });
}

/** Whatever its version: it may be updated meanwhile. */
const isSame = (a: ApplicablePolicy, b: ApplicablePolicy): boolean =>
  a.name === b.name &&
  a.namespace.length === b.namespace.length &&
  a.namespace.every((level, at) => level === b.namespace[at]);
