import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const DEMO = fileURLToPath(new URL('../../../examples/glue-consumer/demo.ts', import.meta.url));

test('The demonstration ends with both sides equal, though events were lost, doubled and out of order', async () => {
  // Rejects when the exit code isn't 0.
  const { stdout } = await promisify(execFile)(process.execPath, [DEMO]);
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^equal: 14 tables, 272 operations, \d+ notifications, visible/);
  const [, lost, doubled] = /(\d+) lost, (\d+) doubled/.exec(stdout)?.map(Number) ?? [];
  expect(lost).toBeGreaterThan(0);
  expect(doubled).toBeGreaterThan(0);
});
