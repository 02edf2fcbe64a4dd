import { describe, expect, test } from 'vitest';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { Lab, type LabAgent } from './lab.ts';

const told = <Kind extends PipelineEvent['kind']>({ events }: LabAgent, kind: Kind) =>
  events.filter((event) => event.kind === kind) as Extract<PipelineEvent, { kind: Kind }>[];

describe('Observers are told', () => {
  test('of each try to follow the source that fails, and when it is followed', async () => {
    const lab = new Lab();
    lab.source.create('db.a');
    await using agent = lab.start();
    let failures = 3;
    agent.onList = () => {
      if (failures-- > 0) throw new Error('the metastore is away');
    };
    await agent.settledAndEqual();
    const turns = agent.events.filter(({ kind }) => kind === 'source-up' || kind === 'source-down');
    const down = { kind: 'source-down', detail: 'the metastore is away' };
    expect(turns).toEqual([down, down, down, { kind: 'source-up' }]);
  });

  test('of no failure when the agent is stopped', async () => {
    const lab = new Lab();
    const agent = lab.start();
    await agent.settle();
    await agent.stop();
    expect(told(agent, 'source-down')).toEqual([]);
  });

  test('what the source tells of, once it is recorded, and what it was asked', async () => {
    const lab = new Lab();
    lab.source.create('db.a');
    await using agent = lab.start();
    await agent.caughtUp();
    const before = agent.events.length;
    lab.source.create('db.b');
    lab.source.commit('db.a');
    lab.source.drop('db.a');
    await agent.settledAndEqual();
    const since = agent.events.slice(before);
    const changes = since.flatMap((event) => (event.kind === 'hinted' ? [event.changes] : []));
    expect(changes.reduce((sum, { upserted = 0, dropped = 0 }) => sum + upserted + dropped, 0)).toBeGreaterThanOrEqual(
      2,
    );
    const resolved = since.filter((event) => event.kind === 'resolved');
    expect(resolved.every(({ failed, target }) => !failed && target === 'main')).toBe(true);
    expect(resolved.reduce((sum, { tables }) => sum + tables, 0)).toBeGreaterThanOrEqual(2);
  });
});

describe('A driver tells how it stands', () => {
  test('at rest: nothing is under way, nothing waits and nothing is stalled', async () => {
    const lab = new Lab({ concurrency: 8 });
    lab.source.create('db.a');
    await using agent = lab.start();
    await agent.settledAndEqual();
    expect(agent.drivers[0]?.standing).toMatchObject({ inFlight: 0, breaker: 'closed', stalledMs: 0 });
    expect(agent.drivers[0]?.standing.oldestSince).toBeUndefined();
  });

  test('while a request hangs: since when its table waits, and for how long nothing has gone on', async () => {
    const lab = new Lab({ concurrency: 8 });
    lab.source.create('db.a');
    await using agent = lab.start();
    await agent.settledAndEqual();
    lab.polaris.slowMs = 500_000;
    const [driver] = agent.drivers;
    lab.source.commit('db.a');
    await agent.until(() => driver?.standing.inFlight === 1);
    const since = lab.clock.now();
    await lab.clock.pass(60_000);
    // Another table begins later, and the oldest stays the oldest.
    lab.source.create('db.b');
    await agent.until(() => driver?.standing.inFlight === 2);
    expect(Math.abs((driver?.standing.oldestSince ?? 0) - since)).toBeLessThan(1_000);
    await lab.clock.pass(100_000);
    expect(driver?.standing.stalledMs).toBeGreaterThan(90_000);
    lab.polaris.slowMs = undefined;
  });

  test('while the target is down: its circuit breaker', async () => {
    const lab = new Lab({ concurrency: 8 });
    const names = Array.from({ length: 10 }, (_, i) => `db.t${i}`);
    for (const name of names) lab.source.create(name);
    await using agent = lab.start();
    await agent.settledAndEqual();
    lab.polaris.down = true;
    for (const name of names) lab.source.commit(name);
    const seen = new Set<string>();
    agent.onEvent = () => seen.add(agent.drivers[0]?.standing.breaker ?? '');
    await agent.until(() => told(agent, 'target-down').length > 2);
    expect(seen).toContain('open');
    lab.polaris.down = false;
    await agent.settledAndEqual();
    expect(agent.drivers[0]?.standing.breaker).toBe('closed');
  });
});
