import { PushError } from '../../src/errors/errors.ts';
import { DEFAULT_SEPARATOR, encodePrefix, encodeSeparator } from '../../src/runtime/rest-names.ts';
import { SingleFlight } from '../../src/runtime/single-flight.ts';
import type { RestClient } from './client.ts';
import type { RestConfig } from './config.ts';
import { parseJson, readProblem, record, text } from './problem.ts';

/** What the catalog says about itself before anything else is asked: `GET /v1/config`. */
export type Directory = {
  /** Where its resources are, percent-encoded: `https://catalog.example.com/v1` or `…/v1/{prefix}`. */
  readonly root: string;
  /** As the catalog names it; undefined for one without. */
  readonly prefix: string | undefined;
  /** What stands between two namespace levels in a path, percent-encoded. */
  readonly separator: string;
  /** What it offers, in a normal form; undefined where it doesn't tell. */
  readonly endpoints: ReadonlySet<string> | undefined;
};

/** The endpoints that matter here, in the normal form. */
export const ENDPOINTS = {
  namespaces: 'GET /v1/namespaces',
  tables: 'GET /v1/namespaces/{}/tables',
  load: 'GET /v1/namespaces/{}/tables/{}',
  views: 'GET /v1/namespaces/{}/views',
  view: 'GET /v1/namespaces/{}/views/{}',
} as const;

const MAX_CONFIG_BYTES = 1024 * 1024;

/**
 * Asked for once and kept, until something raises the suspicion that the catalog was made anew under another prefix. What
 * such a catalog lacks was never dropped, so nothing is asked of it before `renew`.
 */
export class CatalogDirectory implements Disposable {
  readonly #client: RestClient;
  readonly #config: RestConfig;
  readonly #closing = new AbortController();
  readonly #asking = new SingleFlight(() => this.#ask());
  #known: Directory | undefined;
  /** What `renew` brought last. */
  #accepted: Directory | undefined;

  constructor(client: RestClient, config: RestConfig) {
    this.#client = client;
    this.#config = config;
  }

  /** The prefix, which tells the catalog from another one of the same name where it is made of an id (Lakekeeper). */
  get prefix(): string | undefined {
    return this.#accepted?.prefix;
  }

  /** Throws `PushError`, or the signal's reason. */
  async read(signal: AbortSignal): Promise<Directory> {
    const directory = this.#known ?? (await this.#asking.join(signal));
    if (this.#accepted === undefined || directory.prefix === this.#accepted.prefix) return directory;
    const [now, before] = [directory, this.#accepted].map(({ prefix }) => JSON.stringify(prefix ?? ''));
    const fix = 'Nothing, if that was meant: it is followed anew, and DROPs wait for `polaris-push drops release`.';
    throw new PushError('REST_WAREHOUSE_UNKNOWN', `Its prefix was ${before} and is ${now}: it was made anew.`, { fix });
  }

  /** Asks anew, and takes the catalog for what it says. Throws `PushError`, or the signal's reason. */
  async renew(signal: AbortSignal): Promise<void> {
    this.#accepted = await this.#asking.join(signal);
  }

  /** The next read asks the catalog again. */
  forget(): void {
    this.#known = undefined;
  }

  [Symbol.dispose](): void {
    this.#closing.abort(new Error('The client was closed.'));
  }

  async #ask(): Promise<Directory> {
    const { warehouse, uri } = this.#config;
    const query = warehouse === undefined ? '' : `?warehouse=${encodeURIComponent(warehouse)}`;
    const doing = `asking ${uri}/v1/config`;
    const answer = await this.#client.ask(
      { kind: 'config', doing, address: `${uri}/v1/config${query}`, maxBodyBytes: MAX_CONFIG_BYTES, urgent: true },
      this.#closing.signal,
    );
    if (answer.status !== 200) {
      const { type, message, isPage } = readProblem(answer);
      // Iceberg's catalogs answer 404 or 400 to a warehouse that they don't have, with an error of their own.
      if ((answer.status === 404 || answer.status === 400) && type !== undefined && warehouse !== undefined)
        throw new PushError('REST_WAREHOUSE_UNKNOWN', `Warehouse ${JSON.stringify(warehouse)}: ${message}.`);
      if (answer.status === 404 || isPage) throw new PushError('REST_NOT_A_CATALOG', `While ${doing}: ${message}.`);
      throw this.#client.failure(answer, doing);
    }
    const directory = answer.cut ? undefined : readDirectory(answer.body, uri);
    if (directory === undefined) {
      const what = answer.cut ? `is longer than ${MAX_CONFIG_BYTES} bytes` : "isn't that of an Iceberg REST catalog";
      throw new PushError('REST_NOT_A_CATALOG', `The answer of ${uri}/v1/config ${what}.`);
    }
    this.#known = directory;
    return directory;
  }
}

/**
 * `overrides` come before `defaults`, as the Iceberg REST specification has it. Undefined when it is no such answer.
 * `uri` is where it was asked for. Throws `PushError` if it names another address that isn't safe.
 */
export function readDirectory(body: string, uri: string): Directory | undefined {
  const answer = record(parseJson(body));
  if (answer === undefined || !('overrides' in answer || 'defaults' in answer)) return undefined;
  const overrides = record(answer['overrides']) ?? {};
  const properties: Readonly<Record<string, unknown>> = { ...record(answer['defaults']), ...overrides };
  const prefix = text(properties['prefix']);
  const { endpoints } = answer;
  // A default is for clients that have no address; this one has.
  const moved = text(overrides['uri']);
  const base = moved === undefined ? uri : movedTo(moved, uri);
  return {
    prefix,
    root: `${base}/v1${prefix === undefined ? '' : `/${encodePrefix(prefix)}`}`,
    separator: encodeSeparator(text(properties['namespace-separator']) ?? DEFAULT_SEPARATOR),
    endpoints: Array.isArray(endpoints) && endpoints.length > 0 ? new Set(endpoints.map(normalised)) : undefined,
  };
}

/** The catalog says that it is elsewhere. */
function movedTo(address: string, configured: string): string {
  const url = URL.parse(address);
  const refuse = (why: string) =>
    new PushError('REST_REDIRECTED', `The catalog's configuration names ${address} as its address: ${why}.`);
  if (url === null || !/^https?:$/.test(url.protocol)) throw refuse('that is no http:// or https:// address');
  if (url.protocol === 'http:' && configured.startsWith('https:'))
    throw refuse('credentials would go there unencrypted');
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

/** `GET /v1/{prefix}/namespaces/{namespace}` and what others make of it, such as no prefix or other names. */
const normalised = (endpoint: unknown): string =>
  String(endpoint)
    .trim()
    .replace('/{prefix}', '')
    .replaceAll(/\{[^}]*\}/g, '{}');
