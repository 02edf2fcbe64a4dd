import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './root.ts';

/** What a page shows between fences; `language` is empty where none is named. */
export type Block = { readonly page: string; readonly language: string; readonly text: string };

/** The pages that people write and others follow; the reference is generated. */
export const PAGES: readonly string[] = [
  'README.md',
  'AGENTS.md',
  'connectors/README.md',
  'test/real/README.md',
  ...globSync(['docs/*.md', 'examples/**/*.md', 'charts/*/README.md'], { cwd: ROOT }).toSorted(),
];

export const readPage = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** The blocks of these languages on all pages. */
export const blocksOf = (...languages: readonly string[]): readonly Block[] =>
  PAGES.flatMap((page) =>
    [...readPage(page).matchAll(/^( *)```(\w*)\n([^]*?)^\1```$/gm)].map(
      ([, indent = '', language = '', text = '']) => ({
        page,
        language,
        text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      }),
    ),
  ).filter(({ language }) => languages.includes(language));

/** Code within running text of a page. */
export const inlineCode = (page: string): readonly string[] =>
  [
    ...readPage(page)
      .replaceAll(/^( *)```[^]*?^\1```$/gm, '')
      .matchAll(/`([^`\n]+)`/g),
  ].map(([, code = '']) => code);

/**
 * The words of each simple command of a script: as far as the documentation goes, that is quotes, comments, continued
 * lines, lists, pipes and subshells; what is substituted stays as it is written.
 */
export function commandsOf(script: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]];
  const token = /\\\n|#[^\n]*|&&|\|\||[|;\n()]|(?:'[^']*'|"(?:[^"\\]|\\.)*"|\$\([^()]*\)|\\.|[^\s'"|;&()])+|\s/gy;
  for (const [text] of script.matchAll(token)) {
    if (/^(?:&&|\|\||[|;\n()])$/.test(text)) commands.push([]);
    else if (!/^(?:\s|\\\n|#)/.test(text)) commands.at(-1)?.push(unquoted(text));
  }
  return commands.filter(({ length }) => length > 0);
}

const unquoted = (word: string): string =>
  word.replaceAll(
    /'([^']*)'|"((?:[^"\\]|\\.)*)"/g,
    (_, single: string | undefined, double: string | undefined) => single ?? double ?? '',
  );
