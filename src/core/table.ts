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

/**
 * For people: `sales.orders`. A level with a dot, white space or control character is quoted, so that no two tables look
 * alike, and what a terminal or a page would act upon is escaped: it reads as it is and nothing else.
 */
export const showTable = (table: TableIdentifier): string =>
  [...table.namespace, table.name]
    .map((level) => (/^[^\s."'\p{C}]+$/u.test(level) ? level : escaped(JSON.stringify(level))))
    .join('.');

/** JSON leaves all but the oldest control characters as they are, and those that turn the direction of text. */
const escaped = (json: string): string =>
  json.replaceAll(/[\p{C}\u2028\u2029]/gu, (character) =>
    character.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );

/**
 * Reads a table as `showTable` writes it. Throws a `SyntaxError` that says what is wrong, when the text names no table:
 * at least one namespace level and a name, none of them empty.
 */
export function parseTable(text: string): TableIdentifier {
  const levels: string[] = [];
  for (let rest = `.${text}`; rest !== '';) {
    const [whole, quoted, plain] = /^\.(?:("(?:[^"\\]|\\.)*")|([^."]+))(?=\.|$)/su.exec(rest) ?? [];
    if (whole === undefined) throw new SyntaxError(`${text} has an empty or half-quoted level; write namespace.table`);
    levels.push(quoted === undefined ? (plain ?? '') : unquote(quoted, text));
    rest = rest.slice(whole.length);
  }
  if (levels.length < 2) throw new SyntaxError(`${text} names no namespace; write namespace.table`);
  return { namespace: levels.slice(0, -1), name: levels.at(-1) ?? '' };
}

function unquote(quoted: string, text: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw new SyntaxError(`${text} has a quoted level that is no JSON string`);
  }
}
