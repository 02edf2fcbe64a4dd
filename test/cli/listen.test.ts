import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openHttpServer } from '../../src/runtime/http-server.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { agentFile } from './agent-file.ts';
import { run } from './command-line.ts';

test('ends a run whose port is taken with exit code 2, the port and the fix', async () => {
  await using taken = await openHttpServer({ host: '127.0.0.1', port: 0 }, { log: silentLog });
  await using file = await agentFile({ more: `http: { listen: "127.0.0.1:${taken.port}" }` });
  const { exitCode, stderr } = await run(['run', '--config', file.config]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(`127.0.0.1:${taken.port}: another process listens on this port`);
  expect(stderr).toContain('Give http.listen another port');
});

test('needs no port for commands that watch nothing', async () => {
  await using taken = await openHttpServer({ host: '127.0.0.1', port: 0 }, { log: silentLog });
  await using file = await agentFile({ more: `http: { listen: "127.0.0.1:${taken.port}" }` });
  const { exitCode, stderr } = await run(['backfill', '--config', file.config]);
  // It got as far as Polaris, which nobody can reach.
  expect([exitCode, existsSync(file.ledger)]).toEqual([4, true]);
  expect(stderr).toContain('[POLARIS_UNAVAILABLE]');
});
