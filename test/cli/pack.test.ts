import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const exec = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A folder with nothing but the packed package and its dependencies, as `npm install` would leave it. */
async function installed() {
  const folder = await mkdtemp(join(tmpdir(), 'polaris-push-pack-'));
  await exec('npm', ['pack', '--pack-destination', folder, '--loglevel', 'error'], { cwd: ROOT });
  const [tarball = ''] = await readdir(folder);
  const modules = join(folder, 'node_modules');
  const home = join(modules, 'polaris-push');
  await mkdir(home, { recursive: true });
  await exec('tar', ['-xzf', join(folder, tarball), '-C', home, '--strip-components', '1']);
  for (const name of await readdir(join(ROOT, 'node_modules')))
    if (!name.startsWith('.')) await symlink(join(ROOT, 'node_modules', name), join(modules, name));
  return { home, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test(
  'the packed package runs by itself: help, version, schema, and it has the status page',
  { timeout: 120_000 },
  async () => {
    await using folder = await installed();
    const main = join(folder.home, 'dist', 'src', 'main.js');
    const run = async (...argv: string[]) => (await exec(main, argv, { cwd: folder.home })).stdout;
    expect(await run('--help')).toContain('Usage: polaris-push <command>');
    expect(await run('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await run('status', '--help')).toContain('--limit');
    for (const name of await readdir(join(ROOT, 'src', 'observe', 'page')))
      expect([name, existsSync(join(folder.home, 'dist', 'src', 'observe', 'page', name))]).toEqual([name, true]);
    // The schema takes the configuration and every connector along.
    expect(JSON.parse(await run('config', 'schema'))).toHaveProperty('properties.source');
  },
);

test('the packed package holds no tests, fixtures or sources', { timeout: 120_000 }, async () => {
  const { stdout } = await exec('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT });
  const [packed] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = packed.files.map(({ path }) => path);
  expect(paths).toContain('LICENSE');
  expect(paths.filter((path) => /^(src|test|scripts|connectors)\/|\.test\.|node_modules/.test(path))).toEqual([]);
});
