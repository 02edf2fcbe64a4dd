import type { TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import { parseJson } from './answer.ts';
import { saysNoSuchNamespace } from './classify.ts';
import { toError } from './failure.ts';
import { encodeNamespace, type Addressing } from '../runtime/rest-names.ts';
import { failureOf, type Reply, type Session } from './session.ts';

const PAGE_SIZE = 1000;
/** Requests of one listing under way at once: reading must not crowd out the notifications. */
const CONCURRENCY = 4;
/** Polaris ignores paging unless told otherwise, so one answer may hold a whole namespace (recorded). */
const MAX_PAGE_BYTES = 256 * 1024 * 1024;
/** A listing is thousands of requests; one of them hitting a rate limit is no reason to begin anew. */
const TRIES = 4;
const FIRST_PAUSE_MS = 500;

type Page = {
  readonly of: 'namespaces' | 'tables';
  /** Empty: the catalog's root. */
  readonly namespace: readonly string[];
  readonly token?: string | undefined;
};

type Found = { readonly tables: readonly TableIdentifier[]; readonly next: readonly Page[] };

/**
 * Every Iceberg table of the catalog, in no particular order. Follows pages where the server has them and takes all at
 * once where it hasn't. A table made or dropped meanwhile may or may not be among them. Throws `PushError`.
 */
export async function* listTables(
  session: Session,
  addressing: Addressing,
  signal: AbortSignal,
): AsyncGenerator<TableIdentifier> {
  const abandoned = new AbortController();
  const listing = new Listing(session, addressing, AbortSignal.any([signal, abandoned.signal]));
  const queue: Page[] = [{ of: 'namespaces', namespace: [] }];
  const running = new Map<Page, Promise<{ readonly page: Page; readonly found: Found }>>();
  try {
    for (;;) {
      while (running.size < CONCURRENCY) {
        // The last one first: depth before breadth keeps the queue short.
        const page = queue.pop();
        if (page === undefined) break;
        running.set(
          page,
          listing.read(page).then((found) => ({ page, found })),
        );
      }
      if (running.size === 0) return;
      const { page, found } = await Promise.race(running.values());
      running.delete(page);
      queue.push(...found.next);
      yield* found.tables;
    }
  } finally {
    abandoned.abort(new Error('The listing is not wanted any more.'));
    await Promise.allSettled(running.values());
  }
}

class Listing {
  readonly #session: Session;
  readonly #addressing: Addressing;
  readonly #signal: AbortSignal;

  constructor(session: Session, addressing: Addressing, signal: AbortSignal) {
    this.#session = session;
    this.#addressing = addressing;
    this.#signal = signal;
  }

  async read(page: Page): Promise<Found> {
    const path = this.#pathOf(page);
    if (path === undefined) return { tables: [], next: [] };
    const reply = await this.#ask(path);
    if (reply.kind === 'answer') {
      if (reply.answer.status === 200 && !reply.cut) return this.#found(page, reply.body);
      // Dropped since its parent was read.
      if (page.namespace.length > 0 && saysNoSuchNamespace(reply.answer)) return { tables: [], next: [] };
      if (reply.cut) throw this.#unreadable(page, `it is longer than ${MAX_PAGE_BYTES} bytes`);
    }
    throw toError(failureOf(reply), this.#session.config.name, `Listing ${nameOf(page)} failed`);
  }

  async #ask(path: string): Promise<Reply> {
    const { clock } = this.#session;
    for (let tried = 1; ; tried++) {
      const reply = await this.#session.call(
        { kind: 'list', method: 'GET', path, maxBodyBytes: MAX_PAGE_BYTES },
        this.#signal,
      );
      if (reply.kind === 'answer' && reply.answer.status === 200) return reply;
      const failure = failureOf(reply);
      const again = failure.kind === 'unavailable' || failure.kind === 'unknown';
      // Nobody is there to become available in a second or two.
      if (!again || tried === TRIES || (reply.kind === 'failed' && reply.obstacle !== undefined)) return reply;
      const pauseMs = FIRST_PAUSE_MS * 2 ** (tried - 1);
      await clock.sleep(failure.kind === 'unavailable' ? (failure.retryAfterMs ?? pauseMs) : pauseMs, this.#signal);
    }
  }

  #pathOf({ of, namespace, token }: Page): string | undefined {
    const { prefix, separator } = this.#addressing;
    // An empty page token asks for pages, by the Iceberg REST specification.
    const query = new URLSearchParams({ pageToken: token ?? '', pageSize: String(PAGE_SIZE) });
    const collection = `v1/${prefix}/namespaces`;
    if (namespace.length === 0) return `${collection}?${query.toString()}`;
    const encoded = encodeNamespace(namespace, separator);
    if (encoded.kind === 'unaddressable') {
      // It can hold nothing of ours, as nothing can be sent there.
      this.#session.log.warn('namespace-not-addressable', { namespace, reason: encoded.reason });
      return undefined;
    }
    return of === 'tables'
      ? `${collection}/${encoded.path}/tables?${query.toString()}`
      : `${collection}?parent=${encoded.path}&${query.toString()}`;
  }

  #found(page: Page, body: string): Found {
    const answer = parseJson(body);
    if (typeof answer !== 'object' || answer === null) throw this.#unreadable(page, 'it is not JSON');
    const next: Page[] = [];
    const token = (answer as { 'next-page-token'?: unknown })['next-page-token'];
    if (typeof token === 'string' && token !== '') {
      if (token === page.token) throw this.#unreadable(page, 'its next page is itself');
      next.push({ ...page, token });
    }
    if (page.of === 'tables') {
      const { identifiers } = answer as { identifiers?: unknown };
      if (!Array.isArray(identifiers) || !identifiers.every(isIdentifier)) {
        throw this.#unreadable(page, 'it has no list of identifiers');
      }
      return { tables: identifiers.map(({ namespace, name }) => ({ namespace, name })), next };
    }
    const { namespaces } = answer as { namespaces?: unknown };
    if (!Array.isArray(namespaces) || !namespaces.every(isLevels)) {
      throw this.#unreadable(page, 'it has no list of namespaces');
    }
    for (const namespace of namespaces) {
      // A server that overlooks `parent` would lead around in circles.
      if (!isChild(namespace, page.namespace)) continue;
      next.push({ of: 'tables', namespace }, { of: 'namespaces', namespace });
    }
    return { tables: [], next };
  }

  #unreadable(page: Page, why: string): PushError {
    const { name } = this.#session.config;
    return new PushError(
      'POLARIS_REFUSED',
      `Target ${name}: the answer to listing ${nameOf(page)} can't be read: ${why}.`,
    );
  }
}

const isLevels = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((level) => typeof level === 'string');

const isIdentifier = (value: unknown): value is TableIdentifier => {
  if (typeof value !== 'object' || value === null) return false;
  const { namespace, name } = value as { namespace?: unknown; name?: unknown };
  return isLevels(namespace) && typeof name === 'string';
};

const isChild = (namespace: readonly string[], parent: readonly string[]): boolean =>
  namespace.length === parent.length + 1 && parent.every((level, at) => namespace[at] === level);

const nameOf = ({ of, namespace }: Page): string =>
  namespace.length === 0 ? 'the namespaces of the catalog' : `the ${of} of ${JSON.stringify(namespace)}`;
