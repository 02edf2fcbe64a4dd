import { z } from 'zod';
import {
  historySchema,
  notificationsSchema,
  orderSchema,
  orderedSchema,
  refusalSchema,
  searchSchema,
  statusSchema,
  tableSchema,
  tablesSchema,
} from './api-schema.ts';

/** The header that brings the admin token. A form of another site can't set it. */
export const ADMIN_HEADER = 'x-admin-token';

type Json = Readonly<Record<string, unknown>>;

/** `/api/v1` as an OpenAPI document. It says nothing of this agent alone, so that it can be kept. */
export function openApi(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => ref(id) });
  return {
    openapi: '3.1.0',
    info: {
      title: 'polaris-push',
      version: '1',
      description:
        'How a running agent stands. Within version 1 fields are only added. With `http.token` every request brings it; `retry` and `drops/release` need the admin token besides.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{}, { bearer: [] }, { basic: [] }],
    paths: PATHS,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)])),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: '`http.token`' },
        basic: { type: 'http', scheme: 'basic', description: 'Any user name; `http.token` as the password' },
        admin: { type: 'apiKey', in: 'header', name: ADMIN_HEADER, description: '`http.admin_token`' },
      },
    },
  };
}

/** Where a schema lies tells its dialect and its id. */
const bare = (schema: Json): Json =>
  Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'));

const SCHEMAS = {
  Status: statusSchema,
  History: historySchema,
  Notifications: notificationsSchema,
  Tables: tablesSchema,
  Search: searchSchema,
  Table: tableSchema,
  Order: orderSchema,
  Ordered: orderedSchema,
  Refusal: refusalSchema,
} as const;

const ref = (id: string): string => `#/components/schemas/${id}`;

const json = (id: keyof typeof SCHEMAS) => ({ 'application/json': { schema: { $ref: ref(id) } } });

const answers = (id: keyof typeof SCHEMAS, description: string) => ({ description, content: json(id) });

const refusal = (description: string) => answers('Refusal', description);

const query = (name: string, schema: Json, more: { readonly description: string; readonly required?: true }) => ({
  name,
  in: 'query',
  schema,
  ...more,
});

const LIMIT = query(
  'limit',
  { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
  { description: 'At most so many.' },
);

const ORDER = {
  security: [{ admin: [] }, { admin: [], bearer: [] }, { admin: [], basic: [] }],
  requestBody: { required: true, content: json('Order') },
  responses: {
    '202': answers('Ordered', 'The agent has the request, and carries it out within seconds.'),
    '400': refusal('The body is not an order, or names a table or target that it can’t be about.'),
    '403': refusal('No admin token, a wrong one, or none is configured.'),
    '415': refusal('The body is not JSON.'),
  },
};

/** Every operation. The keys of `get` and `post` are what the server has routes for. */
const PATHS = {
  '/api/v1/status': {
    get: {
      operationId: 'status',
      summary: 'How source, targets, sinks and ledger stand',
      responses: { '200': answers('Status', 'As of now, or a moment ago.') },
    },
  },
  '/api/v1/history': {
    get: {
      operationId: 'history',
      summary: 'Lag and throughput of the last hour',
      responses: { '200': answers('History', 'Of this run.') },
    },
  },
  '/api/v1/notifications': {
    get: {
      operationId: 'notifications',
      summary: 'The last notifications',
      parameters: [LIMIT],
      responses: {
        '200': answers('Notifications', 'As far as they are remembered.'),
        '400': refusal('A parameter is wrong.'),
      },
    },
  },
  '/api/v1/tables': {
    get: {
      operationId: 'tables',
      summary: 'Tables that are parked, held or pending',
      parameters: [
        query(
          'state',
          { type: 'string', enum: ['parked', 'held', 'pending', 'attention'], default: 'attention' },
          { description: '`attention`: parked or held.' },
        ),
        query('target', { type: 'string' }, { description: 'Of this target only.' }),
        LIMIT,
      ],
      responses: {
        '200': answers('Tables', 'By target, then those that wait longest first.'),
        '400': refusal('A parameter is wrong.'),
      },
    },
  },
  '/api/v1/tables/search': {
    get: {
      operationId: 'search',
      summary: 'Tables by a part of their name',
      parameters: [query('q', { type: 'string', minLength: 1 }, { description: 'In any case.', required: true })],
      responses: {
        '200': answers('Search', 'At most 20.'),
        '400': refusal('A parameter is wrong.'),
        '503': refusal('Another search goes on.'),
      },
    },
  },
  '/api/v1/table': {
    get: {
      operationId: 'table',
      summary: 'What is known of one table, with its last notifications',
      parameters: [query('name', { type: 'string' }, { description: 'Such as `sales.orders`.', required: true })],
      responses: {
        '200': answers('Table', 'On every target that knows it.'),
        '400': refusal('That is no name of a table.'),
        '404': refusal('Nothing is known of it.'),
      },
    },
  },
  '/api/v1/events': {
    get: {
      operationId: 'events',
      summary: 'The status each second, as server-sent events',
      description:
        'Events `status` (of schema Status) and, when there are new ones, `notifications` (of schema Notifications, the last 20). A client that reads slowly gets the newest ones only.',
      responses: {
        '200': {
          description: 'Until the client goes.',
          content: { 'text/event-stream': { schema: { type: 'string' } } },
        },
        '503': refusal('So many follow already.'),
      },
    },
  },
  '/api/v1/retry': {
    post: { operationId: 'retry', summary: 'Put parked tables back to work', ...ORDER },
  },
  '/api/v1/drops/release': {
    post: {
      operationId: 'release',
      summary: 'Let held DROPs go; each is sent only if the source says once more that the table is gone',
      ...ORDER,
    },
  },
  '/api/v1/openapi.json': {
    get: {
      operationId: 'openapi',
      summary: 'This document',
      responses: {
        '200': { description: 'OpenAPI 3.1', content: { 'application/json': { schema: { type: 'object' } } } },
      },
    },
  },
};
