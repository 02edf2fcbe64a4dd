import { describe, expect, test } from 'vitest';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { keyOf, showTable } from '../../src/core/table.ts';
import { id, Lab, type LabFault } from './lab.ts';

const BUDGET = { floor: 3, share: 0, perMs: 600_000 };
const unavailable = { kind: 'unavailable', message: 'no' } as const;

/** Refuses these tables, and no others, until they are taken out again. */
function blocking(lab: Lab, fault: LabFault = unavailable): Set<string> {
  const blocked = new Set<string>();
  lab.polaris.fault = (request) =>
    blocked.has(showTable('table' in request ? request.table : request)) ? fault : undefined;
  return blocked;
}

async function started(lab: Lab, ...tables: string[]) {
  for (const table of tables) lab.source.create(table);
  const agent = lab.start();
  await agent.caughtUp();
  await agent.settledAndEqual();
  return agent;
}

const of = <K extends PipelineEvent['kind']>(events: readonly PipelineEvent[], kind: K) =>
  events.filter((event): event is PipelineEvent & { kind: K } => event.kind === kind);
const tables = (prefix: string, n: number) => Array.from({ length: n }, (_, i) => `${prefix}.t${i}`);

describe('A DROP', () => {
  test('that waits for its turn is withdrawn when the table comes back', async () => {
    const lab = new Lab({ concurrency: 1 });
    await using agent = await started(lab, 'db.slow', 'db.nightly');
    lab.polaris.slowMs = 10_000;
    lab.source.commit('db.slow');
    await lab.clock.pass(100);
    lab.source.drop('db.nightly');
    await lab.clock.pass(100);
    // Its DROP was decided, and waits behind the slow table.
    expect(lab.ledger.entry('main', id('db.nightly'))?.open?.type).toBe('DROP');
    lab.source.create('db.nightly');
    await agent.settledAndEqual();
    expect(lab.polaris.said).not.toContain('DROP db.nightly');
  });
});

describe('A rename', () => {
  test('is not undone by a list that comes meanwhile', async () => {
    const lab = new Lab({ reconcileEveryMs: 10_000 });
    const blocked = blocking(lab);
    await using agent = await started(lab, 'db.a');
    blocked.add('db.b');
    lab.source.rename('db.a', 'db.b');
    await lab.clock.pass(60_000);
    expect(of(agent.events, 'reconciled').length).toBeGreaterThan(3);
    expect(lab.polaris.said).not.toContain('DROP db.a');
    blocked.clear();
    await agent.settledAndEqual();
    expect(lab.polaris.said.slice(-2)).toEqual(['CREATE db.b', 'DROP db.a']);
  });

  test('is not undone by a request to try again', async () => {
    const lab = new Lab();
    const blocked = blocking(lab);
    await using agent = await started(lab, 'db.a');
    blocked.add('db.b');
    lab.source.rename('db.a', 'db.b');
    await lab.clock.pass(100);
    lab.ledger.submit({ kind: 'retry', tables: [id('db.a')] });
    await lab.clock.pass(5000);
    expect(lab.polaris.said).not.toContain('DROP db.a');
    blocked.clear();
    await agent.settledAndEqual();
  });

  test('waits for its own new name, not for the new name of the table before', async () => {
    const lab = new Lab();
    const blocked = blocking(lab);
    await using agent = await started(lab, 'db.a');
    for (const name of ['db.b', 'db.c']) blocked.add(name);
    lab.source.rename('db.a', 'db.b');
    await lab.clock.pass(100);
    lab.source.create('db.a');
    lab.source.rename('db.a', 'db.c');
    await lab.clock.pass(100);
    blocked.delete('db.b');
    await agent.until(() => lab.polaris.said.includes('CREATE db.b'));
    await lab.clock.pass(60_000);
    expect(lab.polaris.said).not.toContain('DROP db.a');
    blocked.delete('db.c');
    await agent.settledAndEqual();
  });

  test('during an outage, however long, has its new name come first', async () => {
    const lab = new Lab();
    const names = tables('db', 8);
    await using agent = await started(lab, ...names);
    lab.polaris.down = true;
    for (const name of names) lab.source.rename(name, `${name}_new`);
    await lab.clock.pass(2 * 3_600_000);
    lab.polaris.onSend = ({ type, table }) => {
      if (type !== 'DROP') return;
      expect(lab.polaris.tables.has(keyOf(id(`${showTable(table)}_new`)))).toBe(true);
    };
    lab.polaris.down = false;
    await agent.settledAndEqual();
  });

  test('of everything is no loss, and leaves the drop budget alone', async () => {
    const lab = new Lab({ budget: BUDGET });
    const names = tables('db', 40);
    await using agent = await started(lab, ...names);
    for (const name of names) lab.source.rename(name, name.replace('db', 'other'));
    await agent.settledAndEqual();
    for (const name of names.slice(0, 3)) lab.source.drop(name.replace('db', 'other'));
    await agent.settle();
    expect(of(agent.events, 'parked')).toEqual([]);
    expect(lab.polaris.tables.size).toBe(37);
  });

  test('of everything is no loss when the agent dies on the way', async () => {
    const lab = new Lab({ budget: BUDGET });
    const names = tables('db', 40);
    const before = await started(lab, ...names);
    blocking(lab).add('other.t0');
    for (const name of names) lab.source.rename(name, name.replace('db', 'other'));
    await before.until(() => lab.source.acked === lab.source.log.length);
    before.crash();
    await using agent = lab.start();
    await agent.until(() => of(agent.events, 'reconciled').length > 0);
    lab.polaris.fault = () => undefined;
    await agent.settledAndEqual();
    expect(of(agent.events, 'parked')).toEqual([]);
  });
});

