import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import type { ConformanceServer, ServerSetup } from './server.ts';

/** The emulated Polaris in this process. Like the recorded servers, it cuts lists into pages only where it is told to. */
export async function emulatorServer(setup: ServerSetup = {}): Promise<ConformanceServer> {
  const warehouse = mkdtempSync(join(tmpdir(), 'conformance-'));
  const emulator = await startEmulator(setup);
  return {
    uri: emulator.uri,
    credentials: { clientId: 'root', clientSecret: 's3cr3t' },
    warehouse,
    persistence: setup.pagination === true ? 'relational-jdbc' : 'in-memory',
    variant: emulatorServer,
    restart: () => emulator.restart(),
    async [Symbol.asyncDispose]() {
      await emulator[Symbol.asyncDispose]();
      rmSync(warehouse, { recursive: true });
    },
  };
}
