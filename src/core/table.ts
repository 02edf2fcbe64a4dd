import type { TableIdentifier } from './types.ts';

declare const tableKey: unique symbol;
/** A table identifier as one string: equal exactly for equal identifiers, whatever characters the names hold. */
export type TableKey = string & { readonly [tableKey]: true };

export const keyOf = (table: TableIdentifier): TableKey => JSON.stringify([...table.namespace, table.name]) as TableKey;

/** The identifier that `keyOf` made the key of. */
export function tableOf(key: TableKey): TableIdentifier {
  const levels = JSON.parse(key) as string[];
  return { namespace: levels.slice(0, -1), name: levels.at(-1) ?? '' };
}

export const sameTable = (a: TableIdentifier, b: TableIdentifier): boolean => keyOf(a) === keyOf(b);

/** For people: `sales.orders`. A level with a dot, white space or control character is quoted, so that no two tables look alike. */
export const showTable = (table: TableIdentifier): string =>
  [...table.namespace, table.name]
    .map((level) => (/^[^\s."'\p{C}]+$/u.test(level) ? level : JSON.stringify(level)))
    .join('.');
