import assert from 'node:assert/strict';
import { expect, test, vi } from 'vitest';
import { keyOf, showTable, tableOf } from '../../src/core/table.ts';
import type { Notification } from '../../src/core/types.ts';
import { id, Lab, type LabAgent, type LabFault, type LabPolaris } from '../pipeline/lab.ts';
import { chosenBySeed, type Choose } from './choices.ts';

/** On a slow machine these take a while. */
vi.setConfig({ testTimeout: 120_000 });

const NAMES = ['a', 'b', 'c', 'd', 'e'].map((name) => `db.${name}`);
/** Longer than any request is under way, so that nothing of a dead agent arrives after its successor has begun. */
const RESTART_MS = 1000;

test('whatever goes wrong, Polaris equals the source at every quiet moment', async () => {
  for (let seed = 1; seed <= 300; seed++) await expect(historyOf(seed)).resolves.toBe('converged');
});

test('with re-created tables replaced, Polaris equals the source at every quiet moment', async () => {
  for (let seed = 1; seed <= 60; seed++) await expect(historyOf(seed, { replace: true })).resolves.toBe('converged');
});

test('a seed is a full reproduction', async () => {
  const first = new History(3);
  await first.run();
  const second = new History(3);
  await second.run();
  expect(first.trace).toEqual(second.trace);
  expect(first.trace.length).toBeGreaterThan(20);
});

type HistoryOptions = { readonly replace?: boolean };

async function historyOf(seed: number, options: HistoryOptions = {}): Promise<string> {
  const history = new History(seed, options);
  try {
    await history.run();
    return 'converged';
  } catch (error) {
    return `seed ${seed}: ${String(error)}\n${history.trace.slice(-60).join('\n')}`;
  }
}

/** Changes of a source, faults of everything, and the real pipeline in between, as a seed has it. */
class History {
  readonly #choose: Choose;
  readonly #lab: Lab;
  readonly trace: string[] = [];
  #agent: LabAgent;
  /** Tables that have not been tables all the time: their renames can't be seamless. */
  readonly #turned = new Set<string>();
  /** Faults in force: quiet moments have none. */
  #faulty = false;

