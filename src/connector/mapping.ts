import { keyOf, tableOf, type TableKey } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';
import type { NamespaceMapping } from './scope-config.ts';

/** The source's name of a table, written in Polaris's way. */
export function toPolaris(mapping: NamespaceMapping, table: TableIdentifier): TableIdentifier {
  const levels = table.namespace.map((level) => inCase(mapping.case, level));
  const joined = mapping.flatten === undefined || levels.length === 0 ? levels : [levels.join(mapping.flatten)];
  return { namespace: [...mapping.prefix, ...joined], name: table.name };
}

/**
 * The one source name that a Polaris name most likely stands for; undefined if no source name is mapped to it.
 * Case and flattening lose information, so a source name that isn't its own inverse has to be remembered (`SourceNames`).
 */
export function likelySource(mapping: NamespaceMapping, table: TableIdentifier): TableIdentifier | undefined {
  const { prefix, flatten } = mapping;
  if (!prefix.every((level, index) => table.namespace[index] === level)) return undefined;
  const below = table.namespace.slice(prefix.length);
  const levels = flatten === undefined || below.length !== 1 ? below : unflattened(below[0] ?? '', flatten);
  const cased = mapping.case === 'upper' ? levels.map(lowered) : levels;
  const source = { namespace: cased, name: table.name };
  return keyOf(toPolaris(mapping, source)) === keyOf(table) ? source : undefined;
}

/** No source has a level without a name, so a separator at an edge or twice in a row was part of a name. */
function unflattened(level: string, separator: string): readonly string[] {
  const levels = level.split(separator);
  return levels.includes('') ? [level] : levels;
}

/** Metastores that fold case fold it to lower case. Some letters don't come back from there. */
function lowered(level: string): string {
  const lower = level.toLowerCase();
  return lower.toUpperCase() === level ? lower : level;
}

/** Whether two source names can become one name in Polaris. */
export const isLossy = (mapping: NamespaceMapping): boolean =>
  mapping.case !== 'preserve' || mapping.flatten !== undefined;

function inCase(letterCase: NamespaceMapping['case'], level: string): string {
  switch (letterCase) {
    case 'preserve':
      return level;
    case 'lower':
      return level.toLowerCase();
    case 'upper':
      return level.toUpperCase();
  }
}

/**
 * Which source names stand behind a Polaris name. Names that `likelySource` finds by itself take no memory.
 * The rest is learnt from changes and lists, and forgotten when a later complete list lacks it: never on the word of a
 * single read, as a table re-created meanwhile would be forgotten with it.
 */
export class SourceNames {
  readonly #mapping: NamespaceMapping;
  /** Polaris name → source name → the list that was the current one when the source name was last heard of. */
  readonly #exceptions = new Map<TableKey, Map<TableKey, number>>();
  #list = 0;
  #listed = false;

  constructor(mapping: NamespaceMapping) {
    this.#mapping = mapping;
  }

  /** Whether the candidates of any name are all known: from the first complete list on, or always if nothing is lost. */
  get complete(): boolean {
    return this.#listed || !isLossy(this.#mapping);
  }

  /** The Polaris name of a source name, which is remembered from now on. */
  learn(source: TableIdentifier): TableIdentifier {
    const polaris = toPolaris(this.#mapping, source);
    if (!isLossy(this.#mapping)) return polaris;
    const likely = likelySource(this.#mapping, polaris);
    const sourceKey = keyOf(source);
    if (likely !== undefined && keyOf(likely) === sourceKey) return polaris;
    const key = keyOf(polaris);
    const known = this.#exceptions.get(key) ?? new Map<TableKey, number>();
    this.#exceptions.set(key, known.set(sourceKey, this.#list));
    return polaris;
  }

  /** Every source name that may stand behind a Polaris name. Empty: no source name is mapped to it. */
  candidates(polaris: TableIdentifier): readonly TableIdentifier[] {
    const likely = likelySource(this.#mapping, polaris);
    const known = [...(this.#exceptions.get(keyOf(polaris))?.keys() ?? [])].map(tableOf);
    return likely === undefined ? known : [likely, ...known];
  }

  /** Begins a list; the returned function ends it when it came to its end, and forgets what it lacked. */
  beginList(): () => void {
    const list = ++this.#list;
    return () => {
      this.#listed = true;
      for (const [polaris, known] of this.#exceptions) {
        for (const [source, heard] of known) if (heard < list) known.delete(source);
        if (known.size === 0) this.#exceptions.delete(polaris);
      }
    };
  }
}
