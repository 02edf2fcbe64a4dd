import { blank, fold } from '../../src/core/fold.ts';
import { restore, step, type Effect, type Lane, type LaneEvent } from '../../src/core/lane.ts';
import { DEFAULT_POLICY, type Policy } from '../../src/core/policy.ts';
import type { Entry, Outcome, TableState, Timestamp } from '../../src/core/types.ts';

export const table = { namespace: ['sales'], name: 'orders' };
export const other = { namespace: ['sales'], name: 'archive' };
export const at = (ms: number): Timestamp => ms as Timestamp;

export const present = (version: number, incarnation = '1', asOf = 1000): TableState & { kind: 'present' } => ({
  kind: 'present',
  table,
  metadataLocation: `s3://m/${version}`,
  incarnation,
  asOf,
});
export const absent: TableState = { kind: 'absent', table, asOf: 1000 };
export const view = (incarnation: string): TableState => ({
  kind: 'unsupported',
  table,
  reason: 'a view',
  incarnation,
  asOf: 1000,
});

/** An entry whose table Polaris holds at version 1. */
export const delivered: Entry = {
  ...blank('main', table),
  seen: 1,
  settled: 1,
  lastTimestamp: at(900),
  delivered: { type: 'CREATE', timestamp: at(900), metadataLocation: 's3://m/1', incarnation: '1' },
};

const moment = { nowMs: 5000, random: 0.5 };

/** Drives one lane by hand, as the driver would, and collects its effects. */
export class Hand {
  lane: Lane;
  effects: Effect[] = [];
  /** What the ledger holds: the fold of all records, as a restart would find it. */
  ledger: Entry;
  readonly #policy: Policy;

  constructor(entry: Entry = blank('main', table), policy: Partial<Policy> = {}) {
    this.lane = { ...restore(entry), phase: 'idle' };
    this.ledger = entry;
    this.#policy = { ...DEFAULT_POLICY, ...policy };
  }

  feed(event: LaneEvent): this {
    const { lane, effects } = step(this.lane, event, this.#policy);
    this.lane = lane;
    this.effects.push(...effects);
    for (const effect of effects) if (effect.kind === 'record') this.ledger = fold(this.ledger, effect.record);
    return this;
  }

  hint(after?: Entry['table']): this {
    return this.feed({ kind: 'changed', count: 1, after });
  }

  /** The read begins and ends. */
  read(state: TableState, mayDrop = true): this {
    return this.feed({ kind: 'reading' }).feed({ kind: 'resolved', state, mayDrop, ...moment });
  }

  answer(outcome: Outcome): this {
    return this.feed({ kind: 'answered', outcome, ...moment });
  }

  admit(): this {
    return this.answer({ kind: 'admitted' });
  }

  probed(served: 'this' | 'other' | 'nothing' | 'unknown'): this {
    return this.feed({ kind: 'probed', served, ...moment });
  }

  due(): this {
    return this.feed({ kind: 'due' });
  }

  /** Takes the effects so far: kinds, with the type of a notification or record. */
  take(): string[] {
    return this.takeEffects().map((effect) => {
      if (effect.kind === 'notify') return `notify ${effect.notification.type}`;
      return effect.kind === 'record' ? `record ${effect.record.kind}` : effect.kind;
    });
  }

  takeEffects(): Effect[] {
    const taken = this.effects;
    this.effects = [];
    return taken;
  }

  notification() {
    const found = this.effects.findLast((effect) => effect.kind === 'notify');
    if (found === undefined) throw new Error('Nothing is to be sent.');
    return found.notification;
  }
}
