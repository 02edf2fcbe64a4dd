import type { Catalog } from './catalog.ts';
import { Refusal, illegalArgument } from './reply.ts';

/**
 * Locations compare as text after normalising what the recording shows to be equal: `file:/x`, `file:///x` and `/x`;
 * `s3a://` and `s3n://` with `s3://`. `..` isn't resolved, neither here nor in Polaris.
 */
function comparable(location: string): string {
  const text = location.replace(/^file:\/*/, '/').replace(/^s3[an]:\/\//, 's3://');
  return text.endsWith('/') ? text : `${text}/`;
}

/** Whether `location` is `parent` or lies below it; `s3://b/wh2` doesn't lie below `s3://b/wh`. */
export const liesWithin = (location: string, parent: string): boolean =>
  comparable(location).startsWith(comparable(parent));

export const overlap = (a: string, b: string): boolean => liesWithin(a, b) || liesWithin(b, a);

/** Characters that java.net.URI refuses in a path: Polaris parses every location on FILE storage as a URI. */
// oxlint-disable-next-line no-control-regex
const ILLEGAL_IN_PATH = /[\x00-\x20"<>\\^`{|}[\]\x7f\p{Zs}\p{Zl}\p{Zp}]|%(?![0-9a-fA-F]{2})/u;

/** Throws as Polaris does on a location that isn't a URI, for example one with a space. FILE storage only. */
export function assertUri(location: string): void {
  const path = /^[^?#]*/.exec(location)?.[0] ?? '';
  const match = ILLEGAL_IN_PATH.exec(path);
  if (match === null) return;
  const what = match[0] === '%' ? 'Malformed escape pair' : 'Illegal character in path';
  throw illegalArgument(`${what} at index ${match.index}: ${location}`);
}

/** Throws 403 unless all `locations` lie in the catalog's allowed ones; `table` is dotted, for the message. */
export function assertAllowed(catalog: Catalog, table: string, locations: readonly string[]): void {
  if (catalog.storage.storageType === 'FILE') locations.forEach(assertUri);
  const allowed = catalog.storage.allowedLocations.map((location) => location.replace(/\/+$/, ''));
  const outside = locations.find((location) => !allowed.some((parent) => liesWithin(location, parent)));
  if (outside === undefined) return;
  throw new Refusal(
    403,
    'ForbiddenException',
    `Invalid locations '[${locations.join(', ')}]' for identifier '${table}': ` +
      `${outside} is not in the list of allowed locations: [${allowed.join(', ')}]`,
  );
}
