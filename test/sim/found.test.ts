import { expect, test } from 'vitest';
import { Lab } from '../pipeline/lab.ts';

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
