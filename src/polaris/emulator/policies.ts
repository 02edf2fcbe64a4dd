import type { Catalog, Namespace } from './catalog.ts';
import type { Exchange } from './exchange.ts';
import { isObject, parseJson } from './notification-request.ts';
import { type Attached, assertContent, Policy, policyName, policyType } from './policy.ts';
import type { Operation } from './privileges.ts';
import {
  NO_CONTENT,
  Refusal,
  type Reply,
  alreadyExists,
  badRequest,
  noSuchNamespace,
  noSuchTable,
  ok,
  wrongShape,
} from './reply.ts';

/** Lists aren't cut into pages, whether pagination is on or off. */
const LAST_PAGE = { 'next-page-token': null };

/** A namespace that exists. The root, too: it stands for the catalog. */
function namespaceOf(catalog: Catalog, levels: readonly string[]): Namespace {
  const namespace = catalog.namespace(levels);
  if (namespace === undefined) throw noSuchNamespace(levels.join('.'));
  return namespace;
}

/** The policy that the path names, when the caller may do the operation on it. A missing one is told first (source). */
function authorizedPolicy(exchange: Exchange, operation: Operation): [Catalog, Namespace, Policy] {
  const levels = exchange.namespace(1);
  const name = exchange.parameter(2);
  const namespace = exchange.catalog().namespace(levels);
  const policy = namespace?.policies.get(name);
  if (namespace === undefined || policy === undefined) {
    throw new Refusal(404, 'NoSuchPolicyException', `Policy does not exist: ${policyName(levels, name)}`);
  }
  return [exchange.authorized(operation, levels), namespace, policy];
}

/** GET .../policies, in no particular order. A type that isn't known is no filter (source). */
export function listPolicies(exchange: Exchange): Reply {
  const namespace = namespaceOf(exchange.catalog(), exchange.namespace(1));
  exchange.authorized('LIST_POLICY', namespace.levels);
  const type = policyType(exchange.search.get('policyType'));
  const listed = [...namespace.policies.values()].filter((policy) => type === undefined || policy.type === type);
  return ok({
    ...LAST_PAGE,
    identifiers: listed.toReversed().map(({ name }) => ({ namespace: namespace.levels, name })),
  });
}

/** POST .../policies. */
export function createPolicy(exchange: Exchange): Reply {
  const body = parseJson(exchange.body);
  if (!isObject(body) || typeof body['name'] !== 'string' || typeof body['type'] !== 'string') throw wrongShape();
  const { name, type: typeName } = body as { name: string; type: string };
  const namespace = namespaceOf(exchange.catalog(), exchange.namespace(1));
  exchange.authorized('CREATE_POLICY', namespace.levels);
  if (namespace.policies.has(name)) {
    throw alreadyExists(`Policy already exists ${policyName(namespace.levels, name)}`);
  }
  const type = policyType(typeName);
  if (type === undefined) throw badRequest(`Unknown policy type: ${typeName}`);
  const { description, content } = textsOf(body);
  assertContent(content);
  const policy = new Policy({ namespace: namespace.levels, name, type, description, content });
  namespace.policies.set(name, policy);
  return ok({ policy: policy.json });
}

const textsOf = (body: Readonly<Record<string, unknown>>) => ({
  description: typeof body['description'] === 'string' ? body['description'] : null,
  content: typeof body['content'] === 'string' ? body['content'] : null,
});

/** GET .../policies/{policy}. */
export const loadPolicy = (exchange: Exchange): Reply =>
  ok({ policy: authorizedPolicy(exchange, 'LOAD_POLICY')[2].json });

/** PUT .../policies/{policy}: against the version that the caller has seen. The same text again is no new version (source). */
export function updatePolicy(exchange: Exchange): Reply {
  const body = parseJson(exchange.body);
  if (!isObject(body)) throw wrongShape();
  const [, , policy] = authorizedPolicy(exchange, 'UPDATE_POLICY');
  // A Java int that isn't given is 0.
  const seen = Number(body['current-policy-version'] ?? 0);
  if (seen !== policy.version) {
    throw new Refusal(
      409,
      'PolicyVersionMismatchException',
      `Policy version mismatch. Given version is ${seen}, current version is ${policy.version}`,
    );
  }
  const { description, content } = textsOf(body);
  if (description !== policy.description || content !== policy.content) {
    assertContent(content);
    policy.description = description;
    policy.content = content;
    policy.version += 1;
  }
  return ok({ policy: policy.json });
}

/** DELETE .../policies/{policy}: one that is attached goes only with `detach-all=true`. */
export function dropPolicy(exchange: Exchange): Reply {
  const [catalog, namespace, policy] = authorizedPolicy(exchange, 'DROP_POLICY');
  const holders = [...attachments(catalog.root)].filter((attached) => attached.get(policy.type) === policy);
  if (holders.length > 0 && exchange.search.get('detach-all') !== 'true') {
    const named = policyName(policy.namespace, policy.name);
    throw new Refusal(400, 'PolicyInUseException', `Policy ${named} is still attached to entities`);
  }
  for (const attached of holders) attached.delete(policy.type);
  namespace.policies.delete(policy.name);
  return NO_CONTENT;
}

function* attachments(namespace: Namespace): Generator<Attached> {
  yield namespace.attached;
  yield* namespace.attachedToTables.values();
  for (const child of namespace.children.values()) yield* attachments(child);
}

