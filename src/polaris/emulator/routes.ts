import { config } from './config.ts';
import type { Exchange } from './exchange.ts';
import { notify } from './notifications.ts';
import { issueToken } from './oauth.ts';
import { type Reply, errorReply } from './reply.ts';
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

/** What a request asks for, coarsely: `latencyMs` and fault injection are given by it. */
export type RequestKind = 'token' | 'config' | 'notification' | 'load' | 'list' | 'management' | 'other';

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

function add(
  method: string,
  path: string,
  kind: RequestKind,
  handle: Route['handle'],
  more: Partial<Route> = {},
): void {
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

add('POST', `${CATALOG}/oauth/tokens`, 'token', issueToken, {
  consumes: 'application/x-www-form-urlencoded',
  open: true,
});
add('GET', `${CATALOG}/config`, 'config', config);
add('POST', `${NAMESPACE}/tables/{table}/notifications`, 'notification', notify);
add('GET', `${NAMESPACE}/tables/{table}`, 'load', loadTable);
add('HEAD', `${NAMESPACE}/tables/{table}`, 'load', tableExists);
add('POST', `${NAMESPACE}/tables/{table}`, 'other', updateTable);
add('DELETE', `${NAMESPACE}/tables/{table}`, 'other', dropTable);
add('POST', `${NAMESPACE}/tables/{table}/metrics`, 'other', reportMetrics);
add('GET', `${NAMESPACE}/tables`, 'list', listTables);
add('POST', `${NAMESPACE}/tables`, 'other', createTable);
add('POST', `${NAMESPACE}/register`, 'other', registerTable);
add('POST', `${CATALOG}/{prefix}/tables/rename`, 'other', renameTable);
add('POST', `${CATALOG}/{prefix}/transactions/commit`, 'other', commitTransaction);

/** The route of a normalised path, or the answer to one that has none. */
export function match(method: string, segments: readonly string[]): Match | Reply {
  const parameters: string[] = [];
  let at: Node | undefined = ROOT;
  for (const segment of segments) {
    const literal: Node | undefined = at.literals.get(segment);
    if (literal === undefined && at.parameter !== undefined) parameters.push(segment);
    at = literal ?? at.parameter;
    if (at === undefined) break;
  }
  if (at === undefined || at.methods.size === 0) {
    // A path below a known resource class fails in Polaris's router, any other in the server's.
    const known = segments[0] === 'api' && ['catalog', 'management'].includes(segments[1] ?? '');
    return errorReply(
      404,
      'NotFoundException',
      known ? 'Unable to find matching target resource method' : 'HTTP 404 Not Found',
    );
  }
  const route = at.methods.get(method);
  return route === undefined
    ? errorReply(405, 'NotAllowedException', 'HTTP 405 Method Not Allowed')
    : { route, parameters };
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
