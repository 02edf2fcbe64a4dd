import { appendFileSync, chmodSync, chownSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';

export type Standby = AsyncDisposable & { readonly postgres: Postgres };

/** A streaming standby of a server, from a copy of its files; the server is restarted for it. */
export async function startStandby(primary: Postgres, major: 15): Promise<Standby> {
  const home = mkdtempSync(join(tmpdir(), 'polaris-push-standby-'));
  const dataDir = join(home, 'data');
  await primary.stop('fast');
  cpSync(primary.dataDir, dataDir, { recursive: true });
  await primary.start();
  chmodSync(dataDir, 0o700);
  writeFileSync(join(dataDir, 'standby.signal'), '');
  const settings = `primary_conninfo = 'host=127.0.0.1 port=${primary.port} user=postgres'\n`;
  appendFileSync(join(dataDir, 'postgresql.auto.conf'), settings);
  // As root, servers run under an unprivileged user, to whom the files must belong.
  if (process.getuid?.() === 0) {
    for (const path of ['', ...readdirSync(home, { recursive: true, encoding: 'utf8' })])
      chownSync(join(home, path), 65534, 65534);
  }
  const postgres = await startPostgres({ major, dataDir });
  return {
    postgres,
    async [Symbol.asyncDispose]() {
      await postgres[Symbol.asyncDispose]();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
