import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { ERRORS } from '../../src/errors/errors.ts';
import { PARKED } from '../../src/errors/parked.ts';
import { ROOT } from './root.ts';

type Link = {
  readonly page: string;
  readonly text: string;
  readonly path: string;
  readonly anchor: string | undefined;
};

/** The pages that people write; the others are generated. */
const PAGES = ['README.md', ...globSync(['docs/*.md', 'examples/**/*.md'], { cwd: ROOT })];
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Links within the project, their paths from its folder. */
const linksOf = (page: string, markdown: string): readonly Link[] =>
  [...markdown.matchAll(/\[([^\]]+)\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(
    ([, text = '', path = '', anchor]) => ({
      page,
      text,
      path: path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path)),
      anchor,
    }),
  );

const LINKS = PAGES.flatMap((page) => linksOf(page, read(page)));
const isTest = ({ path }: Link) => /\.(test|contract)\.ts$/.test(path);

/** As GitHub makes them. */
const anchorsOf = (markdown: string): readonly string[] =>
  [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-'),
  );

const titlesOf = (source: string): readonly string[] =>
  [...source.matchAll(/\(\s*(?:'((?:[^'\\\n]|\\.)+)'|"([^"\n]+)"|`([^`]+)`)\s*,/g)].map(
    ([, single, double, template]) => single ?? double ?? template ?? '',
  );

/** Links to tests whose text is neither the title of a test of that file nor the file's name. */
const untrue = (links: readonly Link[], titles: (path: string) => readonly string[]): readonly string[] =>
  links
    .filter((link) => isTest(link) && !link.path.endsWith(`/${link.text}`) && !titles(link.path).includes(link.text))
    .map(({ page, text, path }) => `${page}: ${path} has no test "${text}"`);

test('every link of the documentation leads somewhere', () => {
  const dead = LINKS.filter(({ path, anchor }) => {
    if (!existsSync(join(ROOT, path))) return true;
    return anchor !== undefined && !anchorsOf(read(path)).includes(anchor);
  });
  expect(dead).toEqual([]);
});

test('every test that the documentation names exists, by this title and in this file', () => {
  expect(LINKS.filter(isTest).length).toBeGreaterThan(40);
  expect(untrue(LINKS, (path) => titlesOf(read(path)))).toEqual([]);
});

test('a test that was renamed is noticed', () => {
  const links = linksOf(
    'docs/x.md',
    '[old title](../test/x.test.ts), [new title](../test/x.test.ts), [x.test.ts](../test/x.test.ts)',
  );
  const titles = titlesOf(`test('new title', () => {});\ntest.for([1])("a 'quoted' one", async () => {});`);
  expect(titles).toEqual(['new title', "a 'quoted' one"]);
  expect(untrue(links, () => titles)).toEqual(['docs/x.md: test/x.test.ts has no test "old title"']);
});

/** The section of docs/guarantees.md that has a row for each fault test. */
const FAULTS = 'What happens when';

