import type { Secrets } from '../runtime/secrets.ts';
import { visible } from '../runtime/visible.ts';

/** A stream to write to: standard output or error, but for tests. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** What a command says on standard output: for people, or with --json as one JSON object a line. */
export interface Out {
  /** Whether --json was given. */
  readonly json: boolean;
  /** Colours for people; no escape codes without a terminal, with --json, or when NO_COLOR is set. */
  readonly paint: Paint;
  /** Columns to fill, at most 100. */
  readonly width: number;
  /** For people; nothing with --json. Ends with a line feed by itself. */
  line(text?: string): void;
  /** One NDJSON object `{"event": …}`; nothing without --json. */
  event(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

export type Paint = Readonly<Record<'red' | 'green' | 'yellow' | 'dim' | 'bold', (text: string) => string>>;

const CODES = { red: [31, 39], green: [32, 39], yellow: [33, 39], dim: [2, 22], bold: [1, 22] } as const;

export function paintFor(coloured: boolean): Paint {
  const painter = ([on, off]: readonly [number, number]) =>
    coloured ? (text: string) => `\u001B[${on}m${text}\u001B[${off}m` : (text: string) => text;
  return {
    red: painter(CODES.red),
    green: painter(CODES.green),
    yellow: painter(CODES.yellow),
    dim: painter(CODES.dim),
    bold: painter(CODES.bold),
  };
}

/** https://no-color.org: set and not empty means no. */
export const isColoured = (stream: TextStream, env: Readonly<Record<string, string | undefined>>): boolean =>
  stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';

const NARROWEST = 40;
const WIDEST = 100;
const USUAL = 80;

export const widthOf = (stream: TextStream): number =>
  Math.min(WIDEST, Math.max(NARROWEST, stream.isTTY === true ? (stream.columns ?? USUAL) : USUAL));

export function createOut(
  stream: TextStream,
  options: {
    readonly json: boolean;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly secrets: Secrets;
  },
): Out {
  const { json, secrets } = options;
  return {
    json,
    paint: paintFor(!json && isColoured(stream, options.env)),
    width: widthOf(stream),
    line: (text = '') => {
      if (!json) stream.write(`${visible(secrets.mask(text))}\n`);
    },
    event: (event, fields = {}) => {
      if (json) stream.write(`${secrets.mask(JSON.stringify({ event, ...fields }))}\n`);
    },
  };
}

/** How many columns a text takes. */
// oxlint-disable-next-line no-control-regex -- that is how colours begin
const seen = (text: string): number => text.replaceAll(/\u001B\[\d+m/g, '').length;

/**
 * Breaks text at blanks so that no line is longer than `width`, the indent included, which stands before every line but
 * the first: that one follows something as wide. A longer word keeps a line of its own, and line feeds stay. Colours have no
 * width.
 */
export function wrap(text: string, width: number, indent: string = ''): string {
  return text
    .split('\n')
    .flatMap((paragraph) => {
      const lines: string[] = [];
      let line = '';
      for (const word of paragraph.split(' ')) {
        if (line !== '' && indent.length + seen(line) + 1 + seen(word) > width) {
          lines.push(line);
          line = word;
        } else line = line === '' ? word : `${line} ${word}`;
      }
      return [...lines, line];
    })
    .map((line, index) => (index === 0 || line === '' ? line : indent + line))
    .join('\n');
}
