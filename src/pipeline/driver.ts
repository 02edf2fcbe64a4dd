import { Breaker } from '../core/breaker.ts';
import type { DropBudget } from '../core/budget.ts';
import { heldBy, vanished } from '../core/decide.ts';
import { blank } from '../core/fold.ts';
import { restore, step, type Effect, type Lane, type LaneEvent } from '../core/lane.ts';
import type { Policy } from '../core/policy.ts';
import { REFUSALS } from '../core/refusal.ts';
import { keyOf, showTable, type TableKey } from '../core/table.ts';
import { Throttle, type ThrottleOptions } from '../core/throttle.ts';
import type { Entry, EntryRecord, Notification, Outcome, TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Target } from '../polaris/target.ts';
import type { Clock } from '../runtime/clock.ts';
import { Gate } from '../runtime/gate.ts';
import type { Log } from '../runtime/log.ts';
import type { Random } from '../runtime/random.ts';
import { Timers } from '../runtime/timers.ts';
import type { Emit } from './events.ts';

/** Tables per `resolve` call, at most. */
const RESOLVE_BATCH = 256;
/** Lanes read ahead of the sending ones: enough to keep the target busy, few enough that facts stay fresh. */
const READ_AHEAD = 2;
/** Different tables that must fail in a row before the target itself is suspected. */
const BREAKER = { failures: 5, baseMs: 500, maxMs: 30_000 };

/** That a table may have changed; `after` is its new name if it was renamed. */
export type Hint = { readonly table: TableIdentifier; readonly after?: TableIdentifier | undefined };

export type DriverParts = {
  readonly target: Target;
  readonly connector: Pick<Connector, 'resolve'>;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly policy: Policy;
  /** Undefined: DROPs are not limited. */
  readonly budget: DropBudget | undefined;
  readonly concurrency: ThrottleOptions;
  readonly emit: Emit;
};

/** A lane in memory, and what the driver needs to know of it besides. */
type Slot = {
  readonly key: TableKey;
  lane: Lane;
  /** Counted among the lanes that may read and send now. */
  admitted: boolean;
  /** Resolves when the last record of this lane is durable. The ledger keeps the order, so all earlier ones are too. */
  durable: Promise<void>;
  /** When the oldest hint that no read covers was committed, by the source's clock; and the oldest that the present read covers. */
  hintedAt: number | undefined;
  coveredAt: number | undefined;
};

type Answer = {
  readonly notification: Notification;
  readonly outcome: Outcome;
  readonly tookMs: number;
  readonly inFlight: number;
};

/** Runs the lanes of one target: performs the effects that the core asks for, and feeds it what came of them. */
export class Driver {
  readonly #parts: DriverParts;
  /** Only lanes with work; all others are in the ledger alone. */
  readonly #lanes = new Map<TableKey, Slot>();
  /** Lanes waiting for a read, first come, first served. A Set, so that none is in it twice. */
  readonly #due = new Set<Slot>();
  /** DROPs of old names that wait until the lane of the new name is done. */
  readonly #awaiting = new Map<TableKey, Set<Slot>>();
  readonly #timers: Timers<{ readonly slot: Slot; readonly event: 'due' | 'released' }>;
  readonly #throttle: Throttle;
  readonly #breaker = new Breaker(BREAKER);
  readonly #gate: Gate;
  readonly #quiet = new Set<() => void>();
  readonly #failing = new Set<TableKey>();
  readonly #kill = new AbortController();
  #admitted = 0;
  #pumping = false;
  #stopped = true;
  #delivered: number | undefined;
  #budgetRestored = false;
  #ended: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;
  #broken: unknown;

  constructor(parts: DriverParts) {
    this.#parts = parts;
    this.#throttle = new Throttle(parts.concurrency);
    this.#gate = new Gate(() => this.#throttle.limit);
    this.#timers = new Timers(parts.clock, ({ slot, event }) => this.#feed(slot, { kind: event }));
  }

  get name(): string {
    return this.#parts.target.name;
  }

  /** Lanes with work. */
  get active(): number {
    return this.#lanes.size;
  }

  /** Tables that Polaris is known to hold. */
  get delivered(): number {
    this.#delivered ??= this.#parts.ledger.totals(this.name).delivered;
    return this.#delivered;
  }

