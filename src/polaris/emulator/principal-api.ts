import { randomBytes } from 'node:crypto';
import { member } from './catalogs.ts';
import type { Exchange } from './exchange.ts';
import { isObject, parseJson } from './notification-request.ts';
import type { Principal, PrincipalRole } from './principals.ts';
import { CREATED, NO_CONTENT, type Reply, alreadyExists, notFound, ok, wrongShape } from './reply.ts';

type Properties = Readonly<Record<string, string>>;

const principalJson = (principal: Principal) => ({
  name: principal.name,
  clientId: principal.clientId,
  properties: principal.properties,
  createTimestamp: principal.createTimestamp,
  lastUpdateTimestamp: principal.createTimestamp,
  entityVersion: 1,
});

const withCredentials = (principal: Principal) => ({
  principal: principalJson(principal),
  credentials: { clientId: principal.clientId, clientSecret: principal.clientSecret },
});

const roleJson = (role: PrincipalRole) => ({
  name: role.name,
  federated: false,
  properties: role.properties,
  createTimestamp: role.createTimestamp,
  lastUpdateTimestamp: role.createTimestamp,
  entityVersion: 1,
});

function principalOf(exchange: Exchange, operation: string): Principal {
  exchange.world.principals.authorizeManagement(exchange.caller, operation);
  const name = exchange.parameter(0);
  const principal = exchange.world.principals.byName.get(name);
  if (principal === undefined) throw notFound(`TopLevelEntity of type PRINCIPAL does not exist: ${name}`);
  return principal;
}

function roleNamed(exchange: Exchange, name: unknown): PrincipalRole {
  const role = typeof name === 'string' ? exchange.world.principals.roles.get(name) : undefined;
  if (role === undefined) throw notFound(`TopLevelEntity of type PRINCIPAL_ROLE does not exist: ${String(name)}`);
  return role;
}

/** POST /principals: the only time that Polaris tells the secret. */
export function createPrincipal(exchange: Exchange): Reply {
  const { name, properties } = member(exchange, 'principal');
  const { principals, clock } = exchange.world;
  principals.authorizeManagement(exchange.caller, 'CREATE_PRINCIPAL');
  if (typeof name !== 'string') throw wrongShape();
  if (principals.byName.has(name)) {
    throw alreadyExists(`Cannot create Principal ${name}. Principal already exists or resolution failed`);
  }
  const principal = principals.add({ name, properties: (properties ?? {}) as Properties, now: clock.now() });
  return { status: 201, body: withCredentials(principal) };
}

/** GET /principals. */
export function listPrincipals(exchange: Exchange): Reply {
  exchange.world.principals.authorizeManagement(exchange.caller, 'LIST_PRINCIPALS');
  return ok({ principals: [...exchange.world.principals.byName.values()].map(principalJson) });
}

/** GET /principals/{principal}. */
export const getPrincipal = (exchange: Exchange): Reply => ok(principalJson(principalOf(exchange, 'GET_PRINCIPAL')));

/** DELETE /principals/{principal}: its tokens die at once. */
export function deletePrincipal(exchange: Exchange): Reply {
  exchange.world.principals.remove(principalOf(exchange, 'DELETE_PRINCIPAL'));
  return NO_CONTENT;
}

/** POST /principals/{principal}/rotate and /reset: a new secret. */
export function renewCredentials(exchange: Exchange): Reply {
  const principal = principalOf(exchange, 'ROTATE_CREDENTIALS');
  principal.clientSecret = randomBytes(16).toString('hex');
  return ok(withCredentials(principal));
}

/** PUT /principals/{principal}/principal-roles. */
export function assignPrincipalRole(exchange: Exchange): Reply {
  const { name } = member(exchange, 'principalRole');
  const principal = principalOf(exchange, 'ASSIGN_PRINCIPAL_ROLE');
  principal.roles.add(roleNamed(exchange, name).name);
  return CREATED;
}

/** DELETE /principals/{principal}/principal-roles/{role}. */
export function revokePrincipalRole(exchange: Exchange): Reply {
  const principal = principalOf(exchange, 'REVOKE_PRINCIPAL_ROLE');
  principal.roles.delete(roleNamed(exchange, exchange.parameter(1)).name);
  return NO_CONTENT;
}

/** POST /principal-roles. */
export function createPrincipalRole(exchange: Exchange): Reply {
  const { name, properties } = member(exchange, 'principalRole');
  const { principals, clock } = exchange.world;
  principals.authorizeManagement(exchange.caller, 'CREATE_PRINCIPAL_ROLE');
  if (typeof name !== 'string') throw wrongShape();
  if (principals.roles.has(name)) {
    throw alreadyExists(`Cannot create PrincipalRole ${name}. PrincipalRole already exists or resolution failed`);
  }
  return { status: 201, body: roleJson(principals.addRole(name, (properties ?? {}) as Properties, clock.now())) };
}

/** GET /principal-roles. */
export function listPrincipalRoles(exchange: Exchange): Reply {
  exchange.world.principals.authorizeManagement(exchange.caller, 'LIST_PRINCIPAL_ROLES');
  return ok({ roles: [...exchange.world.principals.roles.values()].map(roleJson) });
}

/** DELETE /principal-roles/{role}. */
export function deletePrincipalRole(exchange: Exchange): Reply {
  exchange.world.principals.authorizeManagement(exchange.caller, 'DELETE_PRINCIPAL_ROLE');
  exchange.world.principals.removeRole(roleNamed(exchange, exchange.parameter(0)).name);
  return NO_CONTENT;
}

/** PUT /principal-roles/{role}/catalog-roles/{catalog}. */
export function assignCatalogRole(exchange: Exchange): Reply {
  const body = parseJson(exchange.body);
  const catalogRole = isObject(body) && isObject(body['catalogRole']) ? body['catalogRole']['name'] : undefined;
  if (typeof catalogRole !== 'string') throw wrongShape();
  exchange.world.principals.authorizeManagement(exchange.caller, 'ASSIGN_CATALOG_ROLE_TO_PRINCIPAL_ROLE');
  const role = roleNamed(exchange, exchange.parameter(0));
  const catalog = exchange.world.catalogs.get(exchange.parameter(1));
  if (catalog?.roles.has(catalogRole) !== true) throw notFound(`CatalogRole ${catalogRole} not found`);
  exchange.world.principals.assignCatalogRole(role, catalog.name, catalogRole);
  return CREATED;
}

/** DELETE /principal-roles/{role}/catalog-roles/{catalog}/{catalog-role}. */
export function revokeCatalogRole(exchange: Exchange): Reply {
  exchange.world.principals.authorizeManagement(exchange.caller, 'REVOKE_CATALOG_ROLE_FROM_PRINCIPAL_ROLE');
  const role = roleNamed(exchange, exchange.parameter(0));
  role.catalogRoles.get(exchange.parameter(1))?.delete(exchange.parameter(2));
  return NO_CONTENT;
}
