import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generatedPages, stalePages } from '../scripts/generate-docs.ts';
import { directions, importsOf } from './tidy/directions.ts';
import { lint, temporaryFile } from './tidy/lint.ts';
import { projectFiles, ROOT, type SourceFile, type Violation } from './tidy/tree.ts';
import { asynchrony, fileNames, forbiddenWords, namedConnectors, testSuffixes } from './tidy/words.ts';

const files = projectFiles();
const connectors = readdirSync(join(ROOT, 'connectors'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

const all = (rule: (file: SourceFile) => readonly Violation[]) => files.flatMap(rule);
const messages = (violations: readonly Violation[]) => violations.map(({ message }) => message);

const statements = (count: number) => "  call('x');\n".repeat(count);
/** A file whose text is put together, so that this one doesn't hold what it forbids. */
const text = (...parts: string[]): SourceFile => ({ path: 'src/x.ts', text: parts.join('') });

describe('Imports', () => {
  test('go in the allowed directions only', () => {
    expect(all(directions)).toEqual([]);
  });

  test.for([
    ['src/core/x.ts', "import { z } from 'zod';"],
    ['src/core/x.ts', "import { readFileSync } from 'node:fs';"],
    ['src/core/x.ts', "import type { Clock } from '../runtime/clock.ts';"],
    ['src/polaris/x.ts', "import { keyOf } from '../ledger/ledger.ts';"],
    ['src/pipeline/x.ts', "import { scoped } from '../connector/scope.ts';"],
    ['src/pipeline/x.ts', "import {\n  a,\n  b,\n} from '../polaris/client.ts';"],
    ['src/cli/x.ts', "const { SqliteLedger } = await import('../ledger/sqlite.ts');"],
    ['src/new-folder/x.ts', "import { keyOf } from '../core/table.ts';"],
    ['src/ledger/x.ts', "export * from '../polaris/target.ts';"],
    ['connectors/a/x.ts', "import { x } from '../b/x.ts';"],
    ['connectors/a/x.ts', "import { x } from '../../src/pipeline/x.ts';"],
    ['connectors/a/x.ts', "import '../../src/ledger/ledger.ts';"],
  ])('%s must not: %s', ([path = '', code = '']) => {
    expect(directions({ path, text: code })).toHaveLength(1);
  });

  test.for([
    ['src/core/x.ts', "import { keyOf } from './table.ts';"],
    ['src/runtime/x.ts', "import { z } from 'zod';"],
    ['src/pipeline/x.ts', "import type { Target } from '../polaris/target.ts';"],
    ['src/app.ts', "import { connectors } from '../connectors/index.ts';"],
    ['connectors/a/x.ts', "import { x } from './y.ts';"],
    ['connectors/index.ts', "export const connectors = { a: () => import('./a/index.ts') };"],
    ['test/x.ts', "import { anything } from '../src/app.ts';"],
  ])('%s may: %s', ([path = '', code = '']) => {
    expect(directions({ path, text: code })).toEqual([]);
  });

  test('are found in every form', () => {
    const code = `import a from 'a';\nimport type { b } from "b";\nimport 'c';\nexport { d } from 'd';\nconst e = await import('e');\nimport {\n  f,\n} from 'f';\nconst important = 'x';`;
    expect(importsOf(code)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });
});

describe('The core', () => {
  test('computes: no clock, chance, timer, process or asynchrony', async () => {
    expect(await lint('core', ['src/core'])).toEqual([]);
    expect(all(asynchrony)).toEqual([]);
  });

  test.for([
    'export const now = () => Date.now();',
    'export const made = new Date();',
    'export const dice = () => Math.random();',
    'setTimeout(() => {}, 1);',
    'export const env = process.env;',
    "console.log('x');",
    'export const later = Promise.resolve(1);',
  ])('is seen to be impure by: %s', async (code) => {
    await using file = await temporaryFile(code, 'impure.ts');
    expect(await lint('core', [file.path])).toHaveLength(1);
  });

  test('is seen to be asynchronous, but not by its comments', () => {
    const path = 'src/core/x.ts';
    expect(asynchrony({ path, text: 'export async function f() {\n  await g();\n}' })).toHaveLength(2);
    expect(asynchrony({ path, text: '// await\n/** an async one */\nexport const x = "async";' })).toEqual([]);
  });
});

describe('Sizes', () => {
  test('stay within the limits: functions 70 lines of code and 4 parameters, files 400 in the core and 600 elsewhere', async () => {
    expect(await lint('code', ['src', 'connectors', 'scripts', 'examples'])).toEqual([]);
    expect(await lint('tests', ['test'])).toEqual([]);
  });

  test.for([
    [
      'code',
      'lines of a function',
      71,
      `export function f() {\n${statements(69)}}\n`,
      `export function f() {\n${statements(68)}}\n`,
    ],
    ['code', 'parameters', 5, 'export function f(a, b, c, d, e) {}', 'export function f(a, b, c, d) {}'],
    ['code', 'lines of a file', 601, statements(601), statements(600)],
    ['tests', 'lines of a test file', 601, statements(601), statements(600)],
    ['core', 'lines of a file', 401, statements(401), statements(400)],
  ] as const)('%s: %s of %i are noticed', async ([kind, , , tooLong, fits]) => {
    await using over = await temporaryFile(tooLong, 'long.ts');
    await using within = await temporaryFile(fits, 'fits.ts');
    expect(await lint(kind, [over.path])).toHaveLength(1);
    expect(await lint(kind, [within.path])).toEqual([]);
  });
});

describe('Words', () => {
  test('of unfinished work, switched-off tests and single machines are nowhere', () => {
    expect(all(forbiddenWords)).toEqual([]);
  });

  test('of that kind are noticed', () => {
    const noticed = [
      text('// TO', 'DO: later'),
      text('// FIX', 'ME'),
      text('test.sk', "ip('x')"),
      text('describe.on', 'ly('),
      text('test.concurrent.on', 'ly('),
      text('it.to', "do('x')"),
      text("'/ho", "me/me/project'"),
      text('cd /wo', 'rk/main'),
    ];
    expect(noticed.map((file) => forbiddenWords(file).length)).toEqual(noticed.map(() => 1));
    expect(forbiddenWords(text('https://example.com/ho', 'me/x and list.only and skip(1)'))).toEqual([]);
  });

  test('in src/ never name a connector', () => {
    expect(files.flatMap((file) => namedConnectors(file, connectors))).toEqual([]);
    expect(namedConnectors({ path: 'src/x.ts', text: '// as Hive does' }, ['hive'])).toHaveLength(1);
    expect(namedConnectors({ path: 'src/x.ts', text: 'archives of a file' }, ['hive', 'file'])).toEqual([]);
  });
});

describe('Generated pages', () => {
  test('are current; `npm run docs` makes them so', async () => {
    expect(stalePages(await generatedPages())).toEqual([]);
  });

  test('are noticed when they are missing or changed', async () => {
    await using file = await temporaryFile('fine', 'page.md');
    const page = (name: string, content: string) => stalePages(new Map([[name, content]]), dirname(file.path));
    expect(page('page.md', 'fine')).toEqual([]);
    expect(page('page.md', 'newer')).toEqual(['page.md']);
    expect(page('none.md', 'fine')).toEqual(['none.md']);
  });
});

describe('File names', () => {
  test('are in kebab-case and say what the file holds', () => {
    expect(all(fileNames)).toEqual([]);
  });

  test.for(['src/fooBar.ts', 'src/utils.ts', 'src/string-helpers.ts', 'src/common/x.ts', 'src/core/index.ts'])(
    '%s is noticed',
    (path) => {
      expect(fileNames({ path, text: '' })).toHaveLength(1);
    },
  );

  test('of tests say what the test needs', () => {
    expect(all(testSuffixes)).toEqual([]);
  });

  test.for([
    ['test/x.foo.test.ts', '', 'the suffix .foo is not known'],
    ['src/x.test.ts', '', 'tests live under test/'],
    ['test/x.test.ts', "import { startPostgres } from '../examples/quickstart/postgres.ts';", 'needs PostgreSQL'],
  ])('%s is noticed %s', ([path = '', code = '', message]) => {
    expect(messages(testSuffixes({ path, text: code })).join()).toContain(message);
  });
});
