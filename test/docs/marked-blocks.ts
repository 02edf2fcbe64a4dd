export type Block = {
  /** What its marker says: `guide: check` in `<!-- guide: check -->`. */
  readonly marker: string;
  readonly language: string;
  readonly text: string;
};

/** The code blocks of a Markdown page that follow a comment, which readers of the page don't see. */
export const markedBlocks = (markdown: string): readonly Block[] =>
  [...markdown.matchAll(/^<!-- ([^\n]*?) -->\n+```(\w*)\n([^]*?)^```$/gm)].map(
    ([, marker = '', language = '', text = '']) => ({ marker, language, text }),
  );

/** The text of one of them. Throws when there isn't exactly one. */
export function markedBlock(markdown: string, marker: string): string {
  const found = markedBlocks(markdown).filter((block) => block.marker === marker);
  const [block] = found;
  if (block === undefined || found.length > 1)
    throw new Error(`Expected one code block after <!-- ${marker} -->, found ${found.length}.`);
  return block.text;
}
