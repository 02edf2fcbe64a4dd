import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findChromium } from './browser.ts';

// npm run test:page: the status page in a real browser, Debian's chromium package or the one that CHROMIUM names.
// Exit codes: 0 all passed, 1 something did not, 2 not run because there is no Chromium.

const path = findChromium();
if (path === undefined) {
  process.stderr.write(
    'test:page: not run, as there is no Chromium on the path (apt-get install chromium), or in CHROMIUM.\n',
  );
  process.exit(2);
}
const vitest = spawn('vitest', ['run', '--project', 'page', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, CHROMIUM: path, POLARIS_PUSH_PAGE: '1' },
});
const [code] = (await once(vitest, 'exit')) as [number | null];
process.exitCode = code === 0 ? 0 : 1;