test('each guarantee has its test, and is named in the README and explained in docs/guarantees.md', () => {
  const source = read('test/docs/guarantees.pg.test.ts');
  const guarantees = [...source.matchAll(/^ {2}test\('([^']+)'/gm)].map(([, title]) => title);
  const explained = [...read('docs/guarantees.md').matchAll(/^## (.*)$/gm)].map(([, title]) => title);
  const named = LINKS.filter(({ page, path }) => page === 'README.md' && path === 'test/docs/guarantees.pg.test.ts');
  expect(guarantees).toHaveLength(10);
  expect(explained).toEqual([...guarantees, FAULTS]);
  expect(named.map(({ text }) => text).filter((text) => !text.endsWith('.ts'))).toEqual(guarantees);
});

test('each test of a fault on real processes has a row that says what happens, what is seen and what to do', () => {
  const [, section = ''] = read('docs/guarantees.md').split(`## ${FAULTS}\n`);
  const rows = [...section.matchAll(/^\|(?! (?:---|fault ))(.*)\|$/gm)].map(([, cells = '']) => cells.split(' | '));
  expect(rows.filter((cells) => cells.length !== 5 || cells.some((cell) => cell.trim() === ''))).toEqual([]);
  const linked = rows.map((cells) =>
    /^\[(.*)\]\(\.\.\/(.*)\)$/
      .exec(cells[4]?.trim() ?? '')
      ?.slice(1)
      .join(' in '),
  );
  const tests = globSync('test/faults/*.pg.test.ts', { cwd: ROOT })
    .filter((path) => !path.endsWith('/witness.pg.test.ts'))
    .flatMap((path) =>
      [...read(path).matchAll(/\btest\((['"])(.*?)\1, async/g)].map(([, , title = '']) => `${title} in ${path}`),
    );
  expect(tests.length).toBeGreaterThan(25);
  expect(new Set(linked)).toEqual(new Set(tests));
  expect(linked).toHaveLength(tests.length);
});

test('every code and event that a row names exists', () => {
  const [, section = ''] = read('docs/guarantees.md').split(`## ${FAULTS}\n`);
  const named = [...section.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  const codes = named.filter((name) => /^[A-Z]+(_[A-Z]+)+$/.test(name));
  expect(codes.length).toBeGreaterThan(8);
  expect(codes.filter((code) => !Object.hasOwn(ERRORS, code) && !Object.hasOwn(PARKED, code))).toEqual([]);
  const events = named.filter((name) => /^(task|slot|target|sink|foreign|not)-[a-z]+$/.test(name));
  expect(events.length).toBeGreaterThan(20);
  expect(events.filter((event) => !read('docs/operations.md').includes(`\`${event}\``))).toEqual([]);
});

test('every page is in the table of the README that says which one is for what', () => {
  const [, table = ''] = /## Documentation\n([^]*?)\n## /.exec(read('README.md')) ?? [];
  const listed = linksOf('README.md', table).map(({ path }) => path);
  const pages = globSync(['docs/**/*.md', 'examples/*/README.md'], { cwd: ROOT });
  expect(pages.filter((page) => !listed.includes(page))).toEqual([]);
});

test('every command is in the README', () => {
  const sections = [...read('docs/reference/cli.md').matchAll(/^## polaris-push (.+)$/gm)].map(([, name = '']) => name);
  const commands = sections.filter((name) => !sections.some((other) => other.startsWith(`${name} `)));
  expect(commands).toContain('run');
  expect(commands.filter((name) => !read('README.md').includes(`\`${name}\``))).toEqual([]);
});

test('every exit code is in the README', () => {
  const [, listed = ''] = /Exit codes: ([^]*?)\.\n/.exec(read('README.md')) ?? [];
  const codes = [...read('docs/reference/errors.md').matchAll(/^\| (\d+) \| /gm)].map(([, code]) => code);
  expect([...listed.matchAll(/(?<=^|· )\d+/g)].map(([code]) => code)).toEqual(codes);
});

test('every code of a parked table is in the runbook', () => {
  const page = read('docs/operations.md');
  expect(Object.keys(PARKED).filter((code) => !page.includes(`| \`${code}\``))).toEqual([]);
});

/** Whose events the runbook explains: the agent's own, and those of the connector that it is about. */
const WRITERS_OF_EVENTS = ['src/**/*.ts', 'connectors/hive/*.ts'];

test('every event of the log from level info on is in the runbook, and no other', () => {
  const sources = globSync(WRITERS_OF_EVENTS, { cwd: ROOT }).map(read).join('\n');
  const called = /\blog(?:ger)?(?:\.(?:info|warn|error)|\[[^\]]+\])\(\s*(?:\{[^{}]*\}, )?'([a-z]+(?:-[a-z]+)*)'/g;
  const events = new Set([...sources.matchAll(called)].map(([, event]) => event));
  // The two names under which one function tells that there is a slot.
  for (const event of ['slot-created', 'slot-recreated']) if (sources.includes(`'${event}'`)) events.add(event);
  const [, table = ''] = /## Events of the log\n([^]*?)\n## /.exec(read('docs/operations.md')) ?? [];
  const rows = [...table.matchAll(/^\| (`[^|]*)\|/gm)].map(([, names = '']) => names);
  const explained = rows.flatMap((names) => [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name));
  expect(new Set(explained)).toEqual(events);
});

test('the dependencies that the README explains are those of the package', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  const [, section = ''] = /## Dependencies\n([^]*?)\n## /.exec(read('README.md')) ?? [];
  const explained = [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
  expect(new Set(explained)).toEqual(new Set(Object.keys(dependencies)));
});
