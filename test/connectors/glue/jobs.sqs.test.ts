import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../cli/command-line.ts';
import { CATALOG, openMirrorWorld, type MirrorWorld } from './agent.ts';
import { REGION } from './world.ts';

let world: MirrorWorld;
let folder: string;
beforeAll(async () => {
  world = await openMirrorWorld({ events: false });
  folder = await mkdtemp(join(tmpdir(), 'polaris-push-glue-jobs-'));
  world.writer.createDatabase('sales');
  for (const table of ['a', 'b', 'c']) world.writer.create('sales', table);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function push(command: string, ledger: string = 'agent'): Promise<{ exitCode: number; stdout: string }> {
  const config = join(folder, `${ledger}.yaml`);
  await writeFile(
    config,
    `source: { kind: glue, region: ${REGION}, queue_url: "${world.queueUrl}", glue_endpoint: "${world.stub.endpoint}", sqs_endpoint: "${world.sqs.address}" }
targets:
  - { name: main, uri: "${world.polaris.uri}/api/catalog", catalog: ${CATALOG}, auth: { client_id: root, client_secret: s3cr3t } }
ledger: { path: "${join(folder, `${ledger}.db`)}" }
log: { level: error }
`,
  );
  const { exitCode, stdout } = await run([...command.split(' '), '--config', config]);
  return { exitCode, stdout };
}

test('validate, backfill, diff, reconcile, record and replay work for Glue as for any source', async () => {
  expect(await push('validate')).toEqual({ exitCode: 0, stdout: '3 valid, 0 refused, 0 not mirrored\n' });
  expect(await push('backfill --dry-run')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('main: 3 create\n') as string,
  });
  expect(await push('diff')).toMatchObject({
    exitCode: 3,
    stdout: expect.stringContaining('main: missing (3)') as string,
  });
  expect(await push('backfill')).toEqual({ exitCode: 0, stdout: 'main: 3 created\n' });
  expect(world.differences()).toEqual([]);

  world.writer.commit('sales', 'a');
  expect(await push('diff')).toMatchObject({
    exitCode: 3,
    stdout: expect.stringContaining('main: stale (1)') as string,
  });
  expect(await push('reconcile')).toMatchObject({ exitCode: 0 });
  expect(await push('diff')).toEqual({ exitCode: 0, stdout: 'Equal: 3 tables compared.\n' });

  world.writer.commit('sales', 'b');
  const recording = join(folder, 'states.ndjson');
  expect(await push(`run --once --within 30s --record ${recording}`)).toMatchObject({ exitCode: 0 });
  expect(world.differences()).toEqual([]);
  const lines = (await readFile(recording, 'utf8')).trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(await push(`replay ${recording}`)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('1 state replayed, 1 older') as string,
  });
});