  /** Takes up what the last run left undone. Before the first `changed()`, so that renames find both their lanes. */
  restore(): void {
    const slots = [...this.#parts.ledger.unfinished(this.name)].map((entry) => this.#open(restore(entry)));
    for (const slot of slots) this.#feed(slot, { kind: 'due' });
  }

  /**
   * Records hints. Resolves when they are durable: only then may the source forget them.
   * @param committedAt When the oldest of the changes was committed, epoch ms on the source's clock.
   */
  async changed(hints: readonly Hint[], committedAt?: number): Promise<void> {
    if (this.#kill.signal.aborted) throw this.#broken ?? new Error('The driver has ended.');
    const slots = hints.map(({ table }) => this.#slot(table));
    const durable = new Set<Promise<void>>();
    for (const [i, slot] of slots.entries()) {
      slot.hintedAt = earliest(slot.hintedAt, committedAt);
      this.#feed(slot, { kind: 'changed', count: 1, after: hints[i]?.after });
      durable.add(slot.durable);
    }
    await Promise.all(durable);
  }

  /** Lets held DROPs go; each is read once more before it is sent. Resolves when that is durable. */
  async release(tables: readonly TableIdentifier[]): Promise<void> {
    this.#parts.budget?.release(tables.map(keyOf));
    await this.changed(tables.map((table) => ({ table })));
  }

  /** Resolves when no lane has work, or at once when there is none. Parked entries have none. */
  async settled(signal: AbortSignal): Promise<void> {
    if (this.#lanes.size === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#quiet.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#quiet.add(done);
      signal.addEventListener('abort', done);
    });
  }

  /**
   * Reads and sends until `stop` aborts, then lets what is under way finish and be recorded. `kill` ends that, too:
   * intents are durable, so nothing is lost. Rejects when the ledger fails.
   */
  async run(stop: AbortSignal, kill: AbortSignal): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    const ended = new Promise<void>((resolve, reject) => {
      this.#ended = { resolve, reject };
    });
    this.#stopped = false;
    const onStop = () => {
      this.#stopped = true;
      this.#endIfDrained();
    };
    const onKill = () => {
      this.#kill.abort();
      this.#ended?.resolve();
    };
    stop.addEventListener('abort', onStop, { once: true });
    kill.addEventListener('abort', onKill, { once: true });
    if (stop.aborted) onStop();
    this.#pump();
    try {
      await ended;
    } finally {
      this.#stopped = true;
      this.#kill.abort();
      this.#timers.close();
      stop.removeEventListener('abort', onStop);
      kill.removeEventListener('abort', onKill);
    }
  }

  #slot(table: TableIdentifier): Slot {
    const key = keyOf(table);
    const open = this.#lanes.get(key);
    if (open !== undefined) return open;
    const entry = this.#parts.ledger.entry(this.name, table) ?? blank(this.name, table);
    return this.#open({ ...restore(entry), phase: 'idle' });
  }

