import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLParseError,
  type YAMLWarning,
} from 'yaml';

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
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, stringKeys: true });
    const [first] = [...this.#document.errors, ...this.#document.warnings];
    // One only: what follows it is mostly the parser out of step.
    this.problems = first === undefined ? [] : [this.#problem(first, text)];
  }

  #problem({ message, pos: [offset] }: YAMLParseError | YAMLWarning, text: string): Problem {
    const { line, col } = this.#lines.linePos(offset);
    const variable = text.split('\n')[line - 1]?.includes('${') === true;
    const hint = variable ? '; within { } or [ ] a ${NAME} needs quotes' : '';
    return { path: [], message: `not valid YAML at column ${col}: ${withoutQuotes(message)}${hint}`, line };
  }

  /** The content as plain values, or what is wrong with it. Only for a file that could be parsed. */
  read(): { readonly content: unknown; readonly problems: readonly Problem[] } {
    try {
      return { content: this.#document.toJS({ maxAliasCount: 100 }) as unknown, problems: [] };
    } catch (error) {
      const message = `not valid YAML: ${withoutQuotes((error as Error).message)}; text that begins with * needs quotes`;
      return { content: undefined, problems: [{ path: [], message, line: this.#firstAlias() }] };
    }
  }

  #firstAlias(): number | undefined {
    let line: number | undefined;
    visit(this.#document, {
      Alias: (_, alias) => {
        if (alias.resolve(this.#document) !== undefined) return undefined;
        line = this.#lines.linePos(startOf(alias) ?? 0).line;
        return visit.BREAK;
      },
    });
    return line;
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

/** The parser's message without what it quotes from the file, as that may be a secret. */
const withoutQuotes = (message: string): string =>
  message.replace(/:? ".*$|: .*$/s, '').replace(/(escape sequence) .*$/s, '$1');

const startOf = (node: unknown): number | undefined => (isNode(node) ? (node as Node).range?.[0] : undefined);
