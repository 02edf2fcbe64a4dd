import {
  addGrant,
  createCatalog,
  createCatalogRole,
  deleteCatalog,
  deleteCatalogRole,
  getCatalog,
  listCatalogRoles,
  listCatalogs,
  listGrants,
  revokeGrant,
  updateCatalog,
} from './catalogs.ts';
import { config } from './config.ts';
import type { Exchange } from './exchange.ts';
import { createGenericTable, dropGenericTable, listGenericTables, loadGenericTable } from './generic-tables.ts';
import {
  createNamespace,
  dropNamespace,
  listNamespaces,
  loadNamespace,
  namespaceExists,
  updateNamespaceProperties,
} from './namespaces.ts';
import { notify } from './notifications.ts';
import { issueToken } from './oauth.ts';
import {
  applicablePolicies,
  attachPolicy,
  createPolicy,
  detachPolicy,
  dropPolicy,
  listPolicies,
  loadPolicy,
  updatePolicy,
} from './policies.ts';
import {
  assignCatalogRole,
  assignPrincipalRole,
  createPrincipal,
  createPrincipalRole,
  deletePrincipal,
  deletePrincipalRole,
  getPrincipal,
  listPrincipalRoles,
  listPrincipals,
  renewCredentials,
  revokeCatalogRole,
  revokePrincipalRole,
} from './principal-api.ts';
import { type Reply, errorReply, notEmulated } from './reply.ts';
import {
  commitTransaction,
  createTable,
  dropTable,
  listTables,
  loadTable,
  registerTable,
  renameTable,
  reportMetrics,
  tableExists,
  updateTable,
} from './tables.ts';
import { createView, dropView, listViews, loadView, registerView, replaceView, viewExists } from './views.ts';

/** What a request asks for, coarsely: `latencyMs` and fault injection are given by it. */
export type RequestKind = 'token' | 'config' | 'notification' | 'load' | 'list' | 'management' | 'policy' | 'other';

export type Route = {
  readonly kind: RequestKind;
  readonly handle: (exchange: Exchange) => Reply | Promise<Reply>;
  /** The media type of its body; json unless told. */
  readonly consumes: 'application/json' | 'application/x-www-form-urlencoded';
  /** Whether it needs a token. */
  readonly open: boolean;
};

export type Match = { readonly route: Route; readonly parameters: readonly string[] };

type Node = {
  readonly literals: Map<string, Node>;
  parameter?: Node | undefined;
  readonly methods: Map<string, Route>;
};

const node = (): Node => ({ literals: new Map(), methods: new Map() });
const ROOT = node();
const CATALOG = '/api/catalog/v1';
const NAMESPACE = `${CATALOG}/{prefix}/namespaces/{namespace}`;
/** Polaris's own additions to the catalog API; notifications aren't among them. */
const POLARIS = '/api/catalog/polaris/v1/{prefix}/namespaces/{namespace}';
const MANAGEMENT = '/api/management/v1';
const CATALOG_ROLES = `${MANAGEMENT}/catalogs/{catalog}/catalog-roles`;

/** `place` is method and path, with a blank between them. */
function add(place: string, kind: RequestKind, handle: Route['handle'], more: Partial<Route> = {}): void {
  const [method = '', path = ''] = place.split(' ');
  let at = ROOT;
  for (const segment of path.split('/').slice(1)) {
    let next = segment.startsWith('{') ? at.parameter : at.literals.get(segment);
    if (next === undefined) {
      next = node();
      if (segment.startsWith('{')) at.parameter = next;
      else at.literals.set(segment, next);
    }
    at = next;
  }
  at.methods.set(method, { kind, handle, consumes: 'application/json', open: false, ...more });
}

