import type { Clock } from '../../runtime/clock.ts';
import { Catalog, CatalogRole, type StorageConfig } from './catalog.ts';
import { CATALOG_ADMIN, type Principals, SERVICE_ADMIN } from './principals.ts';
import type { Tokens } from './tokens.ts';

/** Everything that the emulated server knows. It lives as long as the emulator, through restarts too. */
export type World = {
  readonly catalogs: Map<string, Catalog>;
  readonly principals: Principals;
  readonly tokens: Tokens;
  readonly clock: Clock;
  /** Whether lists are cut into pages when asked for (Polaris: LIST_PAGINATION_ENABLED, off by default). */
  readonly pagination: boolean;
  /** Whether metadata files on FILE storage are read; `never` treats them as on S3. */
  readonly readMetadata: 'file' | 'never';
};

/** Adds a catalog with its `catalog_admin`, which every service administrator is from then on. */
export function addCatalog(
  world: World,
  spec: {
    readonly name: string;
    readonly type: 'INTERNAL' | 'EXTERNAL';
    readonly properties: Readonly<Record<string, string>>;
    readonly storage: StorageConfig;
  },
): Catalog {
  const now = world.clock.now();
  const catalog = new Catalog({ ...spec, now });
  const admin = new CatalogRole(CATALOG_ADMIN, {}, now);
  for (const privilege of ['CATALOG_MANAGE_ACCESS', 'CATALOG_MANAGE_METADATA']) {
    admin.grant({ type: 'catalog', privilege });
  }
  catalog.roles.set(admin.name, admin);
  world.catalogs.set(catalog.name, catalog);
  const service = world.principals.roles.get(SERVICE_ADMIN);
  if (service !== undefined) world.principals.assignCatalogRole(service, catalog.name, CATALOG_ADMIN);
  return catalog;
}
