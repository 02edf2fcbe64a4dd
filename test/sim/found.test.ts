import { expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import { Lab } from '../pipeline/lab.ts';
import { id } from './names.ts';

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
    lab.polaris.onSend = ({ type }) => {
      if (type === 'DROP') expect(lab.polaris.tables.has(keyOf(id('db.b')))).toBe(true);
    };
    lab.polaris.down = false;
    await agent.settledAndEqual();
  }
});
