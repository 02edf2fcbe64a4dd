import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tableEvent } from '../../src/forward/cloud-event.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { run } from '../cli/command-line.ts';
import { icebergError, json, loaded, PATHS, ScriptedWorld, SMALL } from '../connectors/iceberg-rest/scripted.ts';
import { writeMetadata } from '../conformance/table-files.ts';
import { StandIn } from '../polaris/stand-in.ts';

/** No prefix: nothing tells this catalog from another one. */
const path = (known: string) => known.replace('v1/ws/', 'v1/');

test('run --once of a source without an identity ends when its events are out, not before they are durable', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'forwarding-once-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rmSync(folder, { recursive: true }));
  const { uri: location } = writeMetadata(folder);
  const table = loaded({ 'metadata-location': location });
  const source = await ScriptedWorld.start({
    ...Object.fromEntries(Object.entries(SMALL).map(([known, answer]) => [path(known), answer])),
    [PATHS.config]: json({ overrides: {} }),
    [path(PATHS.orders)]: table,
    [path(PATHS.view)]: icebergError(404, 'NoSuchViewException', 'no'),
  });
  parts.use(source);
  const target = parts.use(await startEmulator({ catalogs: [{ name: 'mirror', baseLocation: `file://${folder}` }] }));
  const subjects: string[] = [];
  const receiver = await StandIn.start(({ body }) => {
    subjects.push(tableEvent.parse(JSON.parse(body)).subject);
    return { status: 204 };
  });
  parts.use(receiver);
  const config = join(folder, 'agent.yaml');
  const auth = { client_id: 'root', client_secret: 's3cr3t' };
  writeFileSync(
    config,
    JSON.stringify({
      source: { kind: 'iceberg-rest', uri: `http://127.0.0.1:${source.server.port}/api/catalog` },
      targets: [{ name: 'main', uri: `${target.uri}/api/catalog`, catalog: 'mirror', auth }],
      ledger: { path: join(folder, 'ledger.db') },
      forward: [{ kind: 'webhook', url: `http://127.0.0.1:${receiver.port}/`, secret: 'a-secret-of-sixteen-or-more' }],
    }),
  );
  expect(await run(['run', '--once', '--config', config])).toMatchObject({ exitCode: 0 });
  expect(subjects).toEqual(['sales.orders']);
});
