// After tsc: makes the command of the package executable. Plain JavaScript, as it runs where npm runs.
/* oxlint-disable typescript/no-unsafe-call, typescript/no-unsafe-member-access -- the compiler doesn't look at plain JavaScript */
import { chmodSync, readFileSync } from 'node:fs';

const main = new URL('../dist/src/main.js', import.meta.url);
if (!readFileSync(main, 'utf8').startsWith('#!/usr/bin/env node\n')) {
  process.stderr.write('dist/src/main.js has lost its first line, #!/usr/bin/env node.\n');
  process.exit(1);
}
chmodSync(main, 0o755);
