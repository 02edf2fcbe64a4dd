/* oxlint-disable typescript/no-unsafe-call, typescript/no-unsafe-member-access, typescript/no-unsafe-argument, typescript/no-unsafe-assignment -- the compiler doesn't look at plain JavaScript */
// After tsc: removes what earlier builds left of files that are gone, copies the files of the status page, and makes the
// command of the package executable.
// Plain JavaScript, as it runs where npm runs.
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const built = join(entry.parentPath, entry.name);
  const source = join(root, built.slice(dist.length).replace(/(\.d)?\.[jt]s$/, '.ts'));
  if (!existsSync(source)) rmSync(built);
}

const page = join('src', 'observe', 'page');
cpSync(join(root, page), join(dist, page), { recursive: true });

const main = join(dist, 'src', 'main.js');
if (!readFileSync(main, 'utf8').startsWith('#!/usr/bin/env node\n')) {
  process.stderr.write('dist/src/main.js has lost its first line, #!/usr/bin/env node.\n');
  process.exit(1);
}
chmodSync(main, 0o755);
