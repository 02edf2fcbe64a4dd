import type { Exchange } from './exchange.ts';
import { assertUri } from './locations.ts';
import { createMissingNamespaces, defaultLocation } from './notifications.ts';
import { isObject, parseJson } from './notification-request.ts';
import type { Catalog, Namespace } from './catalog.ts';
import { page } from './pages.ts';
import type { Operation } from './privileges.ts';
import {
  NO_CONTENT,
  Refusal,
  type Reply,
  alreadyExists,
  commitConflict,
  illegalArgument,
  noSuchNamespace,
  ok,
  wrongShape,
} from './reply.ts';

/** The namespace, when it exists and the caller may do the operation on it. */
function authorizedNamespace(exchange: Exchange, operation: Operation): [Catalog, Namespace] {
  const levels = exchange.namespace(1);
  const namespace = exchange.catalog().namespace(levels);
  if (namespace === undefined) throw noSuchNamespace(levels.join('.'));
  return [exchange.authorized(operation, levels), namespace];
}

/** GET /{prefix}/namespaces: the children of `parent`, or the top level. */
export function listNamespaces(exchange: Exchange): Reply {
  const parent = exchange.search.get('parent') ?? '';
  const levels = parent === '' ? [] : parent.split('\u001F');
  const namespace = exchange.catalog().namespace(levels);
  if (namespace === undefined) throw noSuchNamespace(levels.join('.'));
  exchange.authorized('LIST_NAMESPACES', levels);
  const children = [...namespace.children.values()].map((child) => child.levels);
  const { items, next } = page(children, exchange.search, exchange.world.pagination);
  return ok({ namespaces: items, 'next-page-token': next });
}

/** GET .../namespaces/{namespace}. */
export function loadNamespace(exchange: Exchange): Reply {
  const [, { levels, properties }] = authorizedNamespace(exchange, 'LOAD_NAMESPACE_METADATA');
  return ok({ namespace: levels, properties });
}

/** HEAD .../namespaces/{namespace}. */
export function namespaceExists(exchange: Exchange): Reply {
  authorizedNamespace(exchange, 'NAMESPACE_EXISTS');
  return NO_CONTENT;
}

/** POST /{prefix}/namespaces. The location can't be chosen: it follows from the catalog's and the levels. */
export function createNamespace(exchange: Exchange): Reply {
  const body = parseJson(exchange.body);
  if (!isObject(body) || !Array.isArray(body['namespace'])) throw wrongShape();
  const levels = body['namespace'] as string[];
  const given = (body['properties'] ?? {}) as Readonly<Record<string, string>>;
  const parent = levels.slice(0, -1);
  const catalog = exchange.catalog();
  if (catalog.namespace(parent) === undefined) throw noSuchNamespace(parent.join('.'));
  exchange.authorized('CREATE_NAMESPACE', parent);
  const dotted = levels.join('.');
  if (catalog.namespace(levels) !== undefined) {
    throw alreadyExists(`Cannot create namespace ${dotted}. Namespace already exists`);
  }
  const location = defaultLocation(catalog, levels);
  if (catalog.storage.storageType === 'FILE') assertUri(location);
  const wanted = given['location'];
  if (wanted !== undefined && `${wanted.replace(/\/+$/, '')}/` !== location) {
    throw illegalArgument(
      `Namespace ${dotted} has a custom location, which is not enabled. Expected a location in: [${location}]. ` +
        `Got location: ${wanted.replace(/\/+$/, '')}/]`,
    );
  }
  const namespace = createMissingNamespaces(catalog, levels);
  namespace.properties = { ...given, location };
  return ok({ namespace: levels, properties: namespace.properties });
}

/**
 * POST .../namespaces/{namespace}/properties. Updates and removals in one request fail with a conflict after the updates
 * were applied: so it was recorded, on both kinds of persistence.
 */
export function updateNamespaceProperties(exchange: Exchange): Reply {
  const body = parseJson(exchange.body);
  if (!isObject(body)) throw wrongShape();
  const [, namespace] = authorizedNamespace(exchange, 'UPDATE_NAMESPACE_PROPERTIES');
  const updates = (body['updates'] ?? {}) as Readonly<Record<string, string>>;
  const removals = (body['removals'] ?? []) as readonly string[];
  const updated = Object.keys(updates);
  namespace.properties = { ...namespace.properties, ...updates };
  if (updated.length > 0 && removals.length > 0) {
    throw commitConflict(`Concurrent modification of namespace: ${namespace.levels.join('.')}`);
  }
  const removed = removals.filter((key) => key in namespace.properties);
  const missing = removals.filter((key) => !(key in namespace.properties));
  namespace.properties = Object.fromEntries(
    Object.entries(namespace.properties).filter(([key]) => !removed.includes(key)),
  );
  return ok({ removed, updated, missing });
}

/** DELETE .../namespaces/{namespace}. */
export function dropNamespace(exchange: Exchange): Reply {
  const [catalog, namespace] = authorizedNamespace(exchange, 'DROP_NAMESPACE');
  if (!namespace.isEmpty) {
    throw new Refusal(409, 'NamespaceNotEmptyException', `Namespace ${namespace.levels.join('.')} is not empty`);
  }
  catalog.removeNamespace(namespace.levels);
  return NO_CONTENT;
}
