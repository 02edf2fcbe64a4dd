import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { ROOT, type Violation } from './tree.ts';

const SIZE = {
  'max-params': ['error', { max: 4 }],
  'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
};
const CORE_SIZE = { 'max-lines': ['error', { max: 400 }] };
const FILE_SIZE = { 'max-lines': ['error', { max: 600 }] };
const IMPURE =
  'Date performance setTimeout setInterval setImmediate queueMicrotask Promise process console fetch crypto globalThis';
const PURITY = {
  'no-restricted-globals': ['error', ...IMPURE.split(' ')],
  'no-restricted-properties': ['error', { object: 'Math', property: 'random' }],
};

const RULES = { core: { ...SIZE, ...CORE_SIZE, ...PURITY }, code: { ...SIZE, ...FILE_SIZE }, tests: FILE_SIZE };

/**
 * What the linter finds in files or folders: size ratchets, in lines of code without comments for functions for `code` (functions and files) and `tests` (files), and for
 * the `core` also what makes a function impure.
 */
export async function lint(kind: keyof typeof RULES, paths: readonly string[]): Promise<readonly Violation[]> {
  await using config = await temporaryFile(
    JSON.stringify({ plugins: [], categories: { correctness: 'off' }, rules: RULES[kind] }),
  );
  const oxlint = join(ROOT, 'node_modules', 'oxlint', 'bin', 'oxlint');
  const args = [oxlint, '--config', config.path, '--format', 'json', '--no-ignore', ...paths];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, maxBuffer: 64 * 1024 ** 2 }).catch(
    // It exits with 1 when it finds something.
    (error: { readonly stdout: string }) => error,
  );
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: readonly Diagnostic[] };
  return diagnostics.map(({ filename, message, labels: [label] }) => ({
    path: relative(ROOT, join(ROOT, filename)).replaceAll('\\', '/'),
    message: `${message} (line ${label?.span.line})`,
  }));
}

type Diagnostic = {
  readonly filename: string;
  readonly message: string;
  readonly labels: readonly { readonly span: { readonly line: number } }[];
};

export async function temporaryFile(text: string, name: string = 'oxlint.json') {
  const folder = await mkdtemp(join(tmpdir(), 'tidy-'));
  const path = join(folder, name);
  await writeFile(path, text);
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
