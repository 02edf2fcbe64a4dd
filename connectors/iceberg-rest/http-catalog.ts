import { showTable } from '../../src/core/table.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { Log } from '../../src/runtime/log.ts';
import { encodeNamespace, encodeTable, type Encoded } from '../../src/runtime/rest-names.ts';
import type { AskOptions, Loaded, LoadOptions, RestCatalog } from './catalog.ts';
import type { Question, RestClient } from './client.ts';
import type { RestConfig } from './config.ts';
import { CatalogDirectory, ENDPOINTS, type Directory } from './directory.ts';
import { isDenial, type RestAnswer } from './failure.ts';
import type { RestMeter } from './meter.ts';
import { pagesOf } from './pages.ts';
import { parseJson, readProblem, record, text } from './problem.ts';

/** A `RestCatalog` that also lists views, which nobody polls. */
export interface ListedCatalog extends RestCatalog {
  /** The names of a namespace's views, in pages; nothing where the catalog can't list them. */
  views(namespace: readonly string[], signal: AbortSignal): AsyncIterable<readonly TableIdentifier[]>;
}

type Identifiers = AskOptions & {
  readonly kind: 'tables' | 'views';
  readonly namespace: readonly string[];
  readonly directory: Directory;
};

export type HttpCatalogOptions = {
  readonly client: RestClient;
  readonly config: RestConfig;
  readonly meter: RestMeter;
  readonly log: Log;
};

/** With `snapshots=refs` metadata is small; a catalog that ignores it may send thousands of snapshots. */
const MAX_TABLE_BYTES = 128 * 1024 * 1024;
/** Namespaces whose children are asked for at the same time. */
const WALKERS = 4;

/** The read side of one catalog over HTTP. What a 404 and the like means is said here; what follows from it isn't. */
export class HttpCatalog implements ListedCatalog {
  readonly directory: CatalogDirectory;
  readonly #options: HttpCatalogOptions;
  /** The catalog refuses to look below a namespace, as it has no levels. */
  #flat = false;
  /** Namespaces that may not be looked into, as JSON. */
  readonly #closed = new Set<string>();
  /** The catalog told no endpoints, and turned out to have none for views. */
  #viewless = false;

  constructor(options: HttpCatalogOptions) {
    this.#options = options;
    this.directory = new CatalogDirectory(options.client, options.config);
    const { auth } = options.config;
    // By their documentation, neither has levels of namespaces.
    this.#flat = auth.type === 'sigv4' && (auth.service === 'glue' || auth.service === 's3tables');
  }