add(`POST ${CATALOG}/oauth/tokens`, 'token', issueToken, {
  consumes: 'application/x-www-form-urlencoded',
  open: true,
});
add(`GET ${CATALOG}/config`, 'config', config);
add(`POST ${NAMESPACE}/tables/{table}/notifications`, 'notification', notify);
add(`GET ${NAMESPACE}/tables/{table}`, 'load', loadTable);
add(`HEAD ${NAMESPACE}/tables/{table}`, 'load', tableExists);
add(`POST ${NAMESPACE}/tables/{table}`, 'other', updateTable);
add(`DELETE ${NAMESPACE}/tables/{table}`, 'other', dropTable);
add(`POST ${NAMESPACE}/tables/{table}/metrics`, 'other', reportMetrics);
add(`GET ${NAMESPACE}/tables`, 'list', listTables);
add(`POST ${NAMESPACE}/tables`, 'other', createTable);
add(`POST ${NAMESPACE}/register`, 'other', registerTable);
add(`POST ${CATALOG}/{prefix}/tables/rename`, 'other', renameTable);
add(`POST ${CATALOG}/{prefix}/transactions/commit`, 'other', commitTransaction);
add(`GET ${CATALOG}/{prefix}/namespaces`, 'list', listNamespaces);
add(`POST ${CATALOG}/{prefix}/namespaces`, 'other', createNamespace);
add(`GET ${NAMESPACE}`, 'other', loadNamespace);
add(`HEAD ${NAMESPACE}`, 'other', namespaceExists);
add(`DELETE ${NAMESPACE}`, 'other', dropNamespace);
add(`POST ${NAMESPACE}/properties`, 'other', updateNamespaceProperties);
add(`POST ${NAMESPACE}/register-view`, 'other', registerView);
add(`GET ${NAMESPACE}/views`, 'list', listViews);
add(`POST ${NAMESPACE}/views`, 'other', createView);
add(`GET ${NAMESPACE}/views/{view}`, 'other', loadView);
add(`HEAD ${NAMESPACE}/views/{view}`, 'other', viewExists);
add(`POST ${NAMESPACE}/views/{view}`, 'other', replaceView);
add(`DELETE ${NAMESPACE}/views/{view}`, 'other', dropView);
add(`GET ${POLARIS}/generic-tables`, 'list', listGenericTables);
add(`POST ${POLARIS}/generic-tables`, 'other', createGenericTable);
add(`GET ${POLARIS}/generic-tables/{table}`, 'other', loadGenericTable);
add(`DELETE ${POLARIS}/generic-tables/{table}`, 'other', dropGenericTable);
add(`GET ${POLARIS}/policies`, 'policy', listPolicies);
add(`POST ${POLARIS}/policies`, 'policy', createPolicy);
add(`GET ${POLARIS}/policies/{policy}`, 'policy', loadPolicy);
add(`PUT ${POLARIS}/policies/{policy}`, 'policy', updatePolicy);
add(`DELETE ${POLARIS}/policies/{policy}`, 'policy', dropPolicy);
add(`PUT ${POLARIS}/policies/{policy}/mappings`, 'policy', attachPolicy);
add(`POST ${POLARIS}/policies/{policy}/mappings`, 'policy', detachPolicy);
add('GET /api/catalog/polaris/v1/{prefix}/applicable-policies', 'policy', applicablePolicies);
add(`POST ${CATALOG}/{prefix}/views/rename`, 'other', () => notEmulated('renaming views'));

