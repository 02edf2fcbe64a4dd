import type { ConnectorDeps } from '../../src/connector/connector.ts';
import type { RestCatalog } from './catalog.ts';
import type { RestConfig } from './config.ts';
import type { KnownTables } from './known.ts';

/** What the pieces of one open connector share. */
export type RestParts = {
  readonly config: RestConfig;
  readonly deps: ConnectorDeps;
  readonly catalog: RestCatalog;
  readonly known: KnownTables;
};
