import { type Catalog, CatalogRole, type Grant, type StorageConfig } from './catalog.ts';
import type { Exchange } from './exchange.ts';
import { liesWithin, overlap } from './locations.ts';
import { isObject, parseJson } from './notification-request.ts';
import {
  CREATED,
  NO_CONTENT,
  Refusal,
  type Reply,
  alreadyExists,
  badRequest,
  notFound,
  ok,
  wrongShape,
} from './reply.ts';
import { addCatalog } from './world.ts';

type JsonObject = Readonly<Record<string, unknown>>;
type Properties = Readonly<Record<string, string>>;

/** The member of a JSON body that holds an object. Throws 400 without a body, as Polaris does. */
export function member(exchange: Exchange, key: string): JsonObject {
  const body = parseJson(exchange.body);
  const value = isObject(body) ? body[key] : undefined;
  if (!isObject(value)) throw wrongShape();
  return value;
}

/** The catalog that the first path parameter names, for a service administrator. */
export function managedCatalog(exchange: Exchange, operation: string): Catalog {
  exchange.world.principals.authorizeManagement(exchange.caller, operation);
  const name = exchange.parameter(0);
  const catalog = exchange.world.catalogs.get(name);
  if (catalog === undefined) throw notFound(`TopLevelEntity of type CATALOG does not exist: ${name}`);
  return catalog;
}

/** POST /catalogs. */
export function createCatalog(exchange: Exchange): Reply {
  const { name, type, properties, storageConfigInfo } = member(exchange, 'catalog');
  if (typeof name !== 'string' || !isObject(properties) || !isObject(storageConfigInfo)) throw wrongShape();
  if (type !== 'EXTERNAL' && type !== 'INTERNAL') throw wrongShape();
  const { world } = exchange;
  world.principals.authorizeManagement(exchange.caller, 'CREATE_CATALOG');
  const storage = storageOf(storageConfigInfo);
  const base = String(properties['default-base-location']);
  if (!storage.allowedLocations.some((allowed) => liesWithin(base, allowed))) {
    throw badRequest(
      `default-base-location '${base}' is not within any of the allowed locations [${storage.allowedLocations.join(', ')}]`,
    );
  }
  if (world.catalogs.has(name)) {
    throw alreadyExists(`Cannot create Catalog ${name}. Catalog already exists or resolution failed`);
  }
  const taken = [...world.catalogs.values()].flatMap((other) => [
    other.baseLocation,
    ...other.storage.allowedLocations,
  ]);
  if ([base, ...storage.allowedLocations].some((location) => taken.some((other) => overlap(location, other)))) {
    throw new Refusal(
      400,
      'ValidationException',
      `Cannot create Catalog ${name}. One or more of its locations overlaps with an existing catalog`,
    );
  }
  const catalog = addCatalog(world, { name, type, properties: properties as Properties, storage });
  return { status: 201, body: { ...catalogJson(catalog), lastUpdateTimestamp: 0 } };
}

function storageOf(info: JsonObject): StorageConfig {
  const allowed = info['allowedLocations'];
  if (!Array.isArray(allowed) || typeof info['storageType'] !== 'string') throw wrongShape();
  if (info['storageType'] !== 'S3') return info as StorageConfig;
  return {
    roleArn: info['roleArn'],
    allowedKmsKeys: [],
    region: info['region'],
    pathStyleAccess: false,
    ...info,
    storageType: 'S3',
    allowedLocations: allowed as string[],
  };
}

const catalogJson = (catalog: Catalog) => ({
  type: catalog.type,
  name: catalog.name,
  properties: catalog.properties,
  createTimestamp: catalog.createTimestamp,
  lastUpdateTimestamp: catalog.lastUpdateTimestamp,
  entityVersion: catalog.entityVersion,
  storageConfigInfo: catalog.storage,
});

/** GET /catalogs. */
export function listCatalogs(exchange: Exchange): Reply {
  exchange.world.principals.authorizeManagement(exchange.caller, 'LIST_CATALOGS');
  return ok({ catalogs: [...exchange.world.catalogs.values()].map(catalogJson) });
}

/** GET /catalogs/{catalog}. */
export const getCatalog = (exchange: Exchange): Reply => ok(catalogJson(managedCatalog(exchange, 'GET_CATALOG')));