  constructor(seed: number, { replace = false }: HistoryOptions = {}) {
    this.#choose = chosenBySeed(seed);
    this.#lab = new Lab({
      seed: seed * 7919,
      targets: this.#choose(3) === 0 ? ['main', 'second'] : ['main'],
      concurrency: 1 + this.#choose(4),
      reconcileEveryMs: 600_000,
      policy: { recreate: replace ? 'replace' : 'keep', prechecks: this.#choose(2) === 0 ? 'new' : 'never' },
      latencyMs: (random) => Math.floor(random() * 12),
    });
    for (const target of this.#lab.targets) {
      target.fault = () => this.#fault();
      target.onSend = (notification) => this.#onSend(target, notification, replace);
    }
    this.#agent = this.#lab.start();
  }

  async run(): Promise<void> {
    for (let spell = 0; spell < 3; spell++) {
      await this.#spell();
      await this.#quiet();
    }
    await this.#agent.stop();
  }

  async #spell(): Promise<void> {
    const { clock } = this.#lab;
    for (let steps = 4 + this.#choose(16); steps > 0; steps--) {
      this.#faulty = this.#choose(3) > 0;
      const what = this.#choose(24);
      if (what === 0) await this.#crash();
      else if (what === 1) clock.step(-this.#choose(100_000));
      else if (what === 2) await this.#restart();
      else if (what === 3) this.#lab.source.losing = !this.#lab.source.losing;
      else if (what === 4) await this.#outage();
      else this.#change();
      for (let turns = this.#choose(8); turns > 0; turns--) await clock.leap();
      if (this.#choose(3) === 0) await clock.pass(this.#choose(400));
    }
  }

  /** The faults end; within one reconcile interval everything is right, even what nobody was told of. */
  async #quiet(): Promise<void> {
    const { clock, source, targets } = this.#lab;
    this.#faulty = false;
    source.losing = false;
    for (const target of targets) target.down = false;
    const anythingLost = source.log.some(({ lost }) => lost);
    if (anythingLost) await clock.pass(600_000 * 1.1);
    await this.#agent.caughtUp();
    await this.#agent.settle(600_000);
    this.#log('quiet');
    this.#lab.assertEqual();
    for (const target of targets) assert.deepEqual(this.#lab.ledger.totals(target.name).pending, 0);
  }

  #change(): void {
    const { source } = this.#lab;
    const name = NAMES[this.#choose(NAMES.length)]!;
    const to = NAMES[this.#choose(NAMES.length)]!;
    const row = source.rows.get(keyOf(id(name)));
    if (row === undefined) source.create(name, this.#choose(8) === 0 ? { unsupported: 'a view' } : {});
    else {
      const what = this.#choose(7);
      if (what === 0) source.drop(name);
      else if (what === 1 && ![...source.rows.keys()].some((of) => showTable(tableOf(of)) === to))
        source.rename(name, to);
      else if (what === 2) {
        source.turn(name, { unsupported: row.unsupported === undefined ? 'a view' : undefined });
        this.#turned.add(row.incarnation);
      } else if (what === 3) source.rollBack(name);
      else if (row.unsupported === undefined) source.commit(name);
    }
    const { change } = source.log.at(-1)!;
    this.#log(
      `${change.kind} ${showTable(change.table)}${change.kind === 'renamed' ? ` to ${showTable(change.to)}` : ''}`,
    );
  }

  async #crash(): Promise<void> {
    this.#log('crash');
    this.#agent.crash();
    await this.#lab.clock.pass(RESTART_MS);
    this.#agent = this.#lab.start();
  }

  async #restart(): Promise<void> {
    this.#log('restart');
    await this.#agent.stop();
    await this.#lab.ledger[Symbol.asyncDispose]();
    this.#lab.ledger = this.#lab.ledger.crash();
    this.#agent = this.#lab.start();
  }

  async #outage(): Promise<void> {
    const target = this.#lab.targets[this.#choose(this.#lab.targets.length)]!;
    target.down = !target.down;
    this.#log(`${target.name} ${target.down ? 'down' : 'up'}`);
    await this.#lab.clock.pass(this.#choose(120_000));
  }

  #fault(): LabFault | undefined {
    if (!this.#faulty || this.#choose(4) > 0) return undefined;
    const fault = FAULTS[this.#choose(FAULTS.length)]!;
    this.#log(`fault ${typeof fault === 'string' ? fault : fault.kind}`);
    return fault;
  }

  /** What must hold of every notification at the moment when it is sent. */
  #onSend(target: LabPolaris, { type, table, timestamp }: Notification, replace: boolean): void {
    this.#log(`${target.name} ${type} ${showTable(table)} ${timestamp}`);
    if (type !== 'DROP' || replace) return;
    const { source } = this.#lab;
    const of = keyOf(table);
    const changedAt = source.changedAt.get(of) ?? 0;
    const { change, lost } = source.log[changedAt]!;
    // A change that the agent was told of before is always heeded; what it can't know yet may cross the DROP.
    if (lost || changedAt >= this.#agent.told) return;
    const mirrored = target.tables.get(of)?.incarnation;
    const row = source.rows.get(of);
    assert.ok(row === undefined || row.unsupported !== undefined, `DROP of ${showTable(table)}, which the source has`);
    if (change.kind !== 'renamed' || keyOf(change.table) !== of) return;
    if (mirrored === undefined || this.#turned.has(mirrored)) return;
    const now = [...source.rows].find(([, { incarnation }]) => incarnation === mirrored)?.[0];
    const moved = now === undefined || now !== keyOf(change.to) || target.tables.has(now);
    assert.ok(moved, `${showTable(table)} goes before ${showTable(change.to)} has come`);
  }

  #log(what: string): void {
    this.trace.push(`${this.#lab.clock.monotonicMs()} ${what}`);
  }
}

const FAULTS: readonly LabFault[] = [
  'lost',
  'unanswered',
  { kind: 'lost-race', message: 'concurrently modified' },
  { kind: 'unavailable', message: 'no' },
  { kind: 'unauthorized', message: 'who?' },
  { kind: 'refused', reason: 'not-authorized', status: 403, message: 'a grant was revoked' },
];