describe('The drop budget', () => {
  test('holds a mass drop, says so, and lets go what is released', async () => {
    const lab = new Lab({ budget: BUDGET });
    const names = tables('db', 10);
    await using agent = await started(lab, ...names);
    for (const name of names) lab.source.drop(name);
    await agent.settle();
    expect(of(agent.events, 'parked').map(({ parked }) => parked.code)).toEqual(Array(7).fill('DROP_HELD'));
    expect(lab.ledger.totals('main')).toMatchObject({ delivered: 7, parked: 7, pending: 0 });
    // Neither time nor a list releases them.
    await lab.clock.pass(3 * 900_000);
    expect(lab.polaris.tables.size).toBe(7);
    lab.ledger.submit({ kind: 'release', tables: [id('db.t9')] });
    await agent.until(() => lab.polaris.tables.size === 6);
    lab.ledger.submit({ kind: 'release' });
    await agent.until(() => lab.polaris.tables.size === 0);
    await agent.settle();
    expect(lab.ledger.totals('main')).toMatchObject({ delivered: 0, parked: 0 });
  });

  test('is not made new by a restart', async () => {
    const lab = new Lab({ budget: BUDGET });
    const names = tables('db', 10);
    const before = await started(lab, ...names);
    for (const name of names.slice(0, 3)) lab.source.drop(name);
    await before.settle();
    before.crash();
    await using agent = lab.start();
    await agent.caughtUp();
    lab.source.drop('db.t5');
    await agent.settle();
    expect(of(agent.events, 'parked')).toHaveLength(1);
  });

  test('is used up by a DROP of the future for no longer than by any other', async () => {
    const lab = new Lab({ budget: BUDGET });
    const names = tables('db', 10);
    const before = await started(lab, ...names);
    // As after a climb over a foreign timestamp.
    lab.clock.step(-86_400_000);
    for (const name of names.slice(0, 3)) lab.source.drop(name);
    await before.settle();
    before.crash();
    await using agent = lab.start();
    await agent.caughtUp();
    lab.source.drop('db.t5');
    await agent.settle();
    expect(of(agent.events, 'parked')).toHaveLength(1);
    await lab.clock.pass(BUDGET.perMs + 1);
    lab.source.drop('db.t6');
    await agent.settle();
    expect(of(agent.events, 'parked')).toHaveLength(1);
  });

  test('forgets a table that came back, also when nobody told of its return', async () => {
    const lab = new Lab({ budget: { ...BUDGET, floor: 0 } });
    await using agent = await started(lab, 'db.a');
    const row = lab.source.rows.get(keyOf(id('db.a')))!;
    lab.source.drop('db.a');
    await agent.settle();
    expect(lab.ledger.totals('main').parked).toBe(1);
    lab.source.losing = true;
    lab.source.create('db.a', row);
    await lab.clock.pass(1_000_000);
    await agent.settledAndEqual();
    expect(lab.ledger.totals('main').parked).toBe(0);
  });
});

describe('A target that is down', () => {
  test('is tried by one table at a time, and found again without anybody else doing anything', async () => {
    const lab = new Lab({ reconcileEveryMs: 1e9 });
    const names = tables('db', 30);
    lab.clock.earlyMs = 1.5;
    await using agent = await started(lab, ...names);
    lab.polaris.down = true;
    for (const name of names) lab.source.commit(name);
    await agent.until(() => of(agent.events, 'target-down').length > 3);
    const before = of(agent.events, 'notified').length;
    const openings = of(agent.events, 'target-down').length;
    await lab.clock.pass(300_000);
    expect(of(agent.events, 'notified').length - before).toBe(of(agent.events, 'target-down').length - openings);
    lab.polaris.down = false;
    await agent.until(() => of(agent.events, 'target-up').length > 0, 31_000);
    await agent.settledAndEqual();
  });

  test('is noticed also by those who only ask what it serves', async () => {
    const lab = new Lab({ policy: { adopt: true } });
    for (const name of tables('db', 30)) lab.source.create(name);
    lab.polaris.down = true;
    await using agent = lab.start();
    await agent.until(() => of(agent.events, 'target-down').length > 0, 30_000);
    expect(of(agent.events, 'notified')).toEqual([]);
    lab.polaris.down = false;
    await agent.settledAndEqual();
  });
});

