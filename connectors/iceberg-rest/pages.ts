import { PushError } from '../../src/errors/errors.ts';
import type { RestClient } from './client.ts';
import type { RestAnswer } from './failure.ts';
import type { RequestKind } from './meter.ts';
import { parseJson, record } from './problem.ts';

const PAGE_SIZE = 1000;
/** Servers may ignore paging, so one answer may hold all names of a large namespace. */
const MAX_PAGE_BYTES = 256 * 1024 * 1024;
/** So many pages in a row without a new name are taken for a circle. */
const BARREN_PAGES = 10;

export type Listing<Item> = {
  readonly kind: RequestKind;
  readonly doing: string;
  /** With what is in the query before the page, if anything is: `https://…/v1/lake/namespaces?parent=a`. */
  readonly address: string;
  /** Under which key the items are. */
  readonly key: 'namespaces' | 'identifiers';
  readonly isItem: (value: unknown) => value is Item;
  /** Equal for equal items. */
  readonly idOf: (item: Item) => string;
  readonly urgent?: boolean | undefined;
};

/**
 * The pages of a listing, each item once; instead of a page the answer, when it isn't a listing (such as a 404), and
 * then nothing more. A listing that doesn't end is a `PushError`.
 */
export async function* pagesOf<Item>(
  client: RestClient,
  listing: Listing<Item>,
  signal: AbortSignal,
): AsyncGenerator<readonly Item[] | RestAnswer, void, undefined> {
  const { kind, doing, urgent, isItem, idOf, key } = listing;
  const seen = new Set<string>();
  const tokens = new Set<string>();
  let barren = 0;
  let token = '';
  do {
    const address = `${listing.address}${listing.address.includes('?') ? '&' : '?'}${pageQuery(token)}`;
    const answer = await client.ask({ kind, doing, address, urgent, maxBodyBytes: MAX_PAGE_BYTES }, signal);
    if (answer.status !== 200) return yield answer;
    if (answer.cut)
      throw new PushError('REST_ANSWER_TOO_LARGE', `While ${doing}: a page of more than ${MAX_PAGE_BYTES} bytes.`);
    const page = record(parseJson(answer.body));
    const items = page?.[key];
    if (page === undefined || !Array.isArray(items) || !items.every(isItem))
      throw new PushError('REST_NOT_A_CATALOG', `While ${doing}: the answer has no list of ${key}.`);
    const fresh = items.filter((item) => !seen.has(idOf(item)));
    for (const item of fresh) seen.add(idOf(item));
    if (fresh.length > 0) yield fresh;
    barren = fresh.length > 0 ? 0 : barren + 1;
    const next = page['next-page-token'] ?? '';
    // Taken for the end, it would say that what is on the next page is not there.
    if (typeof next !== 'string')
      throw new PushError('REST_NOT_A_CATALOG', `While ${doing}: the next-page-token is no text.`);
    token = next;
    if (tokens.has(token)) throw endless(doing, 'a page token came back that had been used before');
    if (barren >= BARREN_PAGES) throw endless(doing, `${BARREN_PAGES} pages in a row brought nothing new`);
    if (token !== '') tokens.add(token);
  } while (token !== '');
}

/** An empty page token asks for pages, by the Iceberg REST specification. */
const pageQuery = (token: string): string => `pageToken=${encodeURIComponent(token)}&pageSize=${PAGE_SIZE}`;

const endless = (doing: string, why: string): PushError =>
  new PushError('REST_LISTING_ENDLESS', `While ${doing}: ${why}.`);
