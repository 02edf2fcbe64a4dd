import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConformanceServer } from './server.ts';
import { conformance } from './suite.ts';

/**
 * A running Polaris. `POLARIS_URI` is its address with or without `/api/catalog`; `POLARIS_CLIENT_ID` and
 * `POLARIS_CLIENT_SECRET` are a service administrator's; `POLARIS_WAREHOUSE_DIR` is a folder that the server can read
 * too, a temporary one unless told; `POLARIS_MANAGEMENT_URI` is where it serves its health. It needs FILE storage allowed (SUPPORTED_CATALOG_STORAGE_TYPES) to replay all of it.
 */
const { POLARIS_MANAGEMENT_URI } = process.env;
const offers = POLARIS_MANAGEMENT_URI === undefined ? [] : (['managementUri'] as const);

conformance('this Polaris answers as the recorded one', offers, givenServer);

async function givenServer(): Promise<ConformanceServer> {
  const { POLARIS_URI, POLARIS_CLIENT_ID, POLARIS_CLIENT_SECRET, POLARIS_WAREHOUSE_DIR } = process.env;
  if (POLARIS_URI === undefined || POLARIS_CLIENT_ID === undefined || POLARIS_CLIENT_SECRET === undefined) {
    throw new Error('Set POLARIS_URI, POLARIS_CLIENT_ID and POLARIS_CLIENT_SECRET.');
  }
  const warehouse = mkdtempSync(join(POLARIS_WAREHOUSE_DIR ?? tmpdir(), 'conformance-'));
  // The server may run as somebody else.
  chmodSync(warehouse, 0o755);
  return {
    uri: POLARIS_URI.replace(/\/+$/, '').replace(/\/api\/catalog$/, ''),
    credentials: { clientId: POLARIS_CLIENT_ID, clientSecret: POLARIS_CLIENT_SECRET },
    warehouse,
    managementUri: POLARIS_MANAGEMENT_URI,
    async [Symbol.asyncDispose]() {
      rmSync(warehouse, { recursive: true });
    },
  };
}
