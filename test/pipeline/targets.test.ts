import { expect, test } from 'vitest';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { Lab, type LabAgent } from './lab.ts';

const SLOW_MS = 20_000;
const NAMES = Array.from({ length: 60 }, (_, i) => `db.t${i}`);

const told = <Kind extends PipelineEvent['kind']>({ events }: LabAgent, kind: Kind) =>
  events.filter((event) => event.kind === kind) as Extract<PipelineEvent, { kind: Kind }>[];

/** Three targets that have everything, and an agent between: `main`, `slow` and `dead`. */
function threeTargets(auditEveryMs?: number): Lab {
  const lab = new Lab({ targets: ['main', 'slow', 'dead'], concurrency: 8, auditEveryMs });
  for (const name of NAMES) lab.source.create(name);
  return lab;
}

test('a slow target and a dead one delay no other, neither by their requests nor by what is learnt of them', async () => {
  const lab = threeTargets();
  const [main, slow, dead] = lab.targets;
  await using agent = lab.start();
  await agent.settledAndEqual();
  slow!.slowMs = SLOW_MS;
  dead!.down = true;
  for (let round = 0; round < 20; round++) {
    for (const name of NAMES) lab.source.commit(name);
    const before = lab.clock.monotonicMs();
    await agent.until(() => lab.differences(main).length === 0);
    // All its places are its own, also while the requests of the others are under way for minutes.
    expect(lab.clock.monotonicMs() - before).toBeLessThan(500);
  }
  expect(lab.source.acked).toBe(lab.source.log.length);
  expect(lab.differences(slow).length).toBeGreaterThan(NAMES.length / 2);
  await lab.clock.pass(10 * SLOW_MS);
  // Whoever is slow works, and whoever is dead breaks its own circuit alone.
  expect(new Set(told(agent, 'target-down').map(({ target }) => target))).toEqual(new Set(['dead']));
  slow!.slowMs = undefined;
  dead!.down = false;
  await agent.settledAndEqual();
  expect(new Set(told(agent, 'target-up').map(({ target }) => target))).toEqual(new Set(['dead']));
  expect(told(agent, 'parked')).toEqual([]);
});

test('each target has entries and drift of its own: what one lost is mended there alone', async () => {
  const lab = threeTargets(3_600_000);
  const [main, slow] = lab.targets;
  await using agent = lab.start();
  await agent.settledAndEqual();
  slow!.fault = (request) =>
    'table' in request && request.type === 'UPDATE' ? { kind: 'unavailable', message: '503' } : undefined;
  lab.source.commit('db.t7');
  const pending = () => lab.targets.map(({ name }) => lab.ledger.totals(name).pending).join();
  await agent.until(() => pending() === '0,1,0');
  expect(lab.differences(main)).toEqual([]);
  expect(lab.differences(slow)).toHaveLength(1);
  slow!.fault = () => undefined;
  await agent.settledAndEqual();
  const [lost] = slow!.tables.keys();
  slow!.tables.delete(lost!);
  const before = lab.targets.map(({ arrived }) => arrived.length);
  const audited = told(agent, 'audited').length;
  await agent.until(() => told(agent, 'audited').length >= audited + 3, 5_000_000);
  await agent.settledAndEqual();
  const found = told(agent, 'audited')
    .slice(audited, audited + 3)
    .map(({ target, drift: { missing = 0 } }) => [target, missing]);
  expect(found).toEqual([
    ['main', 0],
    ['slow', 1],
    ['dead', 0],
  ]);
  expect(lab.targets.map(({ arrived }, i) => arrived.length - before[i]! > 0)).toEqual([false, true, false]);
});
