import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CATALOG, type World } from '../pipeline/world.ts';
import { leaveRunning, type Running } from './leave-running.ts';
import { ROOT } from './root.ts';

/** The agent as operators run it: a process that can be killed. Its ledger outlives it. */
export function agentProcesses({ postgres, polaris }: World): Disposable & { readonly start: () => Running } {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-killed-'));
  const config = {
    source: { kind: 'hive', connection: postgres.url(), slot: 'of_a_process' },
    targets: [
      {
        name: 'main',
        uri: `${polaris.uri}/api/catalog`,
        catalog: CATALOG,
        auth: { client_id: 'root', client_secret: 's3cr3t' },
      },
    ],
    ledger: { path: join(folder, 'ledger.db') },
  };
  const file = join(folder, 'polaris-push.yaml');
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML
  const main = join(ROOT, 'src', 'main.ts');
  const env = { PATH: process.env['PATH'] ?? '' };
  return {
    start: () => leaveRunning(`'${process.execPath}' '${main}' run --config '${file}'`, folder, env),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