  async *namespaces(signal: AbortSignal): AsyncGenerator<readonly string[], void, undefined> {
    const roots = await this.children([], signal);
    if (roots === undefined)
      throw new PushError('REST_WAREHOUSE_UNKNOWN', 'The catalog says that its root does not exist.');
    const queue = roots.toReversed();
    const abandoned = new AbortController();
    const either = AbortSignal.any([signal, abandoned.signal]);
    const running = new Set<Promise<void>>();
    let failed: Error | undefined;
    const look = async (namespace: readonly string[]): Promise<void> => {
      try {
        queue.push(...(await this.#below(namespace, either)).toReversed());
      } catch (error) {
        failed ??= error as Error;
      }
    };
    try {
      while (queue.length > 0 || running.size > 0) {
        const namespace = queue.pop();
        if (namespace === undefined || running.size >= WALKERS) await Promise.race(running);
        if (failed !== undefined) throw failed;
        if (namespace === undefined) continue;
        const looking = look(namespace).finally(() => running.delete(looking));
        running.add(looking);
        yield namespace;
      }
    } finally {
      abandoned.abort(new Error('The listing is not wanted any more.'));
      await Promise.allSettled(running);
    }
  }

  async children(
    parent: readonly string[],
    signal: AbortSignal,
    options: AskOptions = {},
  ): Promise<readonly (readonly string[])[] | undefined> {
    const directory = await this.#offering('namespaces', signal);
    const doing = parent.length === 0 ? 'listing the namespaces' : `listing the namespaces in ${show(parent)}`;
    let address = `${directory.root}/namespaces`;
    if (parent.length > 0) address += `?parent=${pathOf(encodeNamespace(parent, directory.separator), doing)}`;
    const found: (readonly string[])[] = [];
    let others = 0;
    const listing = { kind: 'namespaces', doing, address, ...NAMESPACES, ...options } as const;
    for await (const page of pagesOf(this.#options.client, listing, signal)) {
      if (isAnswer(page)) return this.#noChildren(page, parent, doing);
      const children = page.filter((namespace) => isChild(namespace, parent));
      found.push(...children);
      others += page.length - children.length;
    }
    // No such answer may prove that a namespace isn't there.
    if (found.length === 0 && others > 0) throw new NoLevels(`While ${doing}: the catalog overlooks \`parent\`.`);
    return found;
  }

  async *tables(
    namespace: readonly string[],
    signal: AbortSignal,
    options: AskOptions = {},
  ): AsyncGenerator<readonly TableIdentifier[] | undefined, void, undefined> {
    const directory = await this.#offering('tables', signal);
    yield* this.#identifiers({ kind: 'tables', namespace, directory, ...options }, signal);
  }

  async *views(
    namespace: readonly string[],
    signal: AbortSignal,
  ): AsyncGenerator<readonly TableIdentifier[], void, undefined> {
    const directory = await this.directory.read(signal);
    // By the specification, one that tells no endpoints has none for views; Nessie 0.99 has, so it is tried.
    if (this.#viewless || directory.endpoints?.has(ENDPOINTS.views) === false) return;
    for await (const page of this.#identifiers({ kind: 'views', namespace, directory }, signal))
      if (page !== undefined) yield page;
  }

  async load(table: TableIdentifier, { etag, urgent }: LoadOptions, signal: AbortSignal): Promise<Loaded> {
    const directory = await this.#offering('load', signal);
    const doing = `loading ${showTable(table)}`;
    const address = `${directory.root}/${pathOf(encodeTable(table, directory.separator), doing)}?snapshots=refs`;
    const question: Question = { kind: 'load', doing, address, etag, urgent, maxBodyBytes: MAX_TABLE_BYTES };
    const answer = await this.#options.client.ask(question, signal);
    if (answer.status === 304 && etag !== undefined) {
      this.#options.meter.add('unchanged');
      return { kind: 'unchanged' };
    }
    if (answer.status === 404) return { kind: 'not-found', message: readProblem(answer).message };
    if (answer.status !== 200) throw this.#options.client.failure(answer, doing);
    return readTable(answer, doing);
  }

  async view(table: TableIdentifier, signal: AbortSignal): Promise<string | undefined> {
    const directory = await this.directory.read(signal);
    if (directory.endpoints?.has(ENDPOINTS.view) === false) return undefined;
    const doing = `loading the view ${showTable(table)}`;
    const path = pathOf(encodeTable(table, directory.separator), doing);
    const address = `${directory.root}/${path.replace(/\/tables\/([^/]*)$/, '/views/$1')}`;
    const question: Question = { kind: 'view', doing, address, urgent: true, maxBodyBytes: MAX_TABLE_BYTES };
    const answer = await this.#options.client.ask(question, signal);
    if (answer.status === 200 && !answer.cut)
      return text(record(record(parseJson(answer.body))?.['metadata'])?.['view-uuid']) ?? 'view';
    if (answer.status === 404) return undefined;
    // An endpoint that it never said it had.
    if (directory.endpoints === undefined && isNoEndpoint(answer.status)) return undefined;
    throw this.#options.client.failure(answer, doing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.directory[Symbol.dispose]();
    await this.#options.client[Symbol.asyncDispose]();
  }

  async *#identifiers(
    { kind, namespace, directory, urgent }: Identifiers,
    signal: AbortSignal,
  ): AsyncGenerator<readonly TableIdentifier[] | undefined, void, undefined> {
    const { client } = this.#options;
    const doing = `listing the ${kind} of ${show(namespace)}`;
    const path = pathOf(encodeNamespace(namespace, directory.separator), doing);
    const address = `${directory.root}/namespaces/${path}/${kind}`;
    for await (const page of pagesOf(client, { kind, doing, address, urgent, ...IDENTIFIERS }, signal)) {
      if (isAnswer(page)) {
        if (kind === 'views' && directory.endpoints === undefined && isNoListing(page)) {
          this.#viewless = true;
          return;
        }
        if (page.status !== 404) throw client.failure(page, doing);
        return yield undefined;
      }
      // Some catalogs leave the namespace to the question, others list what is below it, too.
      const own = page.filter((found) => found.namespace === undefined || sameLevels(found.namespace, namespace));
      yield own.map(({ name }) => ({ namespace, name }));
    }
  }

  async #offering(what: keyof typeof ENDPOINTS, signal: AbortSignal): Promise<Directory> {
    const directory = await this.directory.read(signal);
    if (directory.endpoints?.has(ENDPOINTS[what]) === false)
      throw new PushError('REST_ENDPOINT_MISSING', `It doesn't offer ${ENDPOINTS[what].replaceAll('{}', '{…}')}.`);
    return directory;
  }

  /** The children of a namespace that was listed: none if it was dropped meanwhile, if they are denied, or if the catalog has no levels. */
  async #below(namespace: readonly string[], signal: AbortSignal): Promise<readonly (readonly string[])[]> {
    if (this.#flat) return [];
    try {
      return (await this.children(namespace, signal)) ?? [];
    } catch (error) {
      if (error instanceof PushError && error.code === 'REST_NAME_NOT_ADDRESSABLE') {
        // Nothing can be asked of it, so it can hold nothing for us.
        this.#options.log.warn('namespace-not-addressable', { namespace, error });
        return [];
      }
      if (isDenial(error)) {
        // Whoever looks at the names again and again would be told again and again.
        const level = this.#closed.has(JSON.stringify(namespace)) ? 'debug' : 'warn';
        this.#closed.add(JSON.stringify(namespace));
        this.#options.log[level]('namespaces-not-listed', { below: namespace, error });
        return [];
      }
      if (!(error instanceof NoLevels)) throw error;
      this.#options.log.info('namespaces-have-no-levels', { because: error.message });
      this.#flat = true;
      return [];
    }
  }

  #noChildren(answer: RestAnswer, parent: readonly string[], doing: string): undefined {
    // The catalog may have been made anew under another prefix.
    if (parent.length === 0) this.directory.forget();
    if (answer.status === 404) return undefined;
    const failure = this.#options.client.failure(answer, doing);
    const { type, message } = readProblem(answer);
    const isUnsupported = type === 'UnsupportedOperationException' || /nested|hierarch|multi-?level/i.test(message);
    if (parent.length > 0 && isNoEndpoint(answer.status) && isUnsupported) throw new NoLevels(failure.message);
    throw failure;
  }
}

/** The catalog has no namespaces within namespaces, or can't list them. */
class NoLevels extends PushError {
  constructor(detail: string) {
    super('REST_FAILED', detail);
  }
}

const NAMESPACES = {
  key: 'namespaces',
  isItem: (value: unknown): value is readonly string[] =>
    Array.isArray(value) && value.every((level) => typeof level === 'string'),
  idOf: (namespace: readonly string[]): string => JSON.stringify(namespace),
} as const;

type Listed = { readonly namespace?: readonly string[] | undefined; readonly name: string };

const IDENTIFIERS = {
  key: 'identifiers',
  isItem: (value: unknown): value is Listed => {
    const { namespace, name } = record(value) ?? {};
    return typeof name === 'string' && (namespace === undefined || NAMESPACES.isItem(namespace));
  },
  idOf: ({ namespace, name }: Listed): string => JSON.stringify([namespace, name]),
} as const;

function pathOf(encoded: Encoded, doing: string): string {
  if (encoded.kind === 'path') return encoded.path;
  throw new PushError('REST_NAME_NOT_ADDRESSABLE', `While ${doing}: ${encoded.reason}`);
}

const isNoEndpoint = (status: number): boolean => [400, 405, 406, 501].includes(status);

/** An endpoint that isn't there, rather than a namespace that isn't. */
const isNoListing = (answer: RestAnswer): boolean =>
  isNoEndpoint(answer.status) || (answer.status === 404 && readProblem(answer).type !== 'NoSuchNamespaceException');

const isAnswer = (page: readonly unknown[] | RestAnswer): page is RestAnswer => !Array.isArray(page);

const sameLevels = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((level, at) => b[at] === level);

const isChild = (namespace: readonly string[], parent: readonly string[]): boolean =>
  namespace.length === parent.length + 1 && parent.every((level, at) => namespace[at] === level);

const show = (namespace: readonly string[]): string => namespace.map((level) => JSON.stringify(level)).join('.');

/** A LoadTableResult. Cut ones tell all that is needed if it stands at their beginning. */
function readTable({ body, cut, headers }: RestAnswer, doing: string): Loaded {
  const { etag } = headers;
  if (cut) {
    const [, location, tableUuid] = LEADING.exec(body) ?? [];
    if (location === undefined)
      throw new PushError('REST_ANSWER_TOO_LARGE', `While ${doing}: more than ${MAX_TABLE_BYTES} bytes.`);
    return { kind: 'present', metadataLocation: JSON.parse(location) as string, tableUuid, etag };
  }
  const answer = record(parseJson(body));
  const metadata = record(answer?.['metadata']);
  if (answer === undefined || (metadata === undefined && text(answer['metadata-location']) === undefined))
    throw new PushError('REST_NOT_A_CATALOG', `While ${doing}: the answer is no table's.`);
  return {
    kind: 'present',
    metadataLocation: text(answer['metadata-location']),
    tableUuid: text(metadata?.['table-uuid']),
    etag,
  };
}

/** As Iceberg's own serializer writes it: the location first, then the metadata, which begins with version and uuid. */
const LEADING =
  /^\s*\{\s*"metadata-location"\s*:\s*("(?:[^"\\]|\\.)+")\s*,\s*"metadata"\s*:\s*\{\s*"format-version"\s*:\s*\d+\s*,\s*"table-uuid"\s*:\s*"([^"\\]+)"/;
