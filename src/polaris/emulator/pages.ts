import { Refusal } from './reply.ts';

/**
 * A list as Polaris sends it. `pageSize` and `pageToken` are ignored unless pagination is on; then either of them asks
 * for pages. `next-page-token` is null on the last one.
 */
export function page<T>(
  items: readonly T[],
  search: URLSearchParams,
  enabled: boolean,
): { readonly items: readonly T[]; readonly next: string | null } {
  const size = Number(search.get('pageSize') ?? Number.NaN);
  const token = search.get('pageToken') ?? '';
  if (!enabled || (Number.isNaN(size) && token === '')) return { items, next: null };
  const start = token === '' ? 0 : offsetOf(token);
  const end = Number.isNaN(size) ? items.length : start + size;
  return { items: items.slice(start, end), next: end < items.length ? tokenOf(end) : null };
}

const tokenOf = (offset: number): string => Buffer.from(`:${offset}`).toString('base64url');

function offsetOf(token: string): number {
  const match = /^:(\d+)$/.exec(Buffer.from(token, 'base64url').toString());
  if (match?.[1] !== undefined) return Number(match[1]);
  throw new Refusal(
    500,
    'StreamReadException',
    'Input does not start with Smile format header (first byte = 0xcf) and parser has REQUIRE_HEADER enabled: ' +
      'can not parse\n at [Source: (byte[])[2 bytes]; byte offset: #0]',
  );
}
