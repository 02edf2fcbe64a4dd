import assert from 'node:assert/strict';

import { blank, fold } from '../../src/core/fold.ts';
import { restore, step, type Effect, type Lane, type LaneEvent } from '../../src/core/lane.ts';
import { DEFAULT_POLICY, type Policy } from '../../src/core/policy.ts';
import { keyOf, tableOf, type TableKey } from '../../src/core/table.ts';
import type { Change, Entry, EntryRecord, Notification, Outcome, Served, TableState } from '../../src/core/types.ts';
import { hintsOf } from '../../src/pipeline/intake.ts';
import type { Choose } from './choices.ts';

const TARGET = 'main';
/** More than any change or fault leads to: without end, something starves. */
const STEPS_PER_EVENT = 80;
type Row = { readonly incarnation: string; readonly location: string; readonly previous?: string | undefined };
/** The records of one step are appended together, so they become durable together. */
type Todo = Exclude<Effect, { kind: 'record' }> | { readonly kind: 'append'; readonly records: readonly EntryRecord[] };
type Running = { lane: Lane; todo: Todo[] };

export type WorldOptions = {
  readonly names: readonly string[];
  /** Changes of the source in one history, and faults in all. */
  readonly changes: number;
  readonly faults: number;
  /** Other senders and races at Polaris are among the faults. */
  readonly rivals?: boolean;
  /** A commit may also bring back the metadata location before the last. */
  readonly rollbacks?: boolean;
  readonly policy?: Partial<Policy>;
};

/**
 * Source, Polaris, ledger and agent in one address space; every interleaving is a matter of choices. The lanes, the fold
 * and the hints are the product's own. A crash loses what isn't in the ledger; unacknowledged hints come again.
 */
export class World {
  readonly #choose: Choose;
  readonly #options: WorldOptions;
  readonly #policy: Policy;
  /** The source: name → what it holds, and its log of changes. */
  readonly #source = new Map<TableKey, Row>();
  #log: Change[] = [];
  #versions = 0;
  #nowMs = 1_000_000;
  /** Polaris: what it serves, and the last admitted timestamp, which dies with the table. */
  readonly #polaris = new Map<TableKey, { location: string; timestamp: number; incarnation?: string | undefined }>();
  readonly #sent = new Map<TableKey, number>();
  /** The ledger: durable by being in it. */
  readonly #ledger = new Map<TableKey, Entry>();
  #lanes = new Map<TableKey, Running>();
  /** How many changes of the log were fed to lanes, and how many of them are recorded, so that the source may forget them. */
  #fed = 0;
  #acked = 0;
  /** Hints of fed changes whose records are not durable yet, oldest change first. */
  #unrecorded: Set<TableKey>[] = [];
  #changes = 0;
  #faults = 0;
  trace = '';

  constructor(choose: Choose, options: WorldOptions) {
    this.#choose = choose;
    this.#options = options;
    this.#policy = { ...DEFAULT_POLICY, leapsMs: [0, 10, 100_000, 100_000, 100_000], ...options.policy };
  }

