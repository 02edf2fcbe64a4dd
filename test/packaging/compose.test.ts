import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { ROOT } from '../docs/root.ts';
import { deployed } from './agent-config.ts';

const run = promisify(execFile);
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
type Service = { volumes?: string[]; image?: string; environment?: Record<string, string>; ports?: string[] };
const { services, volumes } = parse(read('compose.yaml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};

test('mounts files that exist and volumes that are declared, and opens ports to this machine only', () => {
  const mounts = Object.values(services).flatMap(
    (service) => service.volumes?.map((mount) => mount.split(':')[0] ?? '') ?? [],
  );
  expect(mounts.length).toBeGreaterThan(5);
  const missing = mounts.filter(
    (source) => !(source.startsWith('./') ? existsSync(join(ROOT, source)) : source in volumes),
  );
  expect(missing).toEqual([]);
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
});

test('gives the agent a configuration that it accepts, with the variables that it names', async () => {
  const text = read('packaging/compose/polaris-push.yaml');
  const { config } = await deployed(text, '/etc/polaris-push');
  expect(config.targets).toHaveLength(1);
  const variables = [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name);
  // The client id is filled in by the setup.
  const given = Object.keys(services['polaris-push']?.environment ?? {});
  expect(new Set([...given, 'POLARIS_CLIENT_ID'])).toEqual(new Set(variables));
});

test('prepares Polaris so that the agent finds nothing to object to, and may do so again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-compose-'));
  const credentials = { clientId: 'root', clientSecret: 's3cr3t' };
  await using polaris = await startEmulator({ port: 0, catalogs: [], credentials, clock: systemClock });
  try {
    const env = {
      ...services['polaris-setup']?.environment,
      PATH: process.env['PATH'],
      POLARIS: polaris.uri,
      TEMPLATE: join(ROOT, 'packaging/compose/polaris-push.yaml'),
      OUTPUT: folder,
      OWNER: String(process.getuid?.() ?? 0),
    };
    const setup = () => run(process.execPath, [join(ROOT, 'packaging/compose/setup-polaris.ts')], { env });
    await setup();
    await setup();
    expect(statSync(join(folder, 'client-secret')).mode & 0o777).toBe(0o400);

    const config = parse(readFileSync(join(folder, 'polaris-push.yaml'), 'utf8')) as {
      targets: Record<string, unknown>[];
    };
    writeFileSync(join(folder, 'states.ndjson'), '');
    const [target = {}] = config.targets;
    const { client_id: id } = target['auth'] as { client_id: string };
    const checked = {
      source: { kind: 'file', path: join(folder, 'states.ndjson') },
      targets: [
        {
          ...target,
          uri: `${polaris.uri}/api/catalog`,
          auth: { client_id: id, client_secret_file: join(folder, 'client-secret') },
        },
      ],
      ledger: { path: join(folder, 'ledger.db') },
    };
    writeFileSync(join(folder, 'checked.yaml'), JSON.stringify(checked));
    const main = join(ROOT, 'src/main.ts');
    const { stdout } = await run(process.execPath, [main, 'check', '--config', join(folder, 'checked.yaml')]);
    expect(stdout).toContain('privileges: All five are granted.');
    expect(stdout).toContain('0 errors');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
