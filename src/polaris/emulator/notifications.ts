import type { TableIdentifier } from '../../core/types.ts';
import { Catalog, type Namespace, type ServedTable } from './catalog.ts';
import type { Exchange } from './exchange.ts';
import { assertAllowed, assertUri, liesWithin } from './locations.ts';
import { type NotificationPayload, parseNotification } from './notification-request.ts';
import { NO_CONTENT, type Reply, alreadyExists, badRequest, commitConflict, notFound, nullPointer } from './reply.ts';
import { type TableMetadata, readTableMetadata } from './table-metadata.ts';

const ALLOW_EXTERNAL_METADATA = 'polaris.config.allow.external.metadata.file.location';
const NO_PAYLOAD =
  'Cannot invoke "org.apache.polaris.service.types.TableUpdateNotification.getMetadataLocation()" because the return ' +
  'value of "org.apache.polaris.service.types.NotificationRequest.getPayload()" is null';
const NO_TIMESTAMP =
  'Cannot invoke "java.lang.Long.longValue()" because the return value of ' +
  '"org.apache.polaris.service.types.TableUpdateNotification.getTimestamp()" is null';
const NO_REQUEST =
  'Cannot invoke "org.apache.polaris.service.types.NotificationRequest.getNotificationType()" because "request" is null';

/** `parent.child.table`, as Polaris's messages name a table. */
export const dotted = (table: TableIdentifier): string => [...table.namespace, table.name].join('.');

/**
 * POST .../tables/{table}/notifications. The steps and their order are Polaris's, visible in what a refused
 * notification leaves behind: namespaces are created before the metadata file is looked at.
 */
export async function notify(exchange: Exchange): Promise<Reply> {
  const request = parseNotification(exchange.body);
  const catalog = exchange.authorized('SEND_NOTIFICATIONS');
  if (catalog.type === 'INTERNAL') throw badRequest('Cannot update internal catalog via notifications');
  if (request === undefined) throw nullPointer(NO_REQUEST);
  if (request.type === undefined) throw nullPointer('Expected a valid notification type.');
  const table: TableIdentifier = { namespace: exchange.namespace(1), name: exchange.parameter(2) };
  switch (request.type) {
    case 'UNKNOWN':
      await exchange.work();
      return NO_CONTENT;
    case 'DROP':
      await exchange.work();
      // Neither timestamp nor payload matters, and a table that isn't there is fine.
      catalog.removeTable(table);
      return NO_CONTENT;
    case 'VALIDATE':
      await exchange.work();
      if (request.payload === undefined) throw nullPointer(NO_PAYLOAD);
      assertAllowed(catalog, dotted(table), [metadataLocation(request.payload)]);
      return NO_CONTENT;
    case 'CREATE':
    case 'UPDATE':
      if (request.payload === undefined) throw nullPointer(NO_PAYLOAD);
      await upsert(exchange, catalog, table, request.payload);
      return NO_CONTENT;
    default:
      return request.type satisfies never;
  }
}

/** CREATE and UPDATE are the same: an upsert that creates missing namespaces. */
async function upsert(
  exchange: Exchange,
  catalog: Catalog,
  table: TableIdentifier,
  payload: NotificationPayload,
): Promise<void> {
  const namespace = createMissingNamespaces(catalog, table.namespace);
  const observed = namespace.tables.get(table.name);
  if (payload.timestamp === undefined) throw nullPointer(NO_TIMESTAMP);
  if (observed?.timestamp !== undefined && payload.timestamp <= observed.timestamp) {
    throw alreadyExists(`A notification with a newer timestamp has been processed for table ${dotted(table)}`);
  }
  const location = metadataLocation(payload);
  assertAllowed(catalog, dotted(table), [location]);
  // Reading takes time, in which others may commit: what was observed above may be outdated below.
  await exchange.work();
  const metadata = await readMetadata(exchange, catalog, location);
  if (metadata !== undefined) assertLocations(catalog, table, location, metadata);
  commit(catalog, table, observed, {
    metadataLocation: location,
    timestamp: payload.timestamp,
    uuid: metadata === undefined ? payload.tableUuid : metadata.uuid,
    entityId: observed?.entityId ?? catalog.nextEntityId(),
  });
}

function metadataLocation(payload: NotificationPayload): string {
  if (payload.metadataLocation === undefined) throw nullPointer(null);
  return payload.metadataLocation;
}

/** Undefined where the emulator doesn't read: object stores, and everything with `readMetadata: 'never'`. */
export async function readMetadata(
  exchange: Exchange,
  catalog: Catalog,
  location: string,
): Promise<TableMetadata | undefined> {
  if (readsFiles(exchange, catalog)) return readTableMetadata(location);
  await new Promise((resolve) => setImmediate(resolve));
  return undefined;
}

export const readsFiles = (exchange: Exchange, catalog: Catalog): boolean =>
  exchange.world.readMetadata === 'file' && catalog.storage.storageType === 'FILE';

/** All locations that the metadata names must be allowed, and the file must lie below the table's own location. */
export function assertLocations(
  catalog: Catalog,
  table: TableIdentifier,
  location: string,
  metadata: TableMetadata,
): void {
  assertAllowed(catalog, dotted(table), metadata.locations);
  if (catalog.properties[ALLOW_EXTERNAL_METADATA] === 'true' || liesWithin(location, metadata.location)) return;
  throw badRequest(`Metadata location ${location} is not allowed outside of table location ${metadata.location}`);
}

/** The namespace, created with its parents where missing; each gets a `location` below the catalog's. */
export function createMissingNamespaces(catalog: Catalog, levels: readonly string[]): Namespace {
  let namespace = catalog.root;
  for (let depth = 1; depth <= levels.length; depth++) {
    const path = levels.slice(0, depth);
    const location = defaultLocation(catalog, path);
    const existing = catalog.namespace(path);
    if (existing === undefined && catalog.storage.storageType === 'FILE') assertUri(location);
    namespace = existing ?? catalog.addNamespace(path, { location });
  }
  return namespace;
}

export const defaultLocation = (catalog: Catalog, levels: readonly string[]): string =>
  `${[catalog.baseLocation, ...levels].join('/')}/`;

/**
 * Commits against what was observed before the wait, and throws Polaris's answer to each lost race. An update whose
 * table was dropped meanwhile is told that the *parent path* is missing (seen with mixed CREATE and DROP).
 */
export function commit(
  catalog: Catalog,
  table: TableIdentifier,
  observed: ServedTable | undefined,
  next: ServedTable,
): void {
  const namespace = catalog.namespace(table.namespace);
  if (namespace === undefined) throw notFound(`Parent path does not exist for ${dotted(table)}`);
  const current = namespace.tables.get(table.name);
  if (observed === undefined) {
    assertNameFree(namespace, table);
  } else if (current?.entityId !== observed.entityId) {
    throw notFound(`Parent path does not exist for ${dotted(table)}`);
  } else if (current !== observed) {
    throw commitConflict(`Failed to commit Table or View ${dotted(table)} because it was concurrently modified`);
  }
  catalog.putTable(namespace, table.name, next);
}

/** Throws 409 when a table, view or generic table has the name: they share one space of names. */
export function assertNameFree(namespace: Namespace, table: TableIdentifier): void {
  const holder = namespace.tables.has(table.name)
    ? 'Table'
    : namespace.views.has(table.name)
      ? 'View'
      : namespace.genericTables.has(table.name)
        ? 'Generic table'
        : undefined;
  if (holder !== undefined) throw alreadyExists(`${holder} already exists: ${dotted(table)}`);
}
