import { posix } from 'node:path';
import { importsOf } from './directions.ts';
import type { SourceFile, Violation } from './tree.ts';

/** Written in two parts, so that this file doesn't hold what it forbids. */
const word = (...parts: string[]) => parts.join('');

const UNFINISHED = new RegExp(String.raw`\b(${word('TO', 'DO')}|${word('FIX', 'ME')}|${word('XX', 'X')})\b`, 'g');
const SWITCHED_OFF = new RegExp(
  String.raw`\b(?:test|it|describe)(?:\.\w+)*\.(?:${word('sk', 'ip')}|${word('on', 'ly')}|${word('to', 'do')}|${word('fa', 'ils')})\b`,
  'g',
);
/** A path that exists on somebody's machine only. */
const MACHINE_PATH = new RegExp(
  String.raw`(?<![\w.$}-])/(?:${word('wo', 'rk')}|${word('ro', 'ot')}|${word('ho', 'me')}/\w+|${word('Us', 'ers')}/\w+)(?=/|\b)`,
  'g',
);

/** Words that mean: not finished, not tested, or not for others. */
export function forbiddenWords({ path, text }: SourceFile): readonly Violation[] {
  const found = (pattern: RegExp, why: string) =>
    [...text.matchAll(pattern)].map((match) => ({
      path,
      message: `${why}: ${match[0]} (line ${lineOf(text, match.index)})`,
    }));
  return [
    ...found(UNFINISHED, 'unfinished'),
    ...(path.endsWith('.ts') ? found(SWITCHED_OFF, 'a test that does not run') : []),
    ...found(MACHINE_PATH, 'a path of one machine'),
  ];
}

const lineOf = (text: string, offset: number) => text.slice(0, offset).split('\n').length;

/** The core computes: what the linter can't see of that. */
export function asynchrony({ path, text }: SourceFile): readonly Violation[] {
  if (!path.startsWith('src/core/')) return [];
  const code = text.replaceAll(/\/\*[^]*?\*\/|\/\/.*$|'[^'\n]*'|"[^"\n]*"|`[^`]*`/gm, '');
  return [...code.matchAll(/\b(async|await)\b/g)].map(([found]) => ({
    path,
    message: `the core must not use ${found}`,
  }));
}

/** The rest of the product knows connectors by their port alone. `connectors` are the names of their folders. */
export function namedConnectors({ path, text }: SourceFile, connectors: readonly string[]): readonly Violation[] {
  // The catalogue of errors holds those of every connector: it is the page that people look codes up in.
  if (!path.startsWith('src/') || path.startsWith('src/errors/')) return [];
  // "file" is a word of its own.
  const names = connectors.filter((name) => name !== 'file').join('|');
  return [...text.matchAll(new RegExp(String.raw`\b(?:${names})\b`, 'gi'))].map(([found]) => ({
    path,
    message: `names the connector ${found}`,
  }));
}

const VAGUE = /(^|[-/])(utils?|helpers?|common|misc|manager)(\.|\/|-|$)/;

/** Files are named for the one thing that they hold, in kebab-case. */
export function fileNames({ path }: SourceFile): readonly Violation[] {
  if (!path.endsWith('.ts')) return [];
  const name = posix.basename(path);
  const violations = [];
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*\.ts$/.test(name)) violations.push('is not in kebab-case');
  if (VAGUE.test(path)) violations.push('has a name that says nothing');
  if (name === 'index.ts' && !path.startsWith('connectors/')) violations.push('is a barrel by its name');
  return violations.map((message) => ({ path, message }));
}

/** What a test may need, and so may say between its name and `.test.ts`. */
const NEEDS = new Set(['page', 'pg', 'sqs', 'promtool', 'polaris', 'real', 'contract']);

/** The suffix of a test says what it needs, as the runner goes by it. */
export function testSuffixes({ path, text }: SourceFile): readonly Violation[] {
  if (!path.endsWith('.test.ts')) return [];
  const suffixes = posix.basename(path).split('.').slice(1, -2);
  const unknown = suffixes.filter((suffix) => !NEEDS.has(suffix));
  const startsPostgres = importsOf(text).some((specifier) => specifier.endsWith('/quickstart/postgres.ts'));
  return [
    ...unknown.map((suffix) => ({ path, message: `the suffix .${suffix} is not known` })),
    ...(path.startsWith('test/') ? [] : [{ path, message: 'tests live under test/' }]),
    ...(startsPostgres && !suffixes.includes('pg')
      ? [{ path, message: 'needs PostgreSQL, so its suffix is .pg.test.ts' }]
      : []),
  ];
}
