import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A file of the project: its path from the root, with slashes, and its text. */
export type SourceFile = { readonly path: string; readonly text: string };

/** A broken rule, as the tidy test prints it. */
export type Violation = { readonly path: string; readonly message: string };

const SKIPPED = new Set(['node_modules', 'dist', '.git', 'coverage', '.cache']);
const TEXT = /(\.(ts|mts|mjs|js|json|md|sql|ya?ml|sh)|(^|\/)(run|\.gitignore))$/;

/** Every text file of the project; recordings and the lock file aren't ours to tidy. */
export function projectFiles(): readonly SourceFile[] {
  return walk(ROOT)
    .map((path) => relative(ROOT, path).replaceAll('\\', '/'))
    .filter((path) => TEXT.test(path) && !path.startsWith('test/fixtures/') && path !== 'package-lock.json')
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

function walk(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.isFile() ? [path] : [];
  });
}
