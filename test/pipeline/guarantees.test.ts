import { describe, expect, test, vi } from 'vitest';
import { keyOf, showTable } from '../../src/core/table.ts';
import { id, Lab, type LabAgent } from './lab.ts';

/** On a slow machine these take a while. */
vi.setConfig({ testTimeout: 60_000 });

const BUDGET = { floor: 3, share: 0, perMs: 600_000 };
const names = (n: number, prefix = 'db') => Array.from({ length: n }, (_, i) => `${prefix}.t${i}`);

/** A day in the life of a few tables: every kind of change, with time to be noticed or not. */
async function live(lab: Lab): Promise<void> {
  const { source, clock } = lab;
  const changes = [
    () => source.create('db.a'),
    () => source.create('db.b'),
    () => source.commit('db.a'),
    () => source.rename('db.a', 'db.tmp'),
    () => source.rename('db.b', 'db.a'),
    () => source.rename('db.tmp', 'db.b'),
    () => source.drop('db.a'),
    () => source.create('db.a'),
    () => source.commit('db.b'),
    () => source.drop('db.b'),
  ];
  for (const change of changes) {
    change();
    await clock.pass(25);
  }
}

async function restarted(lab: Lab, agent: LabAgent): Promise<LabAgent> {
  agent.crash();
  await lab.clock.pass(1000);
  return lab.start();
}