  /** Runs until nothing is left to do, and checks at every quiet moment that Polaris holds what the source has. */
  run(): void {
    const mostSteps = STEPS_PER_EVENT * (this.#options.changes + this.#options.faults);
    for (let steps = 0; ; steps++) {
      assert.ok(steps < mostSteps, `this history has no end: ${this.trace.slice(0, 1000)}`);
      const busy = this.#busy();
      const idle = busy.length === 0 && this.#fed === this.#log.length;
      if (idle) this.#check();
      if (this.#changes < this.#options.changes && (idle || this.#choose(2) === 1)) this.#change();
      else if (idle) return;
      else if (this.#fed < this.#log.length && (busy.length === 0 || this.#choose(2) === 1)) this.#hint();
      else this.#advance(busy[busy.length === 1 ? 0 : this.#choose(busy.length)]!);
    }
  }

  #busy(): Running[] {
    return [...this.#lanes.values()].filter((running) => running.todo.length > 0);
  }

  #check(): void {
    const have = [...this.#source].map(([key, row]) => [key, row.location]).toSorted(byText);
    const serves = [...this.#polaris].map(([key, { location }]) => [key, location]).toSorted(byText);
    assert.deepEqual(serves, have, this.trace);
    for (const { lane } of this.#lanes.values()) assert.equal(lane.phase, 'idle', this.trace);
    for (const entry of this.#ledger.values()) {
      assert.equal(entry.settled, entry.seen, this.trace);
      assert.equal(entry.parked, undefined, this.trace);
    }
  }

  #change(): void {
    this.#changes++;
    this.#nowMs += this.#choose(2) === 0 ? 5 : -3000; // the source's clock may step back
    const at = this.#choose(this.#options.names.length);
    const key = keyOf({ namespace: ['db'], name: this.#options.names[at]! });
    const table = tableOf(key);
    const row = this.#source.get(key);
    const to = keyOf({ namespace: ['db'], name: this.#options.names[(at + 1) % this.#options.names.length]! });
    if (row === undefined) {
      this.#put(key, `i${++this.#versions}`);
      this.#log.push({ kind: 'upserted', table });
      this.trace += `+${table.name}`;
    } else if (to !== key && !this.#source.has(to) && this.#choose(2) === 1) {
      this.#source.delete(key);
      this.#source.set(to, row);
      this.#log.push({ kind: 'renamed', table, to: tableOf(to) });
      this.trace += `${table.name}>${tableOf(to).name}`;
    } else if (this.#choose(2) === 0) {
      if (row.previous !== undefined && this.#options.rollbacks === true && this.#choose(2) === 1) {
        this.#source.set(key, { ...row, location: row.previous, previous: row.location });
      } else this.#put(key, row.incarnation);
      this.#log.push({ kind: 'upserted', table });
      this.trace += `~${table.name}`;
    } else {
      this.#source.delete(key);
      this.#log.push({ kind: 'dropped', table });
      this.trace += `-${table.name}`;
    }
  }

  #put(key: TableKey, incarnation: string): void {
    const previous = this.#source.get(key)?.location;
    this.#source.set(key, { incarnation, location: `s3://m/${++this.#versions}`, previous });
  }

  #hint(): void {
    const change = this.#log[this.#fed++]!;
    const hints = hintsOf([change]);
    this.#unrecorded.push(new Set(hints.map(({ table }) => keyOf(table))));
    for (const { table, after } of hints) this.#feed(keyOf(table), { kind: 'changed', count: 1, after });
  }

  #running(key: TableKey): Running {
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const running: Running = { lane: restore(this.#ledger.get(key) ?? blank(TARGET, tableOf(key))), todo: [] };
    this.#lanes.set(key, running);
    return running;
  }

  #feed(key: TableKey, event: LaneEvent): void {
    const running = this.#running(key);
    const { lane, effects } = step(running.lane, event, this.#policy);
    running.lane = lane;
    const records = effects.filter((effect) => effect.kind === 'record').map((effect) => effect.record);
    if (records.length > 0) running.todo.push({ kind: 'append', records });
    running.todo.push(...effects.filter((effect) => effect.kind !== 'record'));
  }

  /** Performs the next effect of a lane, with a crash before or after it, if the history still has faults to spend. */
  #advance(running: Running): void {
    const fault = this.#fault(2);
    if (fault === 1) return this.#crash();
    const effect = running.todo.shift()!;
    this.#perform(keyOf(running.lane.entry.table), effect);
    if (fault === 2) this.#crash();
  }

  #fault(kinds: number): number {
    if (this.#faults >= this.#options.faults) return 0;
    const kind = this.#choose(kinds + 1);
    if (kind > 0) this.#faults++;
    return kind;
  }

  #crash(): void {
    this.trace += '!';
    this.#lanes = new Map();
    // What was not recorded was not acknowledged, so the source sends it again.
    this.#fed = this.#acked;
    this.#unrecorded = [];
    for (const [key, entry] of this.#ledger) {
      if (entry.seen > entry.settled || entry.open !== undefined) this.#feed(key, { kind: 'due' });
    }
  }

  #perform(key: TableKey, effect: Todo): void {
    const moment = { nowMs: this.#nowMs, random: 0.5 };
    switch (effect.kind) {
      case 'append':
        return effect.records.forEach((record) => this.#record(key, record));
      case 'resolve': {
        this.#feed(key, { kind: 'reading' });
        this.trace += 'R';
        const state = this.#read(key);
        return this.#feed(key, { kind: 'resolved', state, mayDrop: true, ...moment });
      }
      case 'notify':
        return this.#feed(key, { kind: 'answered', outcome: this.#notify(key, effect.notification), ...moment });
      case 'probe':
        return this.#feed(key, { kind: 'probed', served: this.#serves(key, effect.metadataLocation), ...moment });
      case 'wait':
        this.#nowMs += effect.delayMs;
        return this.#feed(key, { kind: 'due' });
      case 'await':
        return this.#await(key, keyOf(effect.table), effect);
    }
  }

  #await(key: TableKey, other: TableKey, effect: Todo): void {
    const busy = (this.#lanes.get(other)?.todo.length ?? 0) > 0;
    if (busy) this.#running(key).todo.unshift(effect);
    else this.#feed(key, { kind: 'released' });
    // The lane of the new name must move first, or an exhaustive run would wait for ever.
    if (busy) this.#advance(this.#lanes.get(other)!);
  }

  #record(key: TableKey, record: EntryRecord): void {
    this.trace += record.kind[0];
    this.#ledger.set(key, fold(this.#ledger.get(key) ?? blank(TARGET, tableOf(key)), record));
    if (record.kind !== 'seen') return;
    this.#unrecorded.find((keys) => keys.has(key))?.delete(key);
    for (; this.#unrecorded[0]?.size === 0; this.#acked++) this.#unrecorded.shift();
  }

  #read(key: TableKey): TableState {
    const row = this.#source.get(key);
    const table = tableOf(key);
    if (row === undefined) return { kind: 'absent', table, asOf: this.#nowMs };
    const { incarnation, location } = row;
    return { kind: 'present', table, incarnation, metadataLocation: location, asOf: this.#nowMs };
  }

  /** A renamed table must not be missing under both names: Polaris gets the new name before it loses the old one. */
  #checkRename(key: TableKey): void {
    const incarnation = this.#polaris.get(key)?.incarnation;
    if (incarnation === undefined) return;
    const now = [...this.#source].find(([, row]) => row.incarnation === incarnation)?.[0];
    if (
      now === undefined ||
      !this.#log.slice(0, this.#fed).some((change) => change.kind === 'renamed' && keyOf(change.to) === now)
    )
      return;
    assert.ok(this.#polaris.has(now), `${this.trace}: ${key} goes before ${now} has come`);
  }

  #serves(key: TableKey, location: string): Served {
    const served = this.#polaris.get(key)?.location;
    if (served === undefined) return 'nothing';
    return served === location ? 'this' : 'other';
  }

  #notify(key: TableKey, notification: Notification): Outcome {
    const { type, timestamp, metadataLocation = '' } = notification;
    this.trace += type[0];
    if (type === 'VALIDATE') return { kind: 'admitted' };
    assert.ok(timestamp > (this.#sent.get(key) ?? -1), `${this.trace}: timestamp ${timestamp} is not above the last`);
    this.#sent.set(key, timestamp);
    const fault = this.#fault(this.#options.rivals === true ? 5 : 2);
    if (fault === 2) return { kind: 'unknown', message: 'lost on the way there' };
    if (fault === 3) {
      this.trace += '^'; // another sender, whose clock is ahead
      this.#polaris.set(key, { location: 's3://foreign', timestamp: timestamp + 50 });
    }
    if (fault === 4) return { kind: 'lost-race', message: 'concurrently modified' };
    if (fault === 5) return { kind: 'refused', reason: 'not-authorized', status: 403, message: 'a grant was revoked' };
    if (type === 'DROP') {
      this.#checkRename(key);
      assert.ok(!this.#source.has(key) || vanishedMeanwhile(this.#log, key), `DROP of a living table: ${this.trace}`);
      this.#polaris.delete(key);
    } else {
      if (timestamp <= (this.#polaris.get(key)?.timestamp ?? -1)) return { kind: 'stale', message: 'newer timestamp' };
      this.#polaris.set(key, { location: metadataLocation, timestamp, incarnation: notification.incarnation });
    }
    if (fault === 1) return { kind: 'unknown', message: 'the answer was lost' };
    return { kind: 'admitted' };
  }
}

/** Whether the table came (back) after the read that led to this DROP: its hint is on the way, and will bring it back. */
const vanishedMeanwhile = (log: readonly Change[], key: TableKey): boolean => {
  const last = log.findLast(
    (change) => keyOf(change.table) === key || (change.kind === 'renamed' && keyOf(change.to) === key),
  );
  return last !== undefined && (last.kind === 'upserted' || last.kind === 'renamed');
};

const byText = (a: readonly string[], b: readonly string[]): number => (a.join() < b.join() ? -1 : 1);
