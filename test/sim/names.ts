import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { TableIdentifier } from '../../src/core/types.ts';

/** `db.a`: one namespace level, no dot in either. */
export function id(text: string): TableIdentifier {
  const levels = text.split('.');
  return { namespace: levels.slice(0, -1), name: levels.at(-1) ?? '' };
}

export const key = (text: string): TableKey => keyOf(id(text));