describe('In virtual time', () => {
  test('at least once from source commit to Polaris', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const lab = new Lab({ seed, latencyMs: (random) => Math.floor(random() * 10) });
      await using agent = lab.start();
      await agent.caughtUp();
      // Every second request or answer is lost.
      lab.polaris.fault = () => [undefined, 'lost', undefined, 'unanswered'][Math.floor(lab.random() * 4)] as 'lost';
      await live(lab);
      await agent.settledAndEqual();
      expect(lab.ledger.totals('main').pending).toBe(0);
    }
  });

  test('per-table order', async () => {
    const lab = new Lab({ latencyMs: (random) => Math.floor(random() * 30) });
    const under = new Set<string>();
    await using agent = lab.start();
    lab.polaris.onSend = ({ table }) => {
      expect(under).not.toContain(showTable(table));
      under.add(showTable(table));
    };
    agent.onEvent = (event) => {
      if (event.kind === 'notified') under.delete(showTable(event.notification.table));
    };
    for (let round = 0; round < 5; round++) await live(lab);
    await agent.settledAndEqual();
    const versions = lab.polaris.arrived
      .filter(({ notification }) => notification.metadataLocation !== undefined)
      .map(({ notification }) => ({
        table: showTable(notification.table),
        version: Number(notification.metadataLocation?.split('/').at(-1)),
        incarnation: notification.incarnation,
      }));
    for (const of of new Set(versions.map(({ incarnation }) => incarnation))) {
      const sent = versions.filter(({ incarnation }) => incarnation === of).map(({ version }) => version);
      expect(sent).toEqual(sent.toSorted((a, b) => a - b));
    }
  });

  test('timestamps strictly increase per table through restarts, crashes, clock steps, DROP and re-creation', async () => {
    const lab = new Lab({ latencyMs: (random) => Math.floor(random() * 10) });
    let agent = lab.start();
    for (let round = 0; round < 30; round++) {
      await live(lab);
      lab.clock.step(-50_000);
      // The lab's Polaris ends the agent that sends a timestamp which is not above the last.
      agent = await restarted(lab, agent);
      await agent.caughtUp();
      await agent.settledAndEqual();
    }
    const sent = lab.polaris.arrived.filter(({ notification }) => keyOf(notification.table) === keyOf(id('db.a')));
    expect(sent.length).toBeGreaterThan(100);
    await agent.stop();
  });

  test('convergence to the source within one reconcile interval even if every event is lost', async () => {
    const lab = new Lab({ reconcileEveryMs: 900_000 });
    await using agent = lab.start();
    await agent.caughtUp();
    lab.source.losing = true;
    for (const name of names(30)) lab.source.create(name);
    await lab.clock.pass(900_000 * 1.1 + 10_000);
    lab.assertEqual();
    for (const name of names(10)) lab.source.drop(name);
    for (const name of names(30).slice(10, 20)) lab.source.rename(name, `${name}_new`);
    for (const name of names(30).slice(20)) lab.source.commit(name);
    await lab.clock.pass(900_000 * 1.1 + 10_000);
    lab.assertEqual();
    expect(lab.polaris.tables.size).toBe(20);
  });

  test('never a DROP of a table that the source has', async () => {
    const lab = new Lab({ concurrency: 2, reconcileEveryMs: 5000 });
    await using agent = lab.start();
    for (const name of names(20)) lab.source.create(name);
    await agent.caughtUp();
    await agent.settledAndEqual();
    const wrong: string[] = [];
    lab.polaris.onSend = ({ type, table }) => {
      const known = (lab.source.changedAt.get(keyOf(table)) ?? 0) < agent.told;
      if (type === 'DROP' && known && lab.source.rows.has(keyOf(table))) wrong.push(showTable(table));
    };
    // Reads fail, lists fail, and tables are dropped and re-created while a slow Polaris makes their DROPs wait.
    lab.polaris.slowMs = 400;
    for (let round = 0; round < 20; round++) {
      lab.source.broken = round % 4 === 1;
      agent.onList = () => {
        if (round % 3 === 0) throw new Error('The list is denied.');
      };
      for (const name of names(20)) lab.source.drop(name);
      await lab.clock.pass(300);
      for (const name of names(20)) lab.source.create(name);
      await lab.clock.pass(1500);
    }
    lab.source.broken = false;
    await agent.settledAndEqual();
    expect(wrong).toEqual([]);
    const drops = lab.polaris.said.filter((what) => what.startsWith('DROP'));
    expect(drops.length).toBeLessThan(100);
  });

  test('nothing acked that isn’t durable', async () => {
    for (let turns = 0; turns < 80; turns++) {
      const lab = new Lab({ latencyMs: () => 5 });
      await using agent = lab.start();
      await agent.caughtUp();
      for (const name of names(4)) lab.source.create(name);
      for (let i = 0; i < turns; i++) await lab.clock.leap();
      lab.ledger.fail();
      await expect(agent.until(() => false, 60_000)).rejects.toMatchObject({ code: 'LEDGER_FAILED' });
      const survivor = lab.ledger.crash();
      for (const { change } of lab.source.log.slice(0, lab.source.acked))
        expect(survivor.entry('main', change.table)?.seen).toBeGreaterThan(0);
    }
  });

  test('one bad table or target delays nobody else', async () => {
    const lab = new Lab({ targets: ['main', 'dead'], concurrency: 4 });
    lab.targets[1]!.down = true;
    await using agent = lab.start();
    const bad = new Set(names(4).map((name) => keyOf(id(name))));
    lab.polaris.fault = (request) =>
      bad.has(keyOf('table' in request ? request.table : request))
        ? { kind: 'unavailable', message: '500' }
        : undefined;
    for (const name of names(100)) lab.source.create(name);
    await lab.clock.pass(3000);
    expect(lab.polaris.tables.size).toBe(96);
    for (let round = 0; round < 50; round++) {
      const before = lab.clock.monotonicMs();
      lab.source.commit('db.t50');
      const { location } = lab.source.rows.get(keyOf(id('db.t50')))!;
      await agent.until(() => lab.polaris.tables.get(keyOf(id('db.t50')))?.location === location, 1000);
      expect(lab.clock.monotonicMs() - before).toBeLessThan(50);
      await lab.clock.pass(10_000);
    }
    // The source need not keep anything for those who can't be served.
    expect(lab.source.acked).toBe(lab.source.log.length);
    lab.polaris.fault = () => undefined;
    lab.targets[1]!.down = false;
    await agent.settledAndEqual();
  });

  test('restart from any crash point needs no operator', async () => {
    let points = 0;
    for (let seed = 1; seed <= 4; seed++) {
      for (let over = false, turns = 0; !over; turns++, points++) {
        const lab = new Lab({ seed, budget: BUDGET, latencyMs: (random) => Math.floor(random() * 20) });
        const first = lab.start();
        const living = live(lab);
        for (let i = 0; i < turns; i++) await lab.clock.leap();
        over = lab.source.acked === 10 && first.quiet;
        const second = await restarted(lab, first);
        await living;
        await second.caughtUp();
        await second.settledAndEqual();
        expect(lab.ledger.totals('main')).toMatchObject({ pending: 0, parked: 0 });
        await second.stop();
      }
    }
    expect(points).toBeGreaterThan(150);
  });

  test('memory bounded by the number of tables', async () => {
    const lab = new Lab({ concurrency: 2 });
    await using agent = lab.start();
    for (const name of names(10)) lab.source.create(name);
    await agent.caughtUp();
    await agent.settledAndEqual();
    lab.polaris.down = true;
    const sleepers = [];
    for (let round = 0; round < 200; round++) {
      for (const name of names(10)) lab.source.commit(name);
      lab.source.rename('db.t0', 'db.moved');
      lab.source.rename('db.moved', 'db.t0');
      await lab.clock.pass(2000);
      expect(agent.drivers[0]!.active).toBeLessThanOrEqual(11);
      sleepers.push(lab.clock.sleeping);
    }
    expect(Math.max(...sleepers.slice(100))).toBeLessThanOrEqual(Math.max(...sleepers.slice(0, 100)) + 2);
    expect([...lab.ledger.entries('main')]).toHaveLength(11);
    const sent = lab.polaris.arrived.length;
    lab.polaris.down = false;
    await agent.settledAndEqual();
    expect(lab.polaris.arrived.length - sent).toBeLessThan(30);
  });
});
