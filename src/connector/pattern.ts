import type { TableIdentifier } from '../core/types.ts';

/**
 * A pattern for table identifiers: levels separated by dots, matched case-sensitively against the source's names.
 * Within a level `*` stands for any characters, also none; a level `**` stands for any number of levels, also none.
 * A backslash takes the next character literally: `a\.b.*` matches every table of the namespace `a.b`.
 */
export type Pattern = { readonly text: string; readonly levels: readonly (RegExp | '**')[] };

/** Throws a `SyntaxError` whose message says what is wrong, without the pattern itself. */
export function parsePattern(text: string): Pattern {
  const levels = splitLevels(text).map(parseLevel);
  if (levels.length === 1 && levels[0] !== '**')
    throw new SyntaxError(`a pattern names a namespace and a table, such as "${text}.*"`);
  return { text, levels };
}

export function matches(pattern: Pattern, table: TableIdentifier): boolean {
  return matchLevels(pattern.levels, [...table.namespace, table.name]);
}

function matchLevels(pattern: readonly (RegExp | '**')[], levels: readonly string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return levels.length === 0;
  if (head === '**') return levels.some((_, skip) => matchLevels(rest, levels.slice(skip))) || rest.every(isDeep);
  const [level, ...below] = levels;
  return level !== undefined && head.test(level) && matchLevels(rest, below);
}

const isDeep = (level: RegExp | '**') => level === '**';

/** Splits at unescaped dots; the escapes stay in. */
function splitLevels(text: string): readonly string[] {
  const tokens = text.match(/\\[^]|[^]/gu) ?? [];
  if (tokens.at(-1) === '\\') throw new SyntaxError('a pattern cannot end with a lone backslash');
  const levels = [''];
  for (const token of tokens)
    if (token === '.') levels.push('');
    else levels.push((levels.pop() ?? '') + token);
  return levels;
}

function parseLevel(level: string): RegExp | '**' {
  if (level === '') throw new SyntaxError('a pattern has no empty level; use * for any name');
  if (level === '**') return level;
  if (level.replaceAll(/\\[^]/g, '').includes('**'))
    throw new SyntaxError('** stands for whole levels, so it cannot be part of a name; use * within a name');
  const source = level.replaceAll(/\\([^])|([^])/gu, (_, escaped: string | undefined, plain: string | undefined) =>
    plain === '*' ? '.*' : literal(escaped ?? plain ?? ''),
  );
  return new RegExp(`^${source}$`, 'su');
}

const literal = (character: string) => character.replace(/[\\^$.*+?()[\]{}|/]/, String.raw`\$&`);