add(`GET ${MANAGEMENT}/catalogs`, 'management', listCatalogs);
add(`POST ${MANAGEMENT}/catalogs`, 'management', createCatalog);
add(`GET ${MANAGEMENT}/catalogs/{catalog}`, 'management', getCatalog);
add(`PUT ${MANAGEMENT}/catalogs/{catalog}`, 'management', updateCatalog);
add(`DELETE ${MANAGEMENT}/catalogs/{catalog}`, 'management', deleteCatalog);
add(`GET ${CATALOG_ROLES}`, 'management', listCatalogRoles);
add(`POST ${CATALOG_ROLES}`, 'management', createCatalogRole);
add(`DELETE ${CATALOG_ROLES}/{role}`, 'management', deleteCatalogRole);
add(`GET ${CATALOG_ROLES}/{role}/grants`, 'management', listGrants);
add(`PUT ${CATALOG_ROLES}/{role}/grants`, 'management', addGrant);
add(`POST ${CATALOG_ROLES}/{role}/grants`, 'management', revokeGrant);
add(`GET ${MANAGEMENT}/principals`, 'management', listPrincipals);
add(`POST ${MANAGEMENT}/principals`, 'management', createPrincipal);
add(`GET ${MANAGEMENT}/principals/{principal}`, 'management', getPrincipal);
add(`DELETE ${MANAGEMENT}/principals/{principal}`, 'management', deletePrincipal);
add(`POST ${MANAGEMENT}/principals/{principal}/rotate`, 'management', renewCredentials);
add(`POST ${MANAGEMENT}/principals/{principal}/reset`, 'management', renewCredentials);
add(`PUT ${MANAGEMENT}/principals/{principal}/principal-roles`, 'management', assignPrincipalRole);
add(`DELETE ${MANAGEMENT}/principals/{principal}/principal-roles/{role}`, 'management', revokePrincipalRole);
add(`GET ${MANAGEMENT}/principal-roles`, 'management', listPrincipalRoles);
add(`POST ${MANAGEMENT}/principal-roles`, 'management', createPrincipalRole);
add(`DELETE ${MANAGEMENT}/principal-roles/{role}`, 'management', deletePrincipalRole);
add(`PUT ${MANAGEMENT}/principal-roles/{role}/catalog-roles/{catalog}`, 'management', assignCatalogRole);
add(
  `DELETE ${MANAGEMENT}/principal-roles/{role}/catalog-roles/{catalog}/{catalogRole}`,
  'management',
  revokeCatalogRole,
);

/** The route of a normalised path, or the answer to one that has none. */
export function match(method: string, segments: readonly string[]): Match | Reply {
  const parameters: string[] = [];
  const at = find(ROOT, segments, parameters);
  const route = at?.methods.get(method);
  if (route !== undefined) return { route, parameters };
  const [api, part, version] = segments;
  if (api !== 'api' || !['catalog', 'management'].includes(part ?? '')) {
    // No resource class at all.
    return errorReply(404, 'NotFoundException', 'HTTP 404 Not Found');
  }
  // Two resource classes share the paths below /polaris, and the one that is asked knows only its own.
  return at === undefined || version === 'polaris'
    ? errorReply(404, 'NotFoundException', 'Unable to find matching target resource method')
    : errorReply(405, 'NotAllowedException', 'HTTP 405 Method Not Allowed');
}

/** The node of a path that has methods, its parameters filled in; literal segments go first. */
function find(at: Node, segments: readonly string[], parameters: string[], depth: number = 0): Node | undefined {
  const segment = segments[depth];
  if (segment === undefined) return at.methods.size > 0 ? at : undefined;
  const literal = at.literals.get(segment);
  const found = literal === undefined ? undefined : find(literal, segments, parameters, depth + 1);
  if (found !== undefined || at.parameter === undefined) return found;
  parameters.push(segment);
  const parametric = find(at.parameter, segments, parameters, depth + 1);
  if (parametric === undefined) parameters.pop();
  return parametric;
}

/**
 * The decoded segments of a request path, normalised as Polaris's HTTP server does it: `.` and `..` are resolved (also
 * as `%2E`), empty segments vanish. So a table named `.` or `` can't be addressed.
 */
export function segmentsOf(path: string): readonly string[] {
  const segments: string[] = [];
  for (const raw of path.split('/')) {
    const segment = raw.replaceAll(/%2e/gi, '.');
    if (segment === '..') segments.pop();
    else if (segment !== '.' && segment !== '') segments.push(segment);
  }
  return segments.map((segment) => (segment.includes('%') ? decodeURIComponent(segment) : segment));
}
