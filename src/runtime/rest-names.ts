import type { TableIdentifier } from '../core/types.ts';

/** How a catalog is addressed; from `GET /v1/config`. */
export type Addressing = {
  /** Path segment(s) of the catalog, percent-encoded. */
  readonly prefix: string;
  /** What stands between two namespace levels in a path, percent-encoded. */
  readonly separator: string;
};

/** ASCII unit separator: the Iceberg REST default, and what Polaris 1.7.0 announces (recorded). */
export const DEFAULT_SEPARATOR = '%1F';

export type Encoded =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'unaddressable'; readonly reason: string };

/**
 * The path of a namespace below `/v1/{prefix}/namespaces/`, or why it has none. `.` and `..` are eaten by everything
 * that normalises paths, and an empty level shifts the ones behind it: Polaris then answers for another resource
 * (recorded: a table `.` is looked up as a table called `notifications`), so such names never leave the agent.
 */
export function encodeNamespace(namespace: readonly string[], separator: string): Encoded {
  if (namespace.length === 0) return unaddressable('it is in no namespace');
  const plain = decoded(separator);
  const levels: string[] = [];
  for (const level of namespace) {
    if (level.includes(plain)) {
      return unaddressable(`the namespace level ${JSON.stringify(level)} holds the separator ${separator}`);
    }
    const encoded = encodeLevel(level);
    if (encoded === undefined) return unaddressable(`${describe(level)} cannot be a namespace level`);
    levels.push(encoded);
  }
  return { kind: 'path', path: levels.join(separator) };
}

/** The path of a table below `/v1/{prefix}/`, or why it has none. */
export function encodeTable(table: TableIdentifier, separator: string): Encoded {
  const namespace = encodeNamespace(table.namespace, separator);
  if (namespace.kind === 'unaddressable') return namespace;
  const name = encodeLevel(table.name);
  if (name === undefined) return unaddressable(`${describe(table.name)} cannot be a table name`);
  return { kind: 'path', path: `namespaces/${namespace.path}/tables/${name}` };
}

/**
 * A prefix as servers announce it: usually a bare catalog name, by the specification already fit for a path. Encodes
 * what is not, and leaves `%20` and `/` as they are.
 */
export const encodePrefix = (prefix: string): string =>
  prefix
    .split('/')
    .map((segment) => (/%[0-9A-Fa-f]{2}/.test(segment) ? segment : encodeURIComponent(segment)))
    .join('/');

/** A separator as announced, e.g. `%1F`; another form (`.`, a raw unit separator) is encoded. */
export function encodeSeparator(announced: string): string {
  if (announced === '') return DEFAULT_SEPARATOR;
  return decoded(announced) === announced ? encodeURIComponent(announced) : announced;
}

function encodeLevel(level: string): string | undefined {
  // A lone surrogate has no UTF-8 form.
  if (level === '' || level === '.' || level === '..' || !level.isWellFormed()) return undefined;
  return encodeURIComponent(level);
}

function describe(level: string): string {
  if (level === '') return 'an empty name';
  return level.isWellFormed() ? JSON.stringify(level) : `${JSON.stringify(level)}, which is not valid Unicode,`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const unaddressable = (reason: string): Encoded => ({
  kind: 'unaddressable',
  reason: `It cannot be addressed: ${reason}.`,
});
