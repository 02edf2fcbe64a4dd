import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { showTable, tableOf } from '../../src/core/table.ts';
import { eventually } from '../pipeline/world.ts';
import { comparable } from './comparable.ts';
import { guidePath, openGuideWorld, tablesOfGuide, type GuideWorld } from './guide.ts';
import { leaveRunning } from './leave-running.ts';
import { markedBlock } from './marked-blocks.ts';
import { ROOT } from './root.ts';
import { sessionShell } from './session-shell.ts';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const CONFIG = 'polaris-push.yaml';
/** The steps whose output the guide shows. */
const SHOWN = ['check', 'validate', 'run', 'status'];

const served = ({ polaris }: GuideWorld): Record<string, string> =>
  Object.fromEntries(
    [...polaris.tables('hive_mirror')].map(([key, table]) => [showTable(tableOf(key)), table.metadataLocation]),
  );

test.for([
  ["this machine's psql and curl", 'own'],
  ['stand-ins for psql and curl', 'stand-ins'],
] as const)(
  'the guide leads to an agent that mirrors the metastore, with %s',
  { timeout: 120_000 },
  async ([, tools]) => {
    await using world = await openGuideWorld();
    await tablesOfGuide(world);
    await using shell = sessionShell(world.folder, guidePath(world.folder, tools));
    const outputs = new Map<string, string>();
    const follow = async (step: string) => {
      outputs.set(step, world.there(await shell.type(world.here(markedBlock(README, `guide: ${step}`)))));
    };

    await follow('wal_level');
    await world.postgres.stop();
    await world.postgres.start();
    for (const step of ['setup.sql', 'administrator', 'catalog', 'principal', 'grants']) await follow(step);
    writeFileSync(join(world.folder, CONFIG), world.here(markedBlock(README, `guide: ${CONFIG}`)));
    for (const step of ['check', 'validate']) await follow(step);
    expect(served(world)).toEqual({});

    const run = world.here(markedBlock(README, 'guide: run')).trim();
    await using agent = leaveRunning(run, world.folder, await shell.exported());
    await agent.printed('Caught up');
    outputs.set('run', world.there(agent.output()));
    const names = ['sales.clients', 'sales.items', 'sales.orders'];
    expect(Object.keys(served(world)).toSorted()).toEqual(names);
    expect(served(world)['sales.orders']).toMatch(/^s3:\/\/lake\/warehouse\/sales\.db\/orders\/metadata\/00000-/);
    await world.writer.dropTable('sales.items');
    await eventually(async () => ('sales.items' in served(world) ? 'sales.items is still in Polaris' : undefined));
    await follow('status');
    expect(await agent.stop()).toBe(0);

    for (const step of SHOWN) {
      const output = comparable(outputs.get(step) ?? '');
      expect({ step, output }).toEqual({ step, output: comparable(markedBlock(README, `output of ${step}`)) });
    }
  },
);
