import { spawnSync } from 'node:child_process';
import { ROOT } from '../docs/root.ts';
import { hasPromtool } from './promtool.ts';

// npm run test:monitoring
// Exit codes: 0 all holds, 1 something did not, 2 not run because promtool is missing.

if (hasPromtool()) {
  const { status } = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--project', 'monitoring'], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, POLARIS_PUSH_MONITORING: '1' },
  });
  process.exitCode = status === 0 ? 0 : 1;
} else {
  process.stderr.write('test:monitoring: not run, as it needs promtool (Debian: apt-get install prometheus).\n');
  process.exitCode = 2;
}
