import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../docs/root.ts';
import { imageWorld } from './image-world.ts';
import type { Step } from './step.ts';
import { Missing, outcome, systemProgram } from './tools.ts';

const UNIT = 'polaris-push.service';
const TEXT = readFileSync(join(ROOT, 'packaging/systemd', UNIT), 'utf8');
/** What systemd calls OK begins below 4; this is what the unit had when it was written, and a little more. */
const MOST_EXPOSED = 1.5;
/** `security --offline` and `verify --root` came with it. */
const OLDEST_SYSTEMD = 250;

async function analyze(): Promise<string> {
  const program = systemProgram('systemd-analyze', 'apt-get install systemd');
  const { stdout } = await outcome(program, ['--version']);
  const version = Number(/^systemd (\d+)/.exec(stdout)?.[1]);
  if (!(version >= OLDEST_SYSTEMD))
    throw new Missing(`systemd-analyze is of ${version}, not ${OLDEST_SYSTEMD} or newer`);
  return program;
}

/** Runs `task` in a root that holds the unit with this text, the command that it starts, and the system's targets. */
async function inRoot<Result>(text: string, task: (root: string) => Promise<Result>): Promise<Result> {
  const system = ['/usr/lib/systemd/system', '/lib/systemd/system'].find((folder) => existsSync(folder));
  if (system === undefined) throw new Missing('there are no units of systemd itself');
  const root = mkdtempSync(join(tmpdir(), 'polaris-push-root-'));
  try {
    const folders = {
      units: join(root, 'etc/systemd/system'),
      system: join(root, 'usr/lib/systemd/system'),
      bin: join(root, 'usr/local/bin'),
    };
    for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(system).filter((entry) => entry.endsWith('.target')))
      copyFileSync(join(system, name), join(folders.system, name));
    writeFileSync(join(folders.units, UNIT), text);
    writeFileSync(join(folders.bin, 'polaris-push'), '#!/bin/sh\n');
    chmodSync(join(folders.bin, 'polaris-push'), 0o755);
    return await task(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const verified = async (text: string): Promise<string> => {
  const program = await analyze();
  const { status, stdout, stderr } = await inRoot(text, (root) =>
    outcome(program, ['verify', '--man=no', `--root=${root}`, UNIT]),
  );
  return `${stdout}${stderr}${status === 0 ? '' : `exit code ${status}`}`.trim();
};

const MISTAKES = [
  ['an unknown key', 'TimeoutStopSec', 'TimeoutStopSeconds'],
  ['a wrong value', 'ProtectSystem=strict', 'ProtectSystem=very'],
  ['an unknown group of system calls', '@system-service', '@services'],
  ['a command that is not there', '/usr/local/bin/polaris-push', '/usr/local/bin/polaris-pull'],
] as const;

/** The sets of system calls that systemd knows: name → calls, sets within them resolved. */
function setsIn(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const written = new Map<string, readonly string[]>();
  let name = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('@')) written.set((name = line.trim()), []);
    else if (/^ +[@\w]/.test(line)) written.set(name, [...(written.get(name) ?? []), line.trim()]);
  }
  const resolved = (set: string): readonly string[] =>
    (written.get(set) ?? []).flatMap((entry) => (entry.startsWith('@') ? resolved(entry) : [entry]));
  return new Map([...written.keys()].map((set) => [set, new Set(resolved(set))]));
}

/** Whether the unit's filters let a system call pass: the first names what may, the others what may not after all. */
function passes(call: string, sets: ReadonlyMap<string, ReadonlySet<string>>): boolean {
  const filters = [...TEXT.matchAll(/^SystemCallFilter=(~?)(.*)$/gm)];
  return filters.reduce((allowed, [, inverted, names = '']) => {
    const named = names.split(' ').some((name) => sets.get(name)?.has(call) ?? name === call);
    return inverted === '~' ? allowed && !named : allowed || named;
  }, false);
}

/** A run of the agent from its start to its end, watched by strace. */
async function calls(): Promise<readonly string[]> {
  const strace = systemProgram('strace', 'apt-get install strace');
  await using world = await imageWorld();
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-traced-'));
  try {
    const states = join(folder, 'states.ndjson');
    writeFileSync(states, world.states);
    const config = join(folder, 'polaris-push.yaml');
    writeFileSync(config, world.config({ states, ledger: join(folder, 'ledger.db') }));
    const trace = join(folder, 'trace');
    const agent = [process.execPath, join(ROOT, 'src/main.ts'), 'run', '--once', '--config', config];
    const { status, stderr } = await outcome(strace, ['-f', '-qq', '-o', trace, ...agent]);
    if (/ptrace|PTRACE/.test(stderr))
      throw new Missing(`processes can't be traced here: ${stderr.trim().split('\n')[0]}`);
    assert.equal(status, 0, stderr);
    assert.equal(world.delivered(), world.tables);
    const found = [...readFileSync(trace, 'utf8').matchAll(/^\d+ +(\w+)\(/gm)].map(([, call = '']) => call);
    return [...new Set(found)].toSorted((a, b) => (a < b ? -1 : 1));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const serviceSteps: readonly Step[] = [
  {
    name: `${UNIT} is what systemd takes`,
    run: async () => {
      assert.equal(await verified(TEXT), '');
      return 'no complaint';
    },
  },
  {
    name: 'mistakes in it are noticed',
    run: async () => {
      for (const [name, right, wrong] of MISTAKES) {
        assert.ok(TEXT.includes(right), `the unit has no ${right}`);
        assert.notEqual(await verified(TEXT.replaceAll(right, wrong)), '', `not noticed: ${name}`);
      }
      return MISTAKES.map(([name]) => name).join(', ');
    },
  },
  {
    name: 'it leaves the service little to do harm with',
    run: async () => {
      const program = await analyze();
      const { stdout, stderr } = await inRoot(TEXT, (root) =>
        outcome(program, ['security', '--offline=yes', '--no-pager', `--root=${root}`, UNIT]),
      );
      const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
      assert.ok(exposure <= MOST_EXPOSED, `exposure ${exposure}, at most ${MOST_EXPOSED}\n${stdout}${stderr}`);
      return `exposure ${exposure} of 10`;
    },
  },
  {
    name: 'it lets the agent make the system calls that it makes',
    run: async () => {
      const { stdout } = await outcome(await analyze(), ['syscall-filter', '--no-pager']);
      const sets = setsIn(stdout);
      assert.ok((sets.get('@system-service')?.size ?? 0) > 200, 'systemd names no system calls');
      assert.ok(!passes('mount', sets) && !passes('setpriority', sets) && passes('openat', sets));
      const made = await calls();
      assert.ok(made.length > 30, made.join(', '));
      // SQLite gives its files the owner of the database where the superuser runs it, which the service is not.
      const asSuperuser = process.getuid?.() === 0 ? ['fchown'] : [];
      assert.deepEqual(
        made.filter((call) => !passes(call, sets) && !asSuperuser.includes(call)),
        [],
      );
      return `${made.length} different ones, none refused`;
    },
  },
];
