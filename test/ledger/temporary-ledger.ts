import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLedger, type LedgerDeps } from '../../src/ledger/sqlite.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';

export const deps: LedgerDeps = { clock: systemClock, log: silentLog };

/** A process that dies loses nothing that it wrote to a file, so on memory a test shows the same, without waiting for a disk. */
const PARENT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A folder of its own for the files of one ledger; gone when disposed of. */
export async function temporaryLedger() {
  const folder = await mkdtemp(join(PARENT, 'polaris-push-ledger-'));
  const path = join(folder, 'ledger.db');
  return {
    folder,
    path,
    open: (more?: Partial<LedgerDeps>) => openLedger({ path }, { ...deps, ...more }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
