import { createHash } from 'node:crypto';
import type { TableIdentifier } from '../../core/types.ts';
import type { Catalog, ServedTable } from './catalog.ts';
import type { Exchange } from './exchange.ts';
import { assertAllowed } from './locations.ts';
import { assertLocations, assertNameFree, commit, dotted, readMetadata, readsFiles } from './notifications.ts';
import { isObject, parseJson } from './notification-request.ts';
import { page } from './pages.ts';
import type { Operation } from './privileges.ts';
import {
  NO_CONTENT,
  type Reply,
  badRequest,
  noSuchNamespace,
  noSuchTable,
  notEmulated,
  ok,
  wrongShape,
} from './reply.ts';
import { readTableMetadata } from './table-metadata.ts';

/** A table's ETag: computable by a client that knows the metadata location. */
export const etagOf = (metadataLocation: string): string =>
  `W/"${createHash('sha256').update(metadataLocation).digest('hex')}"`;

const tableOf = (exchange: Exchange): TableIdentifier => ({
  namespace: exchange.namespace(1),
  name: exchange.parameter(2),
});

/** The table, when it exists and the caller may do the operation on it: an unknown one is 404 before any 403. */
function authorizedTable(exchange: Exchange, operation: Operation): [Catalog, TableIdentifier, ServedTable] {
  const table = tableOf(exchange);
  const served = exchange.catalog().table(table);
  if (served === undefined) throw noSuchTable(dotted(table));
  return [exchange.authorized(operation, table.namespace), table, served];
}

/** GET .../tables/{table}. A matching `If-None-Match` is answered 304 without a look at the metadata file. */
export async function loadTable(exchange: Exchange): Promise<Reply> {
  // PyIceberg always sends it unless it is set to nothing.
  const delegates = String(exchange.headers['x-iceberg-access-delegation'] ?? '').trim() !== '';
  const [catalog, , served] = authorizedTable(exchange, delegates ? 'LOAD_TABLE_WITH_READ_DELEGATION' : 'LOAD_TABLE');
  const expected = exchange.headers['if-none-match'];
  if (expected?.trim() === '*') throw badRequest("If-None-Match may not take the value of '*'");
  // Only the weak form counts: `"<hash>"` is taken for another tag.
  const etag = etagOf(served.metadataLocation);
  if (expected?.split(',').some((tag) => tag.trim() === etag) === true) return { status: 304 };
  return tableReply(exchange, catalog, served.metadataLocation);
}

/** `{metadata-location, metadata}`. Where files aren't read, `metadata` holds only what the location tells. */
async function tableReply(exchange: Exchange, catalog: Catalog, location: string): Promise<Reply> {
  const text = readsFiles(exchange, catalog)
    ? (await readTableMetadata(location)).text
    : JSON.stringify({ 'format-version': 2, location: location.replace(/\/metadata\/[^/]*$/, '') });
  return {
    status: 200,
    text: `{"metadata-location":${JSON.stringify(location)},"metadata":${text}}`,
    headers: { etag: etagOf(location) },
  };
}

/** HEAD .../tables/{table}. Reads the metadata file, unlike a conditional GET. */
export async function tableExists(exchange: Exchange): Promise<Reply> {
  const [catalog, , served] = authorizedTable(exchange, 'TABLE_EXISTS');
  await readMetadata(exchange, catalog, served.metadataLocation);
  return NO_CONTENT;
}

/** GET .../tables, in no particular order. */
export function listTables(exchange: Exchange): Reply {
  const levels = exchange.namespace(1);
  const namespace = exchange.catalog().namespace(levels);
  if (namespace === undefined) throw noSuchNamespace(levels.join('.'));
  exchange.authorized('LIST_TABLES', levels);
  const { items, next } = page([...namespace.tables.keys()], exchange.search, exchange.world.pagination);
  return ok({ identifiers: items.map((name) => ({ namespace: levels, name })), 'next-page-token': next });
}

