import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTANTS, type Mutant } from './mutants.ts';

/**
 * Applies each mutant to a copy of the project, one at a time, and lets everything that should notice look at it. Ends
 * with 1 if nothing noticed one of them, or if something fails without any.
 */

const ROOT = join(import.meta.dirname, '..', '..');
const COPIED = ['src', 'test', 'connectors', 'examples', 'package.json', 'tsconfig.json', 'vitest.config.ts'];
/** What takes so long hangs, and that is noticed as well. */
const TIMEOUT_MS = 180_000;

type Mode = { readonly name: string; readonly command: readonly string[] };

const MODES: readonly Mode[] = [
  { name: 'exhaustive', command: ['test/sim/main.ts', '--exhaustive'] },
  { name: 'random', command: ['test/sim/main.ts', '--seed', '1', '--seeds', '200'] },
  {
    name: 'unit',
    command:
      'node_modules/vitest/vitest.mjs run --project unit --bail 1 test/core test/pipeline test/ledger/memory.test.ts'.split(
        ' ',
      ),
  },
];

type Verdict = 'caught' | 'hangs' | 'survived';

/** Whether a mode notices what was done to this copy. */
function look(folder: string, { command }: Mode): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    // A group of its own: what hangs may be a worker of it, deaf to signals that its parent gets.
    const child = spawn(process.execPath, command, { cwd: folder, stdio: 'ignore', detached: true });
    const timer = setTimeout(() => process.kill(-(child.pid ?? process.pid), 'SIGKILL'), TIMEOUT_MS);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      if (signal !== null) resolve('hangs');
      else resolve(code === 0 ? 'survived' : 'caught');
    });
  });
}

function copyOfProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-mutant-'));
  for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

function apply(folder: string, { file, from, to, title }: Mutant): () => void {
  const path = join(folder, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${file} must hold this exactly once, for "${title}":\n${from}`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  return () => writeFileSync(path, text);
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: 'string' } } });
  const chosen = MUTANTS.filter(({ title }) => title.includes(values.only ?? ''));
  const folder = copyOfProject();
  const caughtBy = new Map<string, number>();
  let survivors = 0;
  try {
    for (const mode of MODES) {
      if ((await look(folder, mode)) !== 'survived') throw new Error(`${mode.name} fails without any mutant.`);
    }
    for (const mutant of chosen) {
      const restore = apply(folder, mutant);
      const verdicts: Verdict[] = [];
      for (const mode of MODES) verdicts.push(await look(folder, mode));
      restore();
      const caught = MODES.filter((_, i) => verdicts[i] !== 'survived').map(({ name }) => name);
      for (const name of caught) caughtBy.set(name, (caughtBy.get(name) ?? 0) + 1);
      if (caught.length === 0) survivors++;
      console.log(`${caught.length === 0 ? 'SURVIVED' : caught.join(', ')}: ${mutant.title} (${mutant.file})`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const byMode = MODES.map(({ name }) => `${caughtBy.get(name) ?? 0} by ${name}`).join(', ');
  console.log(`${chosen.length} mutants, ${chosen.length - survivors} caught: ${byMode}; ${survivors} by nothing`);
  return survivors === 0 ? 0 : 1;
}

process.exitCode = await main();
