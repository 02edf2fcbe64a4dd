import { StandIn, type Answer, type Seen } from '../../polaris/stand-in.ts';
import { RestWorld } from './world.ts';

export const TOKEN = 'planted-bearer-token';

export const json = (value: unknown, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status: 200,
  json: value,
  headers,
});

export const icebergError = (status: number, type: string, message: string): Answer => ({
  status,
  json: { error: { message, type, code: status } },
});

export const html = (status: number, title: string): Answer => ({
  status,
  text: `<!DOCTYPE html><html><head><title>${title}</title></head><body>${'x'.repeat(5_000)}</body></html>`,
  headers: { 'content-type': 'text/html' },
});

/** Answers by the path behind `/api/catalog/`, without the query; the first rule that fits counts. */
export type Script = Readonly<Record<string, Answer | ((seen: Seen, query: URLSearchParams) => Answer)>>;

export const PATHS = {
  config: 'v1/config',
  namespaces: 'v1/ws/namespaces',
  tables: 'v1/ws/namespaces/sales/tables',
  orders: 'v1/ws/namespaces/sales/tables/orders',
  view: 'v1/ws/namespaces/sales/views/orders',
};

export const CONFIG = json({ defaults: {}, overrides: { prefix: 'ws' } });

/** A table as catalogs load it. */
export const loaded = (
  more: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Answer =>
  json(
    {
      'metadata-location': 's3://lake/sales/orders/metadata/1.json',
      metadata: { 'format-version': 2, 'table-uuid': 'uuid-1' },
      ...more,
    },
    headers,
  );

/** One namespace with one table, on a catalog without endpoints, levels of namespaces, ETags and views. */
export const SMALL: Script = {
  [PATHS.config]: CONFIG,
  [PATHS.namespaces]: (_seen, query) => json({ namespaces: query.has('parent') ? [] : [['sales']] }),
  [PATHS.tables]: json({ identifiers: [{ namespace: ['sales'], name: 'orders' }] }),
  [PATHS.orders]: loaded(),
};

/** A catalog whose every answer the test decides. */
export class ScriptedWorld extends RestWorld {
  readonly server: StandIn;

  private constructor(server: StandIn) {
    super(`http://127.0.0.1:${server.port}/api/catalog`);
    this.server = server;
  }

  static async start(script: Script): Promise<ScriptedWorld> {
    const server = await StandIn.start((seen) => {
      const url = new URL(seen.path, 'http://catalog');
      const answer = script[url.pathname.replace('/api/catalog/', '')];
      if (answer === undefined) return icebergError(404, 'NotFoundException', `no such path: ${url.pathname}`);
      return typeof answer === 'function' ? answer(seen, url.searchParams) : answer;
    });
    return new ScriptedWorld(server);
  }

  override config(changes: Readonly<Record<string, unknown>> = {}) {
    return super.config({ auth: { type: 'bearer', token: TOKEN }, ...changes });
  }

  /** Paths asked for, without what precedes `v1/`. */
  get paths(): readonly string[] {
    return this.server.seen.map(({ path }) => path.replace('/api/catalog/', ''));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}
