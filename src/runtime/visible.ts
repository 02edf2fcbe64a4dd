/**
 * Text from elsewhere as a terminal may be given it: characters that a terminal acts upon, that turn the direction of
 * text or that nobody sees are escaped, but for line feeds, tabs, and the colours that this program itself sets. Names of
 * tables and answers of servers may hold anything.
 */
export const visible = (text: string): string =>
  text.replaceAll(OWN_COLOUR_OR_HIDDEN, (found) => (found.startsWith('\u001B[') ? found : escaped(found)));

/** As JSON writes them. */
const escaped = (character: string): string =>
  character.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Joiners hold emoji and words of some languages together, so they stay. */
// oxlint-disable-next-line no-control-regex -- those are what is looked for
const OWN_COLOUR_OR_HIDDEN = /\u001B\[(?:1|2|22|3[1-9]|90|0)m|(?![\t\n\u200C\u200D])[\p{C}\u2028\u2029]/gu;
