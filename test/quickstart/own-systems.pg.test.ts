import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { startMetastore } from '../../examples/quickstart/embedded.ts';
import { HiveWriter } from '../../examples/quickstart/writer.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';

const MAIN = fileURLToPath(new URL('../../examples/quickstart/main.ts', import.meta.url));

/** A metastore with three tables, a Polaris, and `npm start --once` with the options that name them. */
async function openSystems() {
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-test-'));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const metastore = opened.use(await startMetastore());
  const writer = opened.use(new HiveWriter({ connectionString: metastore.url, warehouse: folder }));
  await writer.createNamespace('sales');
  for (const name of ['a', 'b', 'c']) await writer.createTable(`sales.${name}`);
  await writer.createView('sales.v', 'select 1');
  const emulator = opened.use(
    await startEmulator({ catalogs: [{ name: 'mirror', baseLocation: pathToFileURL(folder).href }] }),
  );
  const secretFile = join(folder, 'secret');
  writeFileSync(secretFile, 's3cr3t\n');
  const run = (options: readonly string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const args = [
        MAIN,
        '--once',
        '--hms',
        metastore.agentUrl,
        '--polaris',
        `${emulator.uri}/api/catalog`,
        ...options,
      ];
      execFile(process.execPath, args, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  const slots = async () => {
    const client = await metastore.client();
    const { rows } = await client.query<{ name: string }>('SELECT slot_name AS name FROM pg_replication_slots');
    await client.end();
    return rows.map((row) => row.name);
  };
  const parts = opened.move();
  return { emulator, writer, secretFile, run, slots, [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose]() };
}

test("the user's own systems are checked, mirrored and compared, and no replication slot is left behind", async () => {
  await using systems = await openSystems();
  const options = ['--catalog', 'mirror', '--client-id', 'root', '--client-secret-file', systems.secretFile];
  const { code, stdout, stderr } = await systems.run(options);
  expect({ code, stdout, stderr }).toMatchObject({ code: 0, stderr: '' });
  expect(stdout).toMatch(/✓ publication: /);
  expect(stdout).toMatch(/sales\.v +an Iceberg view/);
  expect(stdout.trimEnd().split('\n').at(-1)).toBe('equal: 3 tables, 3 notifications');
  expect([...systems.emulator.tables('mirror').keys()]).toHaveLength(3);
  expect(await systems.slots()).toEqual([]);
});

test('a table that Polaris alone has makes the verdict NOT EQUAL and the exit code 3', async () => {
  await using systems = await openSystems();
  const options = ['--catalog', 'mirror', '--client-id', 'root', '--client-secret-file', systems.secretFile];
  expect((await systems.run(options)).code).toBe(0);
  // Dropped while no agent watches and none remembers it: to this run's agent it is somebody else's table.
  await systems.writer.dropTable('sales.b');
  const { code, stdout } = await systems.run(options);
  expect(stdout.trimEnd().split('\n').at(-1)).toBe('NOT EQUAL: 2 of 2 tables are equal; only in Polaris: sales.b');
  expect(code).toBe(3);
});

test('what a system lacks is told by the check with its fix, and nothing is pushed', async () => {
  await using systems = await openSystems();
  const options = ['--catalog', 'nowhere', '--client-id', 'root', '--client-secret-file', systems.secretFile];
  const { code, stdout } = await systems.run(options);
  expect([3, 4]).toContain(code);
  expect(stdout).toMatch(/✗ .*nowhere/);
  expect(systems.emulator.tables('mirror').size).toBe(0);
  expect(await systems.slots()).toEqual([]);
});
