import { expect, test } from 'vitest';
import { Lab } from '../pipeline/lab.ts';
import { CalmWorld } from './calm-world.ts';
import { id } from './names.ts';

/** What long histories found, told as short ones. */

test('a rename of the only table during an outage, however long, has its new name come first', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const lab = new Lab({ seed });
    lab.source.create('db.a');
    await using agent = lab.start();
    await agent.caughtUp();
    await agent.settledAndEqual();
    lab.polaris.down = true;
    lab.source.rename('db.a', 'db.b');
    await lab.clock.pass(600_000 + seed * 1000);
    const sent = lab.polaris.said.length;
    lab.polaris.down = false;
    await agent.settledAndEqual();
    expect(lab.polaris.said.slice(sent)).toEqual(['CREATE db.b', 'DROP db.a']);
  }
});

test('a view that took the name of a dropped table is listed as not mirrored as soon as the DROP is through', async () => {
  const calm = new CalmWorld();
  calm.source.create('db.a');
  await calm.settle();
  calm.source.drop('db.a');
  calm.source.create('db.a', { unsupported: 'a view' });
  await calm.settle();
  expect(calm.polaris.tables.size).toBe(0);
  expect(calm.world.ledger.entry('main', id('db.a'))?.skipped).toBe('a view');
});

test('a table that Polaris was never told of is validated first, also when a request to mend it is the first word', async () => {
  const calm = new CalmWorld();
  await calm.settle();
  calm.source.losing = true;
  calm.source.create('db.a');
  calm.polaris.flaws.set('s3://m/db.a/2', 'outside');
  calm.world.ledger.submit({ kind: 'mend', tables: [id('db.a')] });
  await calm.clock.pass(400_000);
  await calm.settle();
  expect(calm.world.ledger.entry('main', id('db.a'))?.parked).toMatchObject({
    code: 'LOCATION_NOT_ALLOWED',
    type: 'VALIDATE',
  });
});