type Target = {
  readonly kind: 'CATALOG' | 'NAMESPACE' | 'TABLE';
  /** As messages name it. */
  readonly name: string;
  readonly attached: Attached;
};

/** What the body of a mapping request names. Only Iceberg tables count as `table-like`. */
function targetOf(exchange: Exchange): Target {
  const body = parseJson(exchange.body);
  const target = isObject(body) ? body['target'] : undefined;
  if (!isObject(target)) throw wrongShape();
  const path = Array.isArray(target['path']) ? target['path'].map(String) : [];
  const catalog = exchange.catalog();
  const name = [catalog.name, ...path].join('.');
  switch (target['type']) {
    case 'catalog':
      return { kind: 'CATALOG', name: catalog.name, attached: catalog.root.attached };
    case 'namespace':
      return { kind: 'NAMESPACE', name, attached: namespaceOf(catalog, path).attached };
    case 'table-like': {
      const namespace = catalog.namespace(path.slice(0, -1));
      const table = path.at(-1) ?? '';
      if (namespace?.tables.has(table) !== true) {
        throw new Refusal(404, 'NoSuchTableException', `Table or view does not exist: ${path.join('.')}`);
      }
      const attached = namespace.attachedToTables.get(table) ?? new Map();
      namespace.attachedToTables.set(table, attached);
      return { kind: 'TABLE', name, attached };
    }
    default:
      throw wrongShape();
  }
}

/** PUT .../policies/{policy}/mappings: the same one again is fine, another of its type isn't (source). */
export function attachPolicy(exchange: Exchange): Reply {
  const { kind, name, attached } = targetOf(exchange);
  const [, , policy] = authorizedPolicy(exchange, `ATTACH_POLICY_TO_${kind}`);
  const present = attached.get(policy.type);
  if (present !== undefined && present !== policy) {
    throw new Refusal(
      409,
      'PolicyMappingAlreadyExistsException',
      `The policy mapping of same type (${policy.type}) for ${name} already exists`,
    );
  }
  attached.set(policy.type, policy);
  return NO_CONTENT;
}

/** POST .../policies/{policy}/mappings: takes it off again. */
export function detachPolicy(exchange: Exchange): Reply {
  const { kind, name, attached } = targetOf(exchange);
  const [, , policy] = authorizedPolicy(exchange, `DETACH_POLICY_FROM_${kind}`);
  if (attached.get(policy.type) !== policy) {
    // Source: Polaris has no better answer to a mapping that isn't there.
    const detail = 'error status: POLICY_MAPPING_NOT_FOUND with extraInfo: null';
    const named = policyName(policy.namespace, policy.name);
    throw new Refusal(500, 'IllegalStateException', `Failed to detach policy ${named} from ${name} ${detail}`);
  }
  attached.delete(policy.type);
  return NO_CONTENT;
}

/**
 * GET applicable-policies: of each type the policy that is attached nearest to the table, namespace or catalog. Nearest
 * first, as recorded; Polaris itself makes no promise.
 */
export function applicablePolicies(exchange: Exchange): Reply {
  const { search } = exchange;
  const given = search.get('namespace') ?? '';
  const levels = given === '' ? [] : given.split('\u001F');
  const table = search.get('target-name') ?? '';
  const type = policyType(search.get('policyType'));
  const path = levels.length > 0 && table !== '' ? pathOfTable(exchange, levels, table) : pathOf(exchange, levels);
  const nearest = new Map<string, { readonly policy: Policy; readonly inherited: boolean }>();
  for (const [distance, attached] of path.entries()) {
    for (const policy of attached.values()) {
      if ((type === undefined || policy.type === type) && !nearest.has(policy.type)) {
        nearest.set(policy.type, { policy, inherited: distance > 0 });
      }
    }
  }
  const applicable = [...nearest.values()].map(({ policy, inherited }) => ({
    ...policy.json,
    inherited,
    namespace: policy.namespace,
  }));
  return ok({ ...LAST_PAGE, 'applicable-policies': applicable });
}

/** What is attached to a table and to what contains it, the table first. */
function pathOfTable(exchange: Exchange, levels: readonly string[], table: string): readonly Attached[] {
  const namespace = exchange.catalog().namespace(levels);
  if (namespace?.tables.has(table) !== true) throw noSuchTable([...levels, table].join('.'));
  exchange.authorized('GET_APPLICABLE_POLICIES_ON_TABLE', levels);
  return [namespace.attachedToTables.get(table) ?? new Map(), ...ancestry(exchange.catalog(), levels)];
}

function pathOf(exchange: Exchange, levels: readonly string[]): readonly Attached[] {
  const catalog = exchange.catalog();
  namespaceOf(catalog, levels);
  exchange.authorized(`GET_APPLICABLE_POLICIES_ON_${levels.length === 0 ? 'CATALOG' : 'NAMESPACE'}`, levels);
  return ancestry(catalog, levels);
}

/** The namespace first, the catalog last. */
const ancestry = (catalog: Catalog, levels: readonly string[]): readonly Attached[] =>
  Array.from(
    { length: levels.length + 1 },
    (_, i) => namespaceOf(catalog, levels.slice(0, levels.length - i)).attached,
  );
