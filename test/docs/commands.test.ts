import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommanderError, type Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { Frame } from '../../src/cli/frame.ts';
import { commandNames, createProgram } from '../../src/cli/program.ts';
import { recordingIo } from '../cli/command-line.ts';
import { blocksOf, commandsOf, inlineCode, PAGES, type Block } from './blocks.ts';
import { ROOT } from './root.ts';

const SCRIPTS = blocksOf('sh', 'bash', 'shell');

/**
 * Every program that the pages call, and how it is known that the call is right. Ours are parsed here, also as arguments of npx; the guide of the
 * README is run as it stands, with psql and curl, by readme.pg.test.ts. Of all others only the shell's syntax and the
 * files that they name are checked: there is no container engine, cluster, systemd or AWS account to run them on.
 */
const PROGRAMS: Readonly<Record<string, 'parsed' | 'run' | 'syntax'>> = {
  'polaris-push': 'parsed',
  npm: 'parsed',
  npx: 'parsed',
  psql: 'run',
  curl: 'run',
  json: 'run',
  manage: 'run',
  export: 'run',
  umask: 'run',
  rm: 'run',
  node: 'run',
  aws: 'syntax',
  cd: 'syntax',
  docker: 'syntax',
  helm: 'syntax',
  install: 'syntax',
  journalctl: 'syntax',
  kubectl: 'syntax',
  podman: 'syntax',
  systemctl: 'syntax',
  'systemd-run': 'syntax',
  zip: 'syntax',
};

/** The words of the shell's own grammar that may stand before a command, and assignments. */
const isGrammar = (word: string): boolean => /^(?:do|done|then|fi|\{|\}|\w+=[^]*)$/.test(word);

const programIn = (words: readonly string[]): string | undefined =>
  words[0] === 'for' ? undefined : words.find((word) => !isGrammar(word));

/** The arguments of each call of `polaris-push`, also of one that another program makes. */
const ours = (script: string): readonly (readonly string[])[] =>
  commandsOf(script).flatMap((words) => {
    const at = words.findLastIndex(
      (word, i) => word === 'polaris-push' && (programIn(words) === word || commandNames.includes(words[i + 1] ?? '')),
    );
    return at === -1 ? [] : [words.slice(at + 1)];
  });

async function program(): Promise<Command> {
  const all = await createProgram(new Frame(recordingIo().io), () => true);
  const disarm = (command: Command): void => {
    command.action(() => {});
    for (const child of command.commands) disarm(child);
  };
  for (const command of all.commands) for (const leaf of leavesOf(command)) disarm(leaf);
  return all;
}

/** The commands that do something: those without commands of their own. */
const leavesOf = (command: Command): readonly Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);

/** What the command line objects to; undefined if it takes these arguments. */
async function objection(args: readonly string[], tolerated: readonly string[] = []): Promise<string | undefined> {
  try {
    await (await program()).parseAsync([...args], { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (SHOWN.has(error.code) || tolerated.includes(error.code)) return undefined;
    return `polaris-push ${args.join(' ')}: ${error.message}`;
  }
}

const SHOWN = new Set(['commander.helpDisplayed', 'commander.version']);
/** In running text a command is named, often without what it needs besides. */
const UNSAID = ['commander.missingArgument', 'commander.missingMandatoryOptionValue', 'commander.help'];

const objections = async (calls: readonly (readonly string[])[], tolerated?: readonly string[]) =>
  (await Promise.all(calls.map((args) => objection(args, tolerated)))).filter((found) => found !== undefined);

const isOurs = (word: string): boolean =>
  /^(?:charts|connectors|docs|examples|monitoring|packaging|scripts|src|test)\//.test(word);

describe('The commands that the pages show', () => {
  test('are found, also within a call of another program', () => {
    const script = `export A=1 B='x y'\n(cd a && npm run b) # c\ndocker exec p \\\n  polaris-push status --config "a b.yaml" | head`;
    expect(commandsOf(script)).toEqual([
      ['export', 'A=1', 'B=x y'],
      ['cd', 'a'],
      ['npm', 'run', 'b'],
      ['docker', 'exec', 'p', 'polaris-push', 'status', '--config', 'a b.yaml'],
      ['head'],
    ]);
    expect(ours(script)).toEqual([['status', '--config', 'a b.yaml']]);
  });

  test('a command or an option that there isn’t is noticed', async () => {
    expect(await objections([['statsu'], ['status', '--confg', 'a.yaml'], ['status', '--config', 'a.yaml']])).toEqual([
      expect.stringContaining('statsu'),
      expect.stringContaining('--confg'),
    ]);
  });

  test('are such as polaris-push takes, in blocks', async () => {
    const calls = SCRIPTS.flatMap(({ text }) => ours(text));
    expect(calls.length).toBeGreaterThan(15);
    expect(await objections(calls)).toEqual([]);
  });

  test('are such as polaris-push takes, in running text', async () => {
    const calls = PAGES.flatMap(inlineCode)
      .filter((code) => code.startsWith('polaris-push ') && !code.includes('…') && !code.includes('<'))
      .flatMap(ours);
    expect(calls.length).toBeGreaterThan(30);
    expect(await objections(calls, UNSAID)).toEqual([]);
  });

  test('of npm run scripts that there are', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
    const code = [...SCRIPTS.map(({ text }) => text), ...PAGES.flatMap(inlineCode)].join('\n');
    const named = [...code.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)].map(([, run, short]) => run ?? short);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !Object.hasOwn(scripts, name ?? ''))).toEqual([]);
  });

  test.for(SCRIPTS)('are a script in the shell’s grammar, on $page', ({ text }) => {
    const { status, stderr } = spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('name only files of the project that are there', () => {
    const inBlocks = SCRIPTS.flatMap(({ text }) => commandsOf(text).flat());
    const inText = PAGES.flatMap(inlineCode)
      .filter((code) => /^(?:node|npx) /.test(code))
      .flatMap((code) => code.split(' '));
    const named = [...inBlocks, ...inText].filter(isOurs);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test('call no program of which nobody has said how it is checked', () => {
    const unknown = SCRIPTS.flatMap(({ page, text }: Block) =>
      commandsOf(withoutFunctions(text))
        .map(programIn)
        .filter((name) => name !== undefined && !Object.hasOwn(PROGRAMS, name))
        .map((name) => `${page}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });
});

/** Without the heads of functions that a script defines. */
const withoutFunctions = (script: string): string => script.replaceAll(/^\w+\(\) \{/gm, '');
