import { expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import { id, Lab } from './lab.ts';

const parked = (lab: Lab, name: string) => lab.ledger.entry('main', id(name))?.parked?.code;
const BUDGET = { floor: 20, share: 0.2, perMs: 600_000 };

test('another database under the old address drops nothing without a human, however few tables it lacks', async () => {
  const lab = new Lab({ budget: BUDGET });
  lab.source.identity = 'system 1/database 1';
  for (const name of ['db.a', 'db.b', 'db.c']) lab.source.create(name);
  {
    await using agent = lab.start();
    await agent.caughtUp();
    lab.assertEqual();
  }
  // A copy from before `db.b` was created takes the name of the metastore's database.
  lab.source.identity = 'system 1/database 2';
  lab.source.drop('db.b');
  await using agent = lab.start();
  await agent.caughtUp();
  expect(parked(lab, 'db.b')).toBe('DROP_HELD');
  expect(lab.polaris.tables.has(keyOf(id('db.b')))).toBe(true);
  // From here on it is the source.
  lab.source.drop('db.c');
  await agent.settle();
  expect(lab.polaris.tables.has(keyOf(id('db.c')))).toBe(false);
  // What is held stays so over the next start, and goes when it is released.
  const released = agent.drivers[0]!.release([id('db.b')]);
  await agent.settle();
  await released;
  lab.assertEqual();
});

test('a failover, which leaves the identity as it is, holds nothing', async () => {
  const lab = new Lab({ budget: BUDGET });
  lab.source.identity = 'system 1/database 1';
  for (const name of ['db.a', 'db.b']) lab.source.create(name);
  {
    await using agent = lab.start();
    await agent.caughtUp();
  }
  lab.source.drop('db.b');
  await using agent = lab.start();
  await agent.caughtUp();
  expect(lab.differences()).toEqual([]);
});

test('what the last run left undone is read once it is known that the source is another one', async () => {
  const lab = new Lab({ budget: BUDGET });
  lab.source.identity = 'system 1/database 1';
  for (const name of ['db.a', 'db.b']) lab.source.create(name);
  {
    await using agent = lab.start();
    await agent.caughtUp();
    // A commit is recorded, and not delivered yet.
    lab.polaris.down = true;
    lab.source.commit('db.b');
    await agent.until(() => lab.source.acked === lab.source.log.length);
    agent.crash();
  }
  lab.polaris.down = false;
  lab.source.identity = 'system 1/database 2';
  lab.source.losing = true;
  lab.source.drop('db.b');
  await using agent = lab.start({ prepareMs: 1_000 });
  await agent.caughtUp();
  expect(parked(lab, 'db.b')).toBe('DROP_HELD');
  expect(lab.polaris.tables.has(keyOf(id('db.b')))).toBe(true);
});
