import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../examples/quickstart/main.ts', import.meta.url));

type Started = {
  readonly process: ReturnType<typeof spawn>;
  readonly folder: string;
  readonly output: () => string;
  /** Resolves when the output holds `text`; throws when the process ends without. */
  readonly said: (text: string) => Promise<void>;
};

/** The quick start without a terminal, with a folder of its own for temporary files. */
async function quickStart<T>(args: readonly string[], body: (started: Started) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-test-'));
  chmodSync(folder, 0o755); // PostgreSQL runs under another user when we are root
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  try {
    const said = async (text: string) => {
      const closed = once(child, 'close').then(() => {
        throw new Error(`Ended without saying ${text}: ${output}`);
      });
      while (!output.includes(text)) await Promise.race([once(child.stdout, 'data'), closed]);
    };
    return await body({ process: child, folder, output: () => output, said });
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** Processes that were started in (or told of) a folder: none must be left. */
const processesOf = (folder: string): string[] =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(folder) ? [line] : [];
      } catch {
        return []; // ended in the meantime
      }
    });

/** Copies of PostgreSQL for an unprivileged user are meant to stay. */
const leftIn = (folder: string) => readdirSync(folder).filter((name) => !name.startsWith('polaris-push-postgres-'));

test('without a terminal the quick start does everything once, and ends with the verdict equal', async () => {
  await quickStart([], async ({ process: child, folder, output }) => {
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, output: output() }).toMatchObject({ code: 0 });
    const last = output().trimEnd().split('\n').at(-1);
    expect(last).toMatch(/^equal: 27 tables, \d+ operations, \d+ notifications, visible after p50 \d+ ms, p99 \d+ ms$/);
    expect(output()).toMatch(/sales\.large_orders +an Iceberg view/);
    expect(output()).not.toContain('\u001B');
    expect(processesOf(folder)).toEqual([]);
    expect(leftIn(folder)).toEqual([]);
  });
});

test('a signal ends the quick start and all its processes, and removes its files', async () => {
  await quickStart(['--once'], async ({ process: child, folder, output, said }) => {
    await said('Workload');
    expect(processesOf(folder).length).toBeGreaterThanOrEqual(3);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, output: output() }).toMatchObject({ code: 130 });
    expect(processesOf(folder)).toEqual([]);
    expect(leftIn(folder)).toEqual([]);
  });
});

test('when the agent dies the quick start says so and ends, with all its other processes', async () => {
  await quickStart(['--once'], async ({ process: child, folder, output, said }) => {
    await said('Workload');
    const agent = readdirSync('/proc').find((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      const line = readFileSync(`/proc/${pid}/cmdline`, { encoding: 'utf8' });
      return line.includes(folder) && line.includes('\0run\0');
    });
    process.kill(Number(agent), 'SIGKILL');
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(1);
    expect(output()).toMatch(/polaris-push run .* ended with SIGKILL/);
    expect(processesOf(folder)).toEqual([]);
    expect(leftIn(folder)).toEqual([]);
  });
});

test.each([
  [['--sideways'], /Unknown option '--sideways'/],
  [['--hms', 'postgresql://localhost/metastore'], /--hms and --polaris go together/],
  [['--hms', 'localhost', '--polaris', 'http://localhost', '--client-id', 'a'], /--hms: expected a URL/],
])('a wrong command line (%s) ends with 2 and one clear message', async (args, message) => {
  await quickStart(args, async ({ process: child, output }) => {
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(2);
    expect(output()).toMatch(message);
    expect(output().trimEnd().split('\n')).toHaveLength(2);
  });
});
