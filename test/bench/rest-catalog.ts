import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { seededRandom } from '../../src/runtime/random.ts';
import { ratesOf } from '../connectors/iceberg-rest/poll-simulation.ts';

/**
 * A REST catalog that only reads are served of, in a process of its own: tables change by chance, and a load with the current
 * etag is answered 304. It measures for itself how long each change waited for the load that showed it. Controlled by messages.
 */
export type CatalogOptions = {
  readonly tables: number;
  readonly changesPerMinute: number;
  readonly kind: Parameters<typeof ratesOf>[0];
  /** Its time goes so many times as fast. */
  readonly speed: number;
  readonly seed: number;
};

export type CatalogFigures = {
  readonly changes: number;
  readonly loads: number;
  readonly unchanged: number;
  readonly requests: number;
  /** Of each change that was shown, ms of its own time. */
  readonly delaysMs: readonly number[];
};

type Message =
  | { readonly kind: 'start'; readonly options: CatalogOptions }
  | { readonly kind: 'measure' }
  | { readonly kind: 'figures' };

const NAMESPACES = 50;

type Table = { version: number; shown: number; readonly unseen: number[] };

let tables: Table[] = [];
let options: CatalogOptions | undefined;
let figures = { changes: 0, loads: 0, unchanged: 0, requests: 0 };
let delaysMs: number[] = [];

const nowMs = () => performance.now() * (options?.speed ?? 1);

function start(chosen: CatalogOptions): void {
  options = chosen;
  tables = Array.from({ length: chosen.tables }, () => ({ version: 1, shown: 0, unseen: [] }));
  const random = seededRandom(chosen.seed);
  const rates = ratesOf(chosen.kind, chosen.tables, chosen.changesPerMinute);
  const sums: number[] = [];
  for (const rate of rates) sums.push((sums.at(-1) ?? 0) + rate);
  const total = sums.at(-1) ?? 0;
  let nextMs = nowMs() - Math.log(1 - random()) / total;
  setInterval(() => {
    for (; nextMs <= nowMs(); nextMs -= Math.log(1 - random()) / total) {
      const at = random() * total;
      change(
        sums.findIndex((sum) => sum > at),
        nextMs,
      );
    }
  }, 5);
}

function change(index: number, atMs: number): void {
  const table = tables[index];
  if (table === undefined) return;
  table.version++;
  table.unseen.push(atMs);
  figures.changes++;
}

const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  figures.requests++;
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const [, namespace, list, name] =
    /^\/v1\/namespaces\/db([0-9]+)(?:\/(tables|views)(?:\/t([0-9]+))?)?$/.exec(path) ?? [];
  if (path === '/v1/config') return answer(response, { defaults: {}, overrides: {} });
  if (path === '/v1/namespaces') {
    const parent = (request.url ?? '').includes('parent=');
    return answer(response, { namespaces: parent ? [] : Array.from({ length: NAMESPACES }, (_, i) => [`db${i}`]) });
  }
  if (list === 'tables' && name === undefined) {
    const names = [...tables.keys()].filter((i) => i % NAMESPACES === Number(namespace));
    return answer(response, { identifiers: names.map((i) => ({ namespace: [`db${namespace}`], name: `t${i}` })) });
  }
  if (list === 'views') return answer(response, { identifiers: [] });
  return load(Number(name), request.headers['if-none-match'], response);
});

function load(index: number, etag: string | undefined, response: ServerResponse): void {
  const table = tables[index];
  if (table === undefined) return void response.writeHead(404).end();
  figures.loads++;
  const current = `"${table.version}"`;
  if (etag === current) {
    figures.unchanged++;
    return void response.writeHead(304, { etag: current }).end();
  }
  for (const atMs of table.unseen.splice(0)) delaysMs.push(nowMs() - atMs);
  response.setHeader('etag', current);
  const location = `s3://lake/db${index % NAMESPACES}/t${index}`;
  answer(response, {
    'metadata-location': `${location}/metadata/${table.version}.metadata.json`,
    metadata: {
      'format-version': 2,
      'table-uuid': `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      location,
    },
    config: {},
  });
}

function answer(response: ServerResponse, content: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(content));
}

if (process.send !== undefined) {
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
  process.on('message', (message: Message) => {
    if (message.kind === 'start') start(message.options);
    if (message.kind === 'measure') {
      figures = { changes: 0, loads: 0, unchanged: 0, requests: 0 };
      delaysMs = [];
    }
    process.send?.({ ...figures, delaysMs: message.kind === 'figures' ? delaysMs : [] } satisfies CatalogFigures);
  });
  process.on('disconnect', () => process.exit(0));
}
