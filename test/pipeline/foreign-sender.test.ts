import { describe, expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { id, Lab } from './lab.ts';

const foreign = (events: readonly PipelineEvent[]) => events.filter((event) => event.kind === 'foreign-sender');

/** Somebody else has told Polaris of a table, by a clock that is so far ahead. */
function overtake(lab: Lab, table: string, state: { readonly location?: string; readonly aheadMs: number }): void {
  const served = lab.polaris.tables.get(keyOf(id(table)))!;
  const timestamp = lab.clock.now() + state.aheadMs;
  lab.polaris.tables.set(keyOf(id(table)), { ...served, location: state.location ?? served.location, timestamp });
}

describe('Another sender', () => {
  test('is told of with the table, our timestamp and what Polaris serves instead, before we go above it', async () => {
    const lab = new Lab();
    lab.source.create('db.a');
    await using agent = lab.start();
    await agent.caughtUp();
    overtake(lab, 'db.a', { location: 's3://theirs', aheadMs: 50_000 });
    lab.source.commit('db.a');
    await agent.settledAndEqual();
    const told = foreign(agent.events);
    expect(told.length).toBeGreaterThan(0);
    expect(told[0]).toMatchObject({ target: 'main', table: id('db.a'), served: 'other' });
    expect(told.map(({ timestamp }) => Number(timestamp))).toEqual(
      lab.polaris.arrived
        .filter(({ notification }) => notification.type === 'UPDATE')
        .slice(0, told.length)
        .map(({ notification }) => notification.timestamp),
    );
  });

  test('who says the same as we do is told of, too, and nothing is sent again', async () => {
    const lab = new Lab();
    lab.source.create('db.a');
    await using agent = lab.start();
    await agent.caughtUp();
    lab.source.commit('db.a');
    overtake(lab, 'db.a', { location: lab.source.rows.get(keyOf(id('db.a')))!.location, aheadMs: 50_000 });
    await agent.settledAndEqual();
    expect(foreign(agent.events)).toMatchObject([{ served: 'this' }]);
    expect(lab.polaris.said).toEqual(['CREATE db.a', 'UPDATE db.a']);
  });

  test('is not made out of lost answers, crashes or a clock of ours that steps back', async () => {
    const lab = new Lab();
    let faults = 40;
    lab.polaris.fault = () => (faults-- > 0 ? 'unanswered' : undefined);
    for (const name of ['db.a', 'db.b', 'db.c']) lab.source.create(name);
    const before = lab.start();
    await lab.clock.pass(2_000);
    before.crash();
    lab.clock.step(-3_600_000);
    await using agent = lab.start();
    await agent.caughtUp();
    for (const name of ['db.a', 'db.b', 'db.c']) lab.source.commit(name);
    await agent.settledAndEqual();
    expect(faults).toBeLessThan(0);
    expect([...foreign(before.events), ...foreign(agent.events)]).toEqual([]);
  });
});
