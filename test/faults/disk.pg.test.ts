import { join } from 'node:path';
import { expect, test } from 'vitest';
import { smallDisk } from './disk.ts';
import { recovered } from './recovery.ts';
import { World } from './world.ts';

/** A world whose agent keeps its ledger on a small disk. */
async function onSmallDisk() {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await World.open({ seed: 8 }));
  const disk = opened.use(smallDisk(world.folder));
  const ledger = join(disk.folder, 'ledger.db');
  const writer = world.writers.locking;
  await writer.createNamespace('sales');
  await writer.createTable('sales.orders');
  const parts = opened.move();
  return { world, disk, ledger, writer, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

test('a full disk ends the agent with what to do; with space again, the next start makes everything good', async ({
  annotate,
}) => {
  await using parts = await onSmallDisk();
  const { world, disk, ledger, writer } = parts;
  {
    await using agent = world.agent({ ledger, shell: disk.shell });
    await agent.caughtUp();
    disk.fill();
    for (let commits = 0; agent.running && commits < 500; commits += 1) await writer.commit('sales.orders');
    expect(await agent.ended()).toBe(1);
    expect(await agent.told('error')).toMatchObject({
      code: 'LEDGER_FAILED',
      fix: expect.stringMatching(/space.*Nothing that was acknowledged to the source is lost/) as string,
    });
  }
  await writer.createTable('sales.items');
  disk.free();
  await using agent = world.agent({ ledger });
  await annotate(`${disk.kind}: equal ${await recovered(world, agent)} ms after the start`);
  await writer.dropTable('sales.items');
  await world.equal(agent);
  expect(world.witness.violations).toEqual([]);
});

test('a ledger whose folder refuses to be written to is refused at the start with what to do, and nothing is lost', async ({
  annotate,
}) => {
  await using parts = await onSmallDisk();
  const { world, disk, ledger, writer } = parts;
  {
    await using agent = world.agent({ ledger });
    await agent.caughtUp();
    await world.equal(agent);
  }
  disk.refuseWrites();
  await writer.commit('sales.orders');
  {
    await using agent = world.agent({ ledger });
    expect(await agent.ended()).toBe(2);
    expect(await agent.told('error')).toMatchObject({
      code: 'LEDGER_UNWRITABLE',
      fix: expect.stringContaining('ledger.path') as string,
    });
  }
  disk.allowWrites();
  await using agent = world.agent({ ledger });
  await annotate(`${disk.kind}: equal ${await recovered(world, agent)} ms after the start`);
  expect(world.witness.violations).toEqual([]);
});
