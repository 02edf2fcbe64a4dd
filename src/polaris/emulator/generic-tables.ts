import type { GenericTable, Namespace } from './catalog.ts';
import type { Exchange } from './exchange.ts';
import { assertNameFree } from './notifications.ts';
import { isObject, parseJson } from './notification-request.ts';
import { page } from './pages.ts';
import type { Operation } from './privileges.ts';
import { NO_CONTENT, type Reply, noSuchNamespace, noSuchTable, ok, wrongShape } from './reply.ts';

/** Generic tables are here because they hold names that a notification then can't take. */
function namespaceOf(exchange: Exchange): Namespace {
  const levels = exchange.namespace(1);
  const namespace = exchange.catalog().namespace(levels);
  if (namespace === undefined) throw noSuchNamespace(levels.join('.'));
  return namespace;
}

function authorizedGenericTable(exchange: Exchange, operation: Operation): [Namespace, GenericTable] {
  const levels = exchange.namespace(1);
  const namespace = exchange.catalog().namespace(levels);
  const table = namespace?.genericTables.get(exchange.parameter(2));
  if (namespace === undefined || table === undefined) throw noSuchTable([...levels, exchange.parameter(2)].join('.'));
  exchange.authorized(operation, levels);
  return [namespace, table];
}

const genericTableReply = (table: GenericTable): Reply => ok({ table, 'storage-access-configs': [] });

/** POST .../generic-tables. Its location isn't checked against the allowed ones. */
export function createGenericTable(exchange: Exchange): Reply {
  const body = parseJson(exchange.body);
  if (!isObject(body) || typeof body['name'] !== 'string' || typeof body['format'] !== 'string') throw wrongShape();
  const namespace = namespaceOf(exchange);
  exchange.authorized('CREATE_TABLE_DIRECT', namespace.levels);
  assertNameFree(namespace, { namespace: namespace.levels, name: body['name'] });
  const table: GenericTable = {
    name: body['name'],
    format: body['format'],
    'base-location': (body['base-location'] as string | undefined) ?? null,
    doc: (body['doc'] as string | undefined) ?? null,
    properties: (body['properties'] ?? {}) as Readonly<Record<string, string>>,
  };
  namespace.genericTables.set(table.name, table);
  return genericTableReply(table);
}

/** GET .../generic-tables/{generic-table}. */
export function loadGenericTable(exchange: Exchange): Reply {
  const [, table] = authorizedGenericTable(exchange, 'LOAD_TABLE');
  return genericTableReply(table);
}

/** GET .../generic-tables. */
export function listGenericTables(exchange: Exchange): Reply {
  const { levels, genericTables } = namespaceOf(exchange);
  exchange.authorized('LIST_TABLES', levels);
  const { items, next } = page([...genericTables.keys()], exchange.search, exchange.world.pagination);
  return ok({ 'next-page-token': next, identifiers: items.map((name) => ({ namespace: levels, name })) });
}

/** DELETE .../generic-tables/{generic-table}. */
export function dropGenericTable(exchange: Exchange): Reply {
  const [namespace, { name }] = authorizedGenericTable(exchange, 'DROP_TABLE_WITHOUT_PURGE');
  namespace.genericTables.delete(name);
  return NO_CONTENT;
}
