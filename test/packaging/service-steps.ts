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
];
