import { randomBytes } from 'node:crypto';
import type { Catalog, CatalogRole } from './catalog.ts';
import { type Operation, suffices } from './privileges.ts';
import { Refusal } from './reply.ts';
import type { TokenClaims } from './tokens.ts';

export type Principal = {
  readonly name: string;
  readonly clientId: string;
  clientSecret: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly createTimestamp: number;
  readonly roles: Set<string>;
};

export type PrincipalRole = {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly createTimestamp: number;
  /** Catalog roles by catalog name. */
  readonly catalogRoles: Map<string, Set<string>>;
};

/** Who asks: a principal, with those of its roles that its token activates. */
export type Caller = { readonly principal: Principal; readonly roles: readonly string[] };

/** Its members may use the management API, and have the catalog role `catalog_admin` in every catalog. */
export const SERVICE_ADMIN = 'service_admin';
export const CATALOG_ADMIN = 'catalog_admin';

/** Principals, principal roles, and the question whether a caller may do something. */
export class Principals {
  readonly byName = new Map<string, Principal>();
  readonly roles = new Map<string, PrincipalRole>();
  readonly #byClientId = new Map<string, Principal>();

  constructor(root: { readonly clientId: string; readonly clientSecret: string }, now: number) {
    this.addRole(SERVICE_ADMIN, {}, now);
    const principal = this.add({ name: 'root', clientId: root.clientId, clientSecret: root.clientSecret, now });
    principal.roles.add(SERVICE_ADMIN);
  }

  add(spec: {
    readonly name: string;
    readonly clientId?: string | undefined;
    readonly clientSecret?: string | undefined;
    readonly properties?: Readonly<Record<string, string>> | undefined;
    readonly now: number;
  }): Principal {
    const principal: Principal = {
      name: spec.name,
      clientId: spec.clientId ?? randomBytes(8).toString('hex'),
      clientSecret: spec.clientSecret ?? randomBytes(16).toString('hex'),
      properties: spec.properties ?? {},
      createTimestamp: spec.now,
      roles: new Set(),
    };
    this.byName.set(principal.name, principal);
    this.#byClientId.set(principal.clientId, principal);
    return principal;
  }

  remove(principal: Principal): void {
    this.byName.delete(principal.name);
    this.#byClientId.delete(principal.clientId);
  }

  addRole(name: string, properties: Readonly<Record<string, string>>, now: number): PrincipalRole {
    const role: PrincipalRole = { name, properties, createTimestamp: now, catalogRoles: new Map() };
    this.roles.set(name, role);
    return role;
  }

  removeRole(name: string): void {
    this.roles.delete(name);
    for (const principal of this.byName.values()) principal.roles.delete(name);
  }

  assignCatalogRole(role: PrincipalRole, catalog: string, catalogRole: string): void {
    const assigned = role.catalogRoles.get(catalog) ?? new Set();
    role.catalogRoles.set(catalog, assigned.add(catalogRole));
  }

  withSecret(clientId: string, clientSecret: string): Principal | undefined {
    const principal = this.#byClientId.get(clientId);
    return principal?.clientSecret === clientSecret ? principal : undefined;
  }

  /** Undefined when the principal was deleted since its token was issued. */
  caller(claims: TokenClaims): Caller | undefined {
    const principal = this.#byClientId.get(claims.clientId);
    if (principal === undefined) return undefined;
    const roles = [...principal.roles];
    return { principal, roles: claims.roles === undefined ? roles : roles.filter((r) => claims.roles?.includes(r)) };
  }

  /** Throws 403 unless the caller's grants on the catalog, or on a namespace around the target, suffice. */
  authorize(caller: Caller, operation: Operation, catalog: Catalog, namespace: readonly string[] = []): void {
    const held = new Set<string>();
    const names: string[] = [];
    for (const role of this.#activated(caller, catalog)) {
      names.push(role.name);
      for (const privilege of role.onCatalog) held.add(privilege);
    }
    if (suffices(held, operation)) return;
    for (const role of this.#activated(caller, catalog)) {
      for (const privilege of role.onNamespace(namespace)) held.add(privilege);
    }
    if (suffices(held, operation)) return;
    throw notAuthorized(caller, names, operation);
  }

  /** The management API is for service administrators alone. */
  authorizeManagement(caller: Caller, operation: string): void {
    if (!caller.roles.includes(SERVICE_ADMIN)) throw notAuthorized(caller, [], operation);
  }

  #activated(caller: Caller, catalog: Catalog): CatalogRole[] {
    return caller.roles.flatMap((role) =>
      [...(this.roles.get(role)?.catalogRoles.get(catalog.name) ?? [])].flatMap(
        (name) => catalog.roles.get(name) ?? [],
      ),
    );
  }
}

function notAuthorized(caller: Caller, catalogRoles: readonly string[], operation: string): Refusal {
  return new Refusal(
    403,
    'ForbiddenException',
    `Principal '${caller.principal.name}' with activated PrincipalRoles '[${caller.roles.join(', ')}]' ` +
      `and activated grants via '[${[...catalogRoles, ...caller.roles].join(', ')}]' ` +
      `is not authorized for op ${operation}`,
  );
}
