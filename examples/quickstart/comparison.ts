/** How two sets of tables differ; each list holds names. */
export type Comparison = {
  readonly tables: number;
  readonly equal: number;
  /** In the metastore, but not in Polaris. */
  readonly missing: readonly string[];
  /** In both, at different metadata locations. */
  readonly different: readonly string[];
  /** In Polaris, but not in the metastore. */
  readonly extra: readonly string[];
};

/** Compares table by table: name → metadata location. */
export function compare(source: ReadonlyMap<string, string>, mirror: ReadonlyMap<string, string>): Comparison {
  const names = [...source.keys()].toSorted();
  const missing = names.filter((name) => !mirror.has(name));
  const different = names.filter((name) => mirror.has(name) && mirror.get(name) !== source.get(name));
  const extra = [...mirror.keys()].filter((name) => !source.has(name)).toSorted();
  return { tables: source.size, equal: source.size - missing.length - different.length, missing, different, extra };
}

export const isEqual = ({ missing, different, extra }: Comparison): boolean =>
  missing.length + different.length + extra.length === 0;

/** The last line of a run. `more` is said of an equal pair: what it took. */
export function verdict(comparison: Comparison, more: string): string {
  const { tables, equal, missing, different, extra } = comparison;
  if (isEqual(comparison)) return `equal: ${tables} tables${more === '' ? '' : `, ${more}`}`;
  return [
    `NOT EQUAL: ${equal} of ${tables} tables are equal`,
    ...named('not in Polaris', missing),
    ...named('at another metadata location', different),
    ...named('only in Polaris', extra),
  ].join('; ');
}

const NAMES_SHOWN = 3;

function named(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > NAMES_SHOWN ? `, ... ${names.length - NAMES_SHOWN} more` : '';
  return [`${what}: ${names.slice(0, NAMES_SHOWN).join(', ')}${more}`];
}
