import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const DEMO = fileURLToPath(new URL('../../examples/maintenance-service/demo.ts', import.meta.url));

/** The demonstration with a folder of its own for temporary files, and what of them it left behind. */
async function demo(args: readonly string[], interruptAt?: string) {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-test-'));
  chmodSync(folder, 0o755); // PostgreSQL runs under another user when we are root
  const child = spawn(process.execPath, [DEMO, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  });
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => (output[stream] += chunk.toString()));
  const interrupt = () => {
    if (interruptAt === undefined || !output.stdout.includes(interruptAt)) return;
    child.stdout.off('data', interrupt);
    child.kill('SIGINT');
  };
  child.stdout.on('data', interrupt);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, ...output, left: readdirSync(folder) };
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

test('a commit becomes a plan, by every step of the demonstration, and nothing is left behind', async () => {
  const { code, stdout, stderr, left } = await demo(['--commits', '20']);
  expect({ code, stderr, left }).toEqual({ code: 0, stderr: '', left: [] });
  expect(stdout).toContain('CREATE sales.orders: skipped, no-policy');
  expect(stdout).toContain('UPDATE sales.orders: compact, by policy sales.orders, version 0;');
  expect(stdout).toContain('UPDATE sales.items: compact, by policy sales.lake-default, version 0 (inherited);');
  expect(stdout).toContain('UPDATE staging.scratch: skipped, policy-disabled');
  expect(stdout).toContain('UPDATE sales.items: compact, by policy sales.lake-default, version 1 (inherited);');
  expect(stdout).toContain('DROP   sales.orders: skipped, table-dropped');
  expect(stdout).toMatch(/commit → plan +\d/);
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^fine: 20 commits timed, \d+ events, 20 plans$/);
}, 120_000);

test('a wrong command line is told with 2', async () => {
  expect(await demo(['--commits', 'many'])).toMatchObject({ code: 2, stdout: '' });
});

test('Ctrl-C ends it with all its processes, and nothing is left behind', async () => {
  const { code, stdout, left } = await demo([], '3. Commits');
  expect({ code, left }).toEqual({ code: 130, left: [] });
  expect(stdout).not.toContain('fine');
});
