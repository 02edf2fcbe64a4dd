import type { Catalog, Namespace } from './catalog.ts';
import type { Exchange } from './exchange.ts';
import { assertAllowed } from './locations.ts';
import { assertNameFree, readsFiles } from './notifications.ts';
import { page } from './pages.ts';
import type { Operation } from './privileges.ts';
import { NO_CONTENT, Refusal, type Reply, noSuchNamespace, ok } from './reply.ts';
import { readText } from './table-metadata.ts';
import { refuseWrite, registration } from './tables.ts';

/** Views are here because they hold names that a notification then can't take. */
function namespaceOf(exchange: Exchange): Namespace {
  const levels = exchange.namespace(1);
  const namespace = exchange.catalog().namespace(levels);
  if (namespace === undefined) throw noSuchNamespace(levels.join('.'));
  return namespace;
}

function authorizedView(exchange: Exchange, operation: Operation): [Catalog, Namespace, string] {
  const levels = exchange.namespace(1);
  const name = exchange.parameter(2);
  const namespace = exchange.catalog().namespace(levels);
  const location = namespace?.views.get(name);
  if (namespace === undefined || location === undefined) {
    throw new Refusal(404, 'NoSuchViewException', `View does not exist: ${[...levels, name].join('.')}`);
  }
  return [exchange.authorized(operation, levels), namespace, location];
}

/** POST .../register-view: allowed in EXTERNAL catalogs too. */
export async function registerView(exchange: Exchange): Promise<Reply> {
  const namespace = namespaceOf(exchange);
  const catalog = exchange.authorized('REGISTER_VIEW', namespace.levels);
  const { name, metadataLocation } = registration(exchange);
  const view = { namespace: namespace.levels, name };
  assertNameFree(namespace, view);
  assertAllowed(catalog, [...view.namespace, name].join('.'), [metadataLocation]);
  const reply = await viewReply(exchange, catalog, metadataLocation);
  assertNameFree(namespace, view);
  namespace.views.set(name, metadataLocation);
  return reply;
}

async function viewReply(exchange: Exchange, catalog: Catalog, location: string): Promise<Reply> {
  const text = readsFiles(exchange, catalog) ? await readText(location, false) : '{}';
  return { status: 200, text: `{"metadata-location":${JSON.stringify(location)},"metadata":${text}}` };
}

/** GET .../views. */
export function listViews(exchange: Exchange): Reply {
  const { levels, views } = namespaceOf(exchange);
  exchange.authorized('LIST_VIEWS', levels);
  const { items, next } = page([...views.keys()], exchange.search, exchange.world.pagination);
  return ok({ identifiers: items.map((name) => ({ namespace: levels, name })), 'next-page-token': next });
}

/** GET .../views/{view}. */
export function loadView(exchange: Exchange): Promise<Reply> {
  const [catalog, , location] = authorizedView(exchange, 'LOAD_VIEW');
  return viewReply(exchange, catalog, location);
}

/** HEAD .../views/{view}. */
export function viewExists(exchange: Exchange): Reply {
  authorizedView(exchange, 'VIEW_EXISTS');
  return NO_CONTENT;
}

/** DELETE .../views/{view}. */
export function dropView(exchange: Exchange): Reply {
  const [, namespace] = authorizedView(exchange, 'DROP_VIEW');
  namespace.views.delete(exchange.parameter(2));
  return NO_CONTENT;
}

/** POST .../views. */
export function createView(exchange: Exchange): Reply {
  const { levels } = namespaceOf(exchange);
  return refuseWrite(exchange.authorized('CREATE_VIEW', levels), 'create view');
}

/** POST .../views/{view}. */
export function replaceView(exchange: Exchange): Reply {
  const [catalog] = authorizedView(exchange, 'REPLACE_VIEW');
  return refuseWrite(catalog, 'replace view');
}