describe('Being caught up', () => {
  test('is about the work that a list found, however busy the source is meanwhile', async () => {
    const lab = new Lab();
    for (const name of tables('db', 5)) lab.source.create(name);
    await using agent = lab.start();
    let commits = 0;
    agent.onEvent = ({ kind }) => {
      if (kind === 'notified' && commits++ < 20_000) lab.source.commit('db.t0');
    };
    await agent.until(() => of(agent.events, 'caught-up').length > 0, 60_000);
    expect(agent.quiet).toBe(false);
  });

  test('is told of although tables are parked', async () => {
    const lab = new Lab();
    blocking(lab, { kind: 'refused', reason: 'metadata-invalid', status: 400, message: 'no' }).add('db.bad');
    for (const name of ['db.bad', 'db.good']) lab.source.create(name);
    await using agent = lab.start();
    await agent.caughtUp();
    expect(lab.ledger.totals('main')).toMatchObject({ delivered: 1, parked: 1 });
  });
});

describe('The source', () => {
  test('keeps its stream when a later list fails, and the list is made good', async () => {
    const lab = new Lab({ reconcileEveryMs: 60_000 });
    await using agent = await started(lab, 'db.a');
    let failures = 0;
    agent.onList = () => {
      if (failures++ < 3) throw new Error('canceling statement due to statement timeout');
    };
    lab.source.losing = true;
    lab.source.commit('db.a');
    await lab.clock.pass(70_000);
    await agent.settledAndEqual();
    expect(failures).toBe(4);
    expect(agent.streams).toBe(1);
  });

  test('that cannot be read is asked again, and nothing is sent meanwhile', async () => {
    const lab = new Lab();
    await using agent = await started(lab, 'db.a');
    const said = lab.polaris.said.length;
    lab.source.broken = true;
    lab.source.drop('db.a');
    await lab.clock.pass(300_000);
    expect(lab.polaris.said).toHaveLength(said);
    lab.source.broken = false;
    await agent.settledAndEqual();
  });
});

describe('A ledger that fails', () => {
  test('ends the agent, whatever it was about to do', async () => {
    for (let turns = 0; turns < 60; turns++) {
      const lab = new Lab({ budget: BUDGET });
      await using agent = await started(lab, 'db.a', 'db.b');
      lab.source.commit('db.a');
      lab.source.drop('db.b');
      for (let i = 0; i < turns; i++) await lab.clock.leap();
      lab.ledger.fail();
      await expect(agent.until(() => false, 120_000)).rejects.toMatchObject({ code: 'LEDGER_FAILED' });
    }
  });
});

describe('A stop', () => {
  test('lets what is under way finish, and ends when its outcome is durable', async () => {
    const lab = new Lab({ concurrency: 2 });
    const agent = await started(lab, ...tables('db', 20));
    lab.polaris.slowMs = 5000;
    for (const name of tables('db', 20)) lab.source.commit(name);
    await agent.until(() => lab.source.acked === lab.source.log.length);
    await lab.clock.pass(1000);
    const sent = lab.polaris.sending;
    expect(sent).toBeGreaterThan(0);
    await agent.stop();
    expect(lab.polaris.sending).toBe(0);
    // What a crash right afterwards would leave: every answer is in it.
    const left = lab.ledger.crash();
    for (const entry of left.entries('main')) expect(entry.open).toBe(undefined);
    const updated = [...left.entries('main')].filter(({ delivered }) => delivered?.type === 'UPDATE');
    expect(updated).toHaveLength(lab.polaris.said.filter((what) => what.startsWith('UPDATE')).length);
  });

  test('at its deadline lets go of what hangs', async () => {
    const lab = new Lab();
    const agent = await started(lab, 'db.a');
    lab.polaris.slowMs = 1e9;
    lab.source.commit('db.a');
    await lab.clock.pass(1000);
    agent.stopping.abort();
    await lab.clock.pass(30_000);
    expect(agent.outcome).toBe('running');
    agent.killing.abort();
    await lab.clock.until(() => agent.outcome !== 'running', 1);
    expect(agent.outcome).toBe('ended');
    expect(lab.ledger.entry('main', id('db.a'))?.open?.type).toBe('UPDATE');
  });
});