  #open(lane: Lane): Slot {
    const key = keyOf(lane.entry.table);
    const slot: Slot = {
      key,
      lane,
      admitted: false,
      durable: Promise.resolve(),
      hintedAt: undefined,
      coveredAt: undefined,
    };
    this.#lanes.set(key, slot);
    return slot;
  }

  /** One step of a lane. The only place where a lane changes. */
  #feed(slot: Slot, event: LaneEvent): void {
    if (this.#kill.signal.aborted) return;
    const before = slot.lane;
    const { lane, effects } = step(before, event, this.#parts.policy);
    slot.lane = lane;
    this.#count(before.entry, lane.entry);
    const records = effects.filter((effect) => effect.kind === 'record').map((effect) => effect.record);
    if (records.length > 0) this.#record(slot, records);
    if (slot.admitted && IN_LEDGER_OR_TIMER.has(lane.phase)) this.#dismiss(slot);
    for (const effect of effects) this.#perform(slot, effect);
    if (lane.phase === 'idle') this.#retire(slot);
  }

  #perform(slot: Slot, effect: Effect): void {
    switch (effect.kind) {
      case 'record':
        return;
      case 'resolve':
        this.#due.add(slot);
        return this.#pump();
      case 'notify':
        return void this.#notify(slot, effect.notification);
      case 'probe':
        return void this.#probe(slot, effect);
      case 'wait':
        slot.hintedAt = earliest(slot.hintedAt, slot.coveredAt);
        return this.#timers.add(effect.delayMs, { slot, event: 'due' });
      case 'await':
        return this.#await(slot, effect.table);
    }
  }

  #record(slot: Slot, records: readonly EntryRecord[]): void {
    slot.durable = this.#parts.ledger.append(records);
    slot.durable.catch((error: unknown) => this.#break(error));
    for (const record of records) this.#report(slot, record);
  }

  #report({ lane }: Slot, record: EntryRecord): void {
    const { emit } = this.#parts;
    const { target, table } = lane.entry;
    if (record.kind === 'parked') emit({ kind: 'parked', target, table, parked: record.parked });
    else if (record.kind === 'outcome' && record.outcome === 'served') emit({ kind: 'adopted', target, table });
    else if (record.kind === 'settled') emit({ kind: 'settled', target, table, skipped: record.skipped });
  }

  /** Keeps the number of delivered tables without counting them anew. */
  #count(before: Entry, after: Entry): void {
    if (before.delivered === after.delivered) return;
    const change = Number(heldBy(after) !== undefined) - Number(heldBy(before) !== undefined);
    // Not asked for yet: the ledger's own count will hold this change.
    if (this.#delivered !== undefined) this.#delivered += change;
  }

  /** Takes lanes that are due as far as the target has room, once per turn of the event loop, so that reads are batched. */
  #pump(): void {
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      while (this.#due.size > 0 && !this.#stopped) {
        const batch = this.#admit();
        if (batch.length === 0) break;
        void this.#read(batch);
      }
    });
  }

  #admit(): Slot[] {
    const nowMs = this.#parts.clock.monotonicMs();
    const batch: Slot[] = [];
    const room = Math.min(RESOLVE_BATCH, this.#throttle.limit * READ_AHEAD - this.#admitted);
    for (const slot of this.#due) {
      if (batch.length >= room) break;
      if (!this.#breaker.admits(nowMs)) break;
      this.#due.delete(slot);
      slot.admitted = true;
      this.#admitted++;
      batch.push(slot);
      if (this.#breaker.state(nowMs) === 'half-open') break;
    }
    return batch;
  }

  #dismiss(slot: Slot): void {
    slot.admitted = false;
    this.#admitted--;
    const { clock } = this.#parts;
    // A probe that led to no request says nothing of the target; the next lane may try.
    if (this.#breaker.state(clock.monotonicMs()) === 'half-open') this.#breaker.unused();
    this.#pump();
    this.#endIfDrained();
  }

  async #read(batch: readonly Slot[]): Promise<void> {
    for (const slot of batch) {
      this.#feed(slot, { kind: 'reading' });
      slot.coveredAt = slot.hintedAt;
      slot.hintedAt = undefined;
    }
    const states = await this.#resolve(batch);
    if (states === undefined || this.#kill.signal.aborted) return;
    for (const [i, slot] of batch.entries()) {
      const state = states[i];
      if (state === undefined)
        return this.#break(new Error(`No state of ${showTable(slot.lane.entry.table)} was read.`));
      this.#feed(slot, { kind: 'resolved', state, mayDrop: this.#mayDrop(slot, state), ...this.#moment() });
    }
  }

  /** One state per slot; undefined when the source couldn't say, which the lanes then know. */
  async #resolve(batch: readonly Slot[]): Promise<readonly TableState[] | undefined> {
    try {
      const tables = batch.map((slot) => slot.lane.entry.table);
      return await this.#parts.connector.resolve(tables, this.#kill.signal);
    } catch (error) {
      if (this.#kill.signal.aborted) return undefined;
      this.#parts.log.warn('resolve-failed', { target: this.name, tables: batch.length, error });
      for (const slot of batch) this.#feed(slot, { kind: 'unresolved', ...this.#moment() });
      return undefined;
    }
  }

  #mayDrop(slot: Slot, state: TableState): boolean {
    const { budget, clock, ledger, policy } = this.#parts;
    const { entry } = slot.lane;
    if (budget === undefined) return true;
    if (state.kind === 'present') budget.cameBack(slot.key);
    if (!vanished(entry, state)) return true;
    // A table that Polaris holds under its new name is not lost, however many are renamed at once.
    const moved = entry.after === undefined ? undefined : ledger.entry(this.name, entry.after);
    const incarnation = heldBy(entry)?.incarnation;
    const isMove = incarnation !== undefined && moved !== undefined && heldBy(moved)?.incarnation === incarnation;
    if (isMove && policy.drops === 'fenced') return true;
    if (!this.#budgetRestored) this.#restoreBudget(budget);
    return budget.mayDrop(slot.key, this.delivered, clock.now());
  }

  /** A restart forgets neither the DROPs of a moment ago nor those that wait for a human. */
  #restoreBudget(budget: DropBudget): void {
    this.#budgetRestored = true;
    const sent: [TableKey, number][] = [];
    const held: TableKey[] = [];
    for (const { table, delivered, parked } of this.#parts.ledger.entries(this.name)) {
      if (parked?.code === 'DROP_HELD') held.push(keyOf(table));
      else if (delivered?.type === 'DROP') sent.push([keyOf(table), delivered.timestamp]);
    }
    budget.restore(
      sent.toSorted(([, a], [, b]) => a - b),
      held,
    );
  }

  async #notify(slot: Slot, notification: Notification): Promise<void> {
    const { clock, target, emit } = this.#parts;
    let outcome: Outcome;
    let sentMs = 0;
    let inFlight = 0;
    try {
      await slot.durable;
      await this.#gate.enter();
      try {
        if (this.#kill.signal.aborted) return;
        sentMs = clock.monotonicMs();
        inFlight = this.#gate.inside;
        outcome = await target.notify(notification, this.#kill.signal);
      } finally {
        this.#gate.leave();
      }
    } catch (error) {
      // The ledger failed (run() rejects), or the kill signal ended the request: the intent stays open.
      if (!this.#kill.signal.aborted) this.#break(error);
      return;
    }
    const tookMs = clock.monotonicMs() - sentMs;
    this.#learn(slot, { notification, outcome, tookMs, inFlight });
    const admitted = outcome.kind === 'admitted' && notification.type !== 'VALIDATE';
    const commitToVisibleMs =
      admitted && slot.coveredAt !== undefined ? Math.max(0, clock.now() - slot.coveredAt) : undefined;
    if (admitted) slot.coveredAt = undefined;
    emit({ kind: 'notified', target: this.name, notification, outcome, tookMs, commitToVisibleMs });
    this.#feed(slot, { kind: 'answered', outcome, ...this.#moment() });
  }

  async #probe(slot: Slot, { table, metadataLocation }: Effect & { kind: 'probe' }): Promise<void> {
    const { target, log } = this.#parts;
    try {
      const served = await target.serves(table, metadataLocation, this.#kill.signal);
      this.#feed(slot, { kind: 'probed', served, ...this.#moment() });
    } catch (error) {
      if (this.#kill.signal.aborted) return;
      log.warn('probe-failed', { target: this.name, table: showTable(table), error });
      this.#feed(slot, { kind: 'probed', served: 'unknown', ...this.#moment() });
    }
  }

  /** What an answer says of the target: how many requests it bears, and whether it works at all. */
  #learn(slot: Slot, { notification, outcome, tookMs, inFlight }: Answer): void {
    const { clock, random, emit } = this.#parts;
    const overload = outcome.kind === 'unavailable' || outcome.kind === 'unknown';
    if (overload) this.#throttle.record({ kind: 'overload' });
    else if (notification.type === 'CREATE' || notification.type === 'UPDATE') {
      this.#throttle.record({ kind: 'ok', latencyMs: tookMs, inFlight });
    }
    if (!concernsTarget(outcome)) {
      this.#failing.clear();
      if (this.#breaker.succeeded()) {
        emit({ kind: 'target-up', target: this.name });
        this.#pump();
      }
      return;
    }
    const nowMs = clock.monotonicMs();
    // One table that fails again and again says little of the target; several different ones do.
    if (this.#failing.has(slot.key) && this.#breaker.state(nowMs) === 'closed') return;
    this.#failing.add(slot.key);
    if (!this.#breaker.failed(nowMs, random())) return;
    emit({ kind: 'target-down', target: this.name, detail: 'message' in outcome ? outcome.message : outcome.kind });
    const untilMs = this.#breaker.openUntilMs ?? nowMs;
    void clock.sleep(untilMs - nowMs + 1, this.#kill.signal).then(() => this.#pump());
  }

  #await(slot: Slot, table: TableIdentifier): void {
    const key = keyOf(table);
    const other = this.#lanes.get(key);
    if (other === undefined || other === slot) {
      queueMicrotask(() => this.#feed(slot, { kind: 'released' }));
      return;
    }
    const waiting = this.#awaiting.get(key) ?? new Set();
    this.#awaiting.set(key, waiting.add(slot));
    this.#timers.add(this.#parts.policy.renameWaitMs, { slot, event: 'released' });
  }

  /** A lane without work lives on in the ledger alone. */
  #retire(slot: Slot): void {
    if (this.#lanes.get(slot.key) !== slot) return;
    this.#lanes.delete(slot.key);
    const waiting = this.#awaiting.get(slot.key);
    this.#awaiting.delete(slot.key);
    for (const other of waiting ?? []) this.#feed(other, { kind: 'released' });
    if (this.#lanes.size === 0) for (const done of this.#quiet) done();
  }

  #endIfDrained(): void {
    if (this.#stopped && this.#admitted === 0) this.#ended?.resolve();
  }

  #break(error: unknown): void {
    this.#broken ??= error;
    this.#stopped = true;
    this.#kill.abort();
    this.#ended?.reject(error);
  }

  #moment(): { nowMs: number; random: number } {
    return { nowMs: this.#parts.clock.now(), random: this.#parts.random() };
  }
}

/** Phases in which a lane neither reads nor sends. */
const IN_LEDGER_OR_TIMER: ReadonlySet<Lane['phase']> = new Set(['idle', 'due', 'waiting', 'awaiting']);

const earliest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

/** Answers that any table would have got. */
function concernsTarget(outcome: Outcome): boolean {
  switch (outcome.kind) {
    case 'unavailable':
    case 'unauthorized':
    case 'unknown':
      return true;
    case 'refused':
      return REFUSALS[outcome.reason].scope === 'target';
    case 'admitted':
    case 'stale':
    case 'lost-race':
    case 'name-taken':
      return false;
  }
}
