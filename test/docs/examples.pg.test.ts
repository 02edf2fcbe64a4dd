import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { comparable } from './comparable.ts';
import { guidePath, openGuideWorld, tablesOfGuide, type GuideWorld } from './guide.ts';
import { markedBlock } from './marked-blocks.ts';
import { ROOT } from './root.ts';
import { sessionShell } from './session-shell.ts';

const EXAMPLE = join(ROOT, 'examples', 'backfill');

/** Neither tables nor counts come in a certain order. */
const partsOf = (output: string) =>
  output
    .split(/\n|, |: /)
    .map(comparable)
    .toSorted();

/** A role that may read what setup.sql lets it read, and nothing else: no replication, no publication. */
async function readOnlyRole({ client }: GuideWorld): Promise<void> {
  const setup = readFileSync(join(ROOT, 'examples', 'hive-sidecar', 'setup.sql'), 'utf8');
  const grants = setup.match(/^GRANT .*;$/gm) ?? [];
  const admin = await client();
  await admin.query(`CREATE ROLE polaris_push LOGIN PASSWORD 'pässword'; ${grants.join('\n')}`);
  await admin.end();
}

test('the job delivers every table once, by a role that may do no more than read', { timeout: 120_000 }, async () => {
  await using world = await openGuideWorld();
  await tablesOfGuide(world);
  await readOnlyRole(world);
  world.polaris.addCatalog({ name: 'hive_mirror', baseLocation: 's3://lake/warehouse' });
  copyFileSync(join(EXAMPLE, 'polaris-push.yaml'), join(world.folder, 'given.yaml'));
  const given = readFileSync(join(world.folder, 'given.yaml'), 'utf8');
  writeFileSync(join(world.folder, 'polaris-push.yaml'), world.here(given));
  await using shell = sessionShell(world.folder, guidePath(world.folder, 'own'));
  await shell.type(
    `export HMS_PASSWORD=${encodeURIComponent('pässword')} POLARIS_CLIENT_ID=root POLARIS_CLIENT_SECRET=s3cr3t`,
  );
  const readme = readFileSync(join(EXAMPLE, 'README.md'), 'utf8');
  const follow = async (step: string) => {
    const output = await shell.type(markedBlock(readme, `job: ${step}`));
    expect({ step, parts: partsOf(output) }).toEqual({
      step,
      parts: partsOf(markedBlock(readme, `output of ${step}`)),
    });
  };
  await follow('dry run');
  expect(world.polaris.tables('hive_mirror').size).toBe(0);
  await follow('delivery');
  await follow('part');
  expect(world.polaris.tables('hive_mirror').size).toBe(3);
  const results = readFileSync(join(world.folder, 'result.ndjson'), 'utf8').trim().split('\n');
  expect(results.map((line) => (JSON.parse(line) as { result: string }).result).toSorted()).toEqual([
    'created',
    'created',
    'created',
    'skipped',
  ]);
});