/** DELETE .../tables/{table}. */
export function dropTable(exchange: Exchange): Reply {
  const purges = exchange.search.get('purgeRequested') === 'true';
  const operation = purges ? 'DROP_TABLE_WITH_PURGE' : 'DROP_TABLE_WITHOUT_PURGE';
  const [catalog, table] = authorizedTable(exchange, operation);
  catalog.removeTable(table);
  return NO_CONTENT;
}

/** POST .../register: allowed in EXTERNAL catalogs. Such a table has no timestamp yet: any first notification is taken. */
export async function registerTable(exchange: Exchange): Promise<Reply> {
  const levels = exchange.namespace(1);
  const namespace = exchange.catalog().namespace(levels);
  if (namespace === undefined) throw noSuchNamespace(levels.join('.'));
  const catalog = exchange.authorized('REGISTER_TABLE', levels);
  const request = registration(exchange);
  if (request.overwrite && catalog.type === 'EXTERNAL') {
    throw badRequest('Register table overwrite is only supported for internal Polaris catalogs');
  }
  const table: TableIdentifier = { namespace: levels, name: request.name };
  assertNameFree(namespace, table);
  assertAllowed(catalog, dotted(table), [request.metadataLocation]);
  const metadata = await readMetadata(exchange, catalog, request.metadataLocation);
  if (metadata !== undefined) assertLocations(catalog, table, request.metadataLocation, metadata);
  commit(catalog, table, undefined, {
    metadataLocation: request.metadataLocation,
    timestamp: undefined,
    uuid: metadata?.uuid,
    entityId: catalog.nextEntityId(),
  });
  return tableReply(exchange, catalog, request.metadataLocation);
}

/** The body of a registration, of a table or a view. */
export function registration(exchange: Exchange): {
  readonly name: string;
  readonly metadataLocation: string;
  readonly overwrite: boolean;
} {
  const body = parseJson(exchange.body);
  if (!isObject(body)) throw wrongShape();
  const { name, 'metadata-location': metadataLocation, overwrite } = body;
  if (typeof name !== 'string' || typeof metadataLocation !== 'string') throw wrongShape();
  return { name, metadataLocation, overwrite: overwrite === true };
}

/** POST .../tables/{table}/metrics. */
export function reportMetrics(exchange: Exchange): Reply {
  authorizedTable(exchange, 'REPORT_READ_METRICS');
  return NO_CONTENT;
}

/** POST .../tables/{table}: only an EXTERNAL catalog's refusal is emulated. */
export function updateTable(exchange: Exchange): Reply {
  const [catalog] = authorizedTable(exchange, 'UPDATE_TABLE');
  return refuseWrite(catalog, 'update table');
}

/** POST .../tables. */
export function createTable(exchange: Exchange): Reply {
  const levels = exchange.namespace(1);
  if (exchange.catalog().namespace(levels) === undefined) throw noSuchNamespace(levels.join('.'));
  return refuseWrite(exchange.authorized('CREATE_TABLE_DIRECT', levels), 'create table');
}

/** POST /{prefix}/tables/rename. */
export function renameTable(exchange: Exchange): Reply {
  const body = parseJson(exchange.body);
  const source = isObject(body) ? body['source'] : undefined;
  if (!isObject(source) || !Array.isArray(source['namespace'])) throw wrongShape();
  const table = { namespace: source['namespace'] as string[], name: String(source['name']) };
  if (exchange.catalog().table(table) === undefined) throw noSuchTable(dotted(table));
  return refuseWrite(exchange.authorized('RENAME_TABLE', table.namespace), 'rename table');
}

/** POST /{prefix}/transactions/commit. */
export const commitTransaction = (exchange: Exchange): Reply =>
  refuseWrite(exchange.authorized('UPDATE_TABLE'), 'update table');

/** What a client may not do in a mirror. Writing to INTERNAL catalogs isn't emulated: nothing here needs it. */
export function refuseWrite(catalog: Catalog, what: string): Reply {
  if (catalog.type === 'EXTERNAL') throw badRequest(`Cannot ${what} on static-facade external catalogs.`);
  return notEmulated(`writing to INTERNAL catalogs (${what})`);
}
