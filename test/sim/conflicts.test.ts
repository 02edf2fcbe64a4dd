import { describe, expect, test } from 'vitest';
import { CalmWorld } from './calm-world.ts';
import { key } from './names.ts';
import type { SimSource } from './source.ts';

const YEAR_MS = 365 * 86_400_000;

/** Something that both sources of two agents do alike, as they are one source in truth. */
function both(worlds: readonly CalmWorld[], deed: (source: SimSource) => void): void {
  for (const { source } of worlds) deed(source);
}

describe('Two agents on one target by mistake', () => {
  test.each([0, 7000, -7000])('converge and are noticed, with clocks %i ms apart', async (aheadMs) => {
    for (let seed = 1; seed <= 10; seed++) {
      const first = new CalmWorld({ seed });
      const { clock, polaris } = first;
      const second = new CalmWorld({ clock, polaris, seed: seed + 100, aheadMs });
      const worlds = [first, second];
      for (const name of ['db.a', 'db.b']) both(worlds, (source) => source.create(name));
      for (let round = 0; round < 5; round++) {
        for (const name of ['db.a', 'db.b']) both(worlds, (source) => source.commit(name));
        await clock.pass(40);
      }
      both(worlds, (source) => source.drop('db.b'));
      for (const world of worlds) await world.settle();
      // A DROP of one may have met an UPDATE of the other that was under way; the audit of the first sees to the rest.
      await clock.pass(5_000_000);
      for (const world of worlds) await world.settle();
      expect(first.differences).toEqual([]);
      expect(worlds.some(({ agent }) => (agent.events.get('foreign-sender') ?? 0) > 0)).toBe(true);
    }
  });
});

describe('A notification by hand', () => {
  test('that Polaris took with a later time is overruled, and reported', async () => {
    const world = new CalmWorld();
    world.source.create('db.a');
    await world.settle();
    const held = world.polaris.tables.get(key('db.a'))!;
    world.polaris.tables.set(key('db.a'), { ...held, location: 's3://m/by-hand', timestamp: held.timestamp! + 50_000 });
    world.source.commit('db.a');
    await world.settle();
    expect(world.differences).toEqual([]);
    expect(world.agent.events.get('foreign-sender')).toBeGreaterThan(0);
  });

  test('that dropped a table is mended by the next audit', async () => {
    const world = new CalmWorld();
    world.source.create('db.a');
    await world.settle();
    world.polaris.tables.delete(key('db.a'));
    await world.clock.pass(4_000_000);
    await world.settle();
    expect(world.differences).toEqual([]);
    expect(world.agent.events.get('audited')).toBeGreaterThan(0);
  });
});

describe('A sender whose clock is years ahead', () => {
  test('leaves a table parked as ahead, which is tried again and delays no other', async () => {
    const world = new CalmWorld();
    world.source.create('db.a');
    world.source.create('db.b');
    await world.settle();
    const timestamp = world.clock.now() + 3 * YEAR_MS;
    world.polaris.tables.set(key('db.a'), { location: 's3://m/foreign', timestamp });
    world.source.commit('db.a');
    world.source.commit('db.b');
    await world.settle();
    expect(world.parked).toEqual(['TIMESTAMP_AHEAD']);
    expect(world.differences).toHaveLength(1);
    const received = world.polaris.received;
    await world.clock.pass(3_600_000);
    // One try at each reconciliation, not another climb.
    expect(world.polaris.received - received).toBeLessThan(10);
    // What `repair` does: a DROP takes the timestamp with it.
    world.polaris.tables.delete(key('db.a'));
    world.world.ledger.submit({ kind: 'mend', tables: [{ namespace: ['db'], name: 'a' }] });
    await world.clock.pass(400_000);
    await world.settle();
    expect(world.parked).toEqual([]);
    expect(world.differences).toEqual([]);
  });

  test('that was our own source, whose clock was set right later, still gets its changes through', async () => {
    const world = new CalmWorld({ aheadMs: 3 * YEAR_MS });
    world.source.create('db.a');
    await world.settle();
    world.world.sourceClock.step(-3 * YEAR_MS);
    for (let round = 0; round < 5; round++) {
      world.source.commit('db.a');
      await world.settle();
    }
    expect(world.differences).toEqual([]);
    expect(world.agent.events.has('foreign-sender')).toBe(false);
  });
});

describe('A name that is taken', () => {
  test.each(['View', 'Generic table'] as const)('by a %s is parked until it is free', async (by) => {
    const world = new CalmWorld();
    world.polaris.taken.set(key('db.a'), by);
    world.source.create('db.a');
    world.source.create('db.b');
    await world.settle();
    expect(world.parked).toEqual(['NAME_TAKEN']);
    expect(world.polaris.tables.has(key('db.b'))).toBe(true);
    world.polaris.taken.clear();
    await world.clock.pass(1_100_000);
    await world.settle();
    expect(world.parked).toEqual([]);
    expect(world.differences).toEqual([]);
  });
});

describe('A lost race', () => {
  test.each(['create race', 'conflict', 'parent race'] as const)('(%s) is tried again and won', async (trouble) => {
    const world = new CalmWorld();
    world.polaris.trouble = trouble;
    world.source.create('db.a');
    await world.clock.pass(3000);
    expect(world.polaris.tables.size).toBe(0);
    world.polaris.trouble = undefined;
    await world.settle();
    expect(world.differences).toEqual([]);
    expect(world.parked).toEqual([]);
  });
});
