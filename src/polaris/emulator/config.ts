import type { Exchange } from './exchange.ts';
import { type Reply, badRequest, notFound, ok } from './reply.ts';

const TABLES = '/v1/{prefix}/namespaces/{namespace}/tables';
const VIEWS = '/v1/{prefix}/namespaces/{namespace}/views';
const GENERIC_TABLES = 'polaris/v1/{prefix}/namespaces/{namespace}/generic-tables';
const POLICIES = '/polaris/v1/{prefix}/namespaces/{namespace}/policies';

/** As recorded, spelling included. Notifications aren't among them. */
const ENDPOINTS = [
  'GET /v1/{prefix}/namespaces',
  'GET /v1/{prefix}/namespaces/{namespace}',
  'HEAD /v1/{prefix}/namespaces/{namespace}',
  'POST /v1/{prefix}/namespaces',
  'POST /v1/{prefix}/namespaces/{namespace}/properties',
  'DELETE /v1/{prefix}/namespaces/{namespace}',
  `GET ${TABLES}`,
  `GET ${TABLES}/{table}`,
  `HEAD ${TABLES}/{table}`,
  `POST ${TABLES}`,
  `POST ${TABLES}/{table}`,
  `DELETE ${TABLES}/{table}`,
  'POST /v1/{prefix}/tables/rename',
  'POST /v1/{prefix}/namespaces/{namespace}/register',
  `POST ${TABLES}/{table}/metrics`,
  'POST /v1/{prefix}/transactions/commit',
  `GET ${VIEWS}`,
  `GET ${VIEWS}/{view}`,
  `HEAD ${VIEWS}/{view}`,
  `POST ${VIEWS}`,
  `POST ${VIEWS}/{view}`,
  `DELETE ${VIEWS}/{view}`,
  'POST /v1/{prefix}/views/rename',
  'POST /v1/{prefix}/namespaces/{namespace}/register-view',
  `GET ${GENERIC_TABLES}`,
  `POST ${GENERIC_TABLES}`,
  `DELETE ${GENERIC_TABLES}/{generic-table}`,
  `GET ${GENERIC_TABLES}/{generic-table}`,
  `GET ${POLICIES}`,
  `POST ${POLICIES}`,
  `GET ${POLICIES}/{policy-name}`,
  `PUT ${POLICIES}/{policy-name}`,
  `DELETE ${POLICIES}/{policy-name}`,
  `PUT ${POLICIES}/{policy-name}/mappings`,
  `POST ${POLICIES}/{policy-name}/mappings`,
  'GET /polaris/v1/{prefix}/applicable-policies',
];

/** GET /v1/config?warehouse=NAME. Any valid token may ask, with or without grants. */
export function config(exchange: Exchange): Reply {
  const warehouse = exchange.search.get('warehouse') ?? '';
  if (warehouse === '') throw badRequest('Please specify a warehouse');
  const catalog = exchange.world.catalogs.get(warehouse);
  if (catalog === undefined) throw notFound(`Unable to find warehouse ${warehouse}`);
  return ok({
    defaults: catalog.properties,
    overrides: { 'namespace-separator': '%1F', prefix: catalog.name },
    endpoints: ENDPOINTS,
  });
}
