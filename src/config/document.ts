import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';

/** Where something stands in a configuration: keys and list indexes from the top. */
export type Path = readonly (string | number)[];

/** Something wrong with a configuration. `line` is where, counted from 1. */
export type Problem = { readonly path: Path; readonly message: string; readonly line?: number | undefined };

/** For people: `targets[0].auth.client_id`. */
export const showPath = (path: Path): string =>
  path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('');

/** A parsed YAML file that knows the line of every key. */
export class ConfigDocument {
  readonly problems: readonly Problem[];
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();

  constructor(text: string) {
    // Pretty errors quote the source, which may hold a secret.
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, stringKeys: true });
    this.problems = [...this.#document.errors, ...this.#document.warnings].map(({ message, pos: [offset] }) => {
      const { line, col } = this.#lines.linePos(offset);
      return { path: [], message: `not valid YAML at column ${col}: ${message}`, line };
    });
  }

  /** The content as plain values. Throws if the file has problems. */
  get content(): unknown {
    return this.#document.toJS({ maxAliasCount: 100 }) as unknown;
  }

  /** The line of the key or list item at `path`, or of the nearest section above that exists. */
  lineOf(path: Path): number | undefined {
    let node: unknown = this.#document.contents;
    let offset: number | undefined;
    for (const step of path) {
      const within = isAlias(node) ? node.resolve(this.#document) : node;
      const item = isMap(within)
        ? within.items.find(({ key }) => isScalar(key) && key.value === step)
        : isSeq(within) && typeof step === 'number'
          ? { key: within.items[step], value: within.items[step] }
          : undefined;
      if (item === undefined) break;
      offset = startOf(item.key) ?? offset;
      node = item.value;
    }
    return offset === undefined ? undefined : this.#lines.linePos(offset).line;
  }
}

const startOf = (node: unknown): number | undefined => (isNode(node) ? (node as Node).range?.[0] : undefined);