/** PUT /catalogs/{catalog}: replaces properties, against the version that the caller has seen. */
export function updateCatalog(exchange: Exchange): Reply {
  const catalog = managedCatalog(exchange, 'UPDATE_CATALOG');
  const body = parseJson(exchange.body);
  if (!isObject(body)) throw wrongShape();
  if (body['currentEntityVersion'] !== catalog.entityVersion) {
    throw new Refusal(
      409,
      'CommitConflictException',
      `Failed to update Catalog; currentEntityVersion '${String(body['currentEntityVersion'])}', expected '${catalog.entityVersion}'`,
    );
  }
  if (isObject(body['properties'])) catalog.properties = body['properties'] as Properties;
  if (isObject(body['storageConfigInfo'])) catalog.storage = storageOf(body['storageConfigInfo']);
  catalog.entityVersion += 1;
  catalog.lastUpdateTimestamp = exchange.world.clock.now();
  return ok(catalogJson(catalog));
}

/** DELETE /catalogs/{catalog}: only an empty one, as in Polaris. */
export function deleteCatalog(exchange: Exchange): Reply {
  const catalog = managedCatalog(exchange, 'DELETE_CATALOG');
  const ownRoles = [...catalog.roles.keys()].length > 1;
  if (!catalog.root.isEmpty || ownRoles) {
    throw badRequest(`Catalog '${catalog.name}' cannot be dropped, it is not empty`);
  }
  exchange.world.catalogs.delete(catalog.name);
  for (const role of exchange.world.principals.roles.values()) role.catalogRoles.delete(catalog.name);
  return NO_CONTENT;
}

const roleJson = (role: CatalogRole) => ({
  name: role.name,
  properties: role.properties,
  createTimestamp: role.createTimestamp,
  lastUpdateTimestamp: role.createTimestamp,
  entityVersion: 1,
});

/** POST /catalogs/{catalog}/catalog-roles. */
export function createCatalogRole(exchange: Exchange): Reply {
  const { name, properties } = member(exchange, 'catalogRole');
  const catalog = managedCatalog(exchange, 'CREATE_CATALOG_ROLE');
  if (typeof name !== 'string') throw wrongShape();
  if (catalog.roles.has(name)) {
    throw alreadyExists(`Cannot create CatalogRole ${name} in ${catalog.name}. Already exists or resolution failed`);
  }
  const role = new CatalogRole(name, (properties ?? {}) as Properties, exchange.world.clock.now());
  catalog.roles.set(name, role);
  return { status: 201, body: roleJson(role) };
}

/** GET /catalogs/{catalog}/catalog-roles. */
export const listCatalogRoles = (exchange: Exchange): Reply =>
  ok({ roles: [...managedCatalog(exchange, 'LIST_CATALOG_ROLES').roles.values()].map(roleJson) });

/** DELETE /catalogs/{catalog}/catalog-roles/{role}. */
export function deleteCatalogRole(exchange: Exchange): Reply {
  const [catalog, role] = managedRole(exchange, 'DELETE_CATALOG_ROLE');
  catalog.roles.delete(role.name);
  for (const { catalogRoles } of exchange.world.principals.roles.values()) {
    catalogRoles.get(catalog.name)?.delete(role.name);
  }
  return NO_CONTENT;
}

function managedRole(exchange: Exchange, operation: string): [Catalog, CatalogRole] {
  const catalog = managedCatalog(exchange, operation);
  const name = exchange.parameter(1);
  const role = catalog.roles.get(name);
  if (role === undefined) throw notFound(`CatalogRole ${name} not found`);
  return [catalog, role];
}

/** PUT grants, and POST revokes, on `/catalogs/{catalog}/catalog-roles/{role}/grants`: both take effect at once. */
export function addGrant(exchange: Exchange): Reply {
  const grant = grantOf(exchange);
  managedRole(exchange, 'ADD_GRANT_TO_CATALOG_ROLE')[1].grant(grant);
  return CREATED;
}

export function revokeGrant(exchange: Exchange): Reply {
  const grant = grantOf(exchange);
  managedRole(exchange, 'REVOKE_GRANT_FROM_CATALOG_ROLE')[1].revoke(grant);
  return CREATED;
}

function grantOf(exchange: Exchange): Grant {
  const { privilege, type, ...rest } = member(exchange, 'grant');
  if (typeof privilege !== 'string' || typeof type !== 'string') throw wrongShape();
  return { ...rest, privilege, type };
}

/** GET /catalogs/{catalog}/catalog-roles/{role}/grants. */
export const listGrants = (exchange: Exchange): Reply =>
  ok({ grants: [...managedRole(exchange, 'LIST_GRANTS_FOR_CATALOG_ROLE')[1].grants.values()] });
