import { Breaker } from '../core/breaker.ts';
import type { DropBudget } from '../core/budget.ts';
import { heldBy } from '../core/decide.ts';
import { blank } from '../core/fold.ts';
import { isOvertaken, restore, step, type Effect, type Lane, type LaneEvent } from '../core/lane.ts';
import type { Policy } from '../core/policy.ts';
import { keyOf, showTable, type TableKey } from '../core/table.ts';
import { Throttle, type ThrottleOptions } from '../core/throttle.ts';
import type { Entry, EntryRecord, Notification, Outcome, Served, TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { OutboxRecord } from '../ledger/outbox.ts';
import type { Target } from '../polaris/target.ts';
import type { Clock } from '../runtime/clock.ts';
import { Gate } from '../runtime/gate.ts';
import type { Log } from '../runtime/log.ts';
import type { Random } from '../runtime/random.ts';
import { Timers } from '../runtime/timers.ts';
import { admittedBy, type EventsOf } from './admission.ts';
import { concernsTarget } from './concern.ts';
import { DropPermit } from './drop-permit.ts';
import type { Emit } from './events.ts';
import type { DriverStanding } from './standing.ts';
import { Waiters } from './waiters.ts';

/** Tables per `resolve` call, at most. */
const RESOLVE_BATCH = 256;
/** Lanes read ahead of the sending ones: enough to keep the target busy, few enough that facts stay fresh. */
const READ_AHEAD = 2;
/** Different tables that must fail in a row before the target itself is suspected. */
const BREAKER = { failures: 5, baseMs: 500, maxMs: 5_000 };
/** While some tables fail, a target that answered another one so long ago works. */
const SERVED_LATELY_MS = 60_000;

/**
 * That a table may have changed; `after` is its new name if it was renamed. `doubt`: it was Polaris that was seen to hold
 * something else than the ledger says, so nothing is skipped.
 */
export type Hint = {
  readonly table: TableIdentifier;
  readonly after?: TableIdentifier | undefined;
  readonly doubt?: true | undefined;
};

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
  /** Undefined: nobody is told of admitted notifications. */
  readonly eventsOf?: EventsOf | undefined;
};

/** A lane in memory, and what the driver needs to know of it besides. */
type Slot = {
  readonly key: TableKey;
  /** Since when it has work, by the driver's clock. */
  readonly since: number;
  lane: Lane;
  /** Counted among the lanes that may read and send now. */
  admitted: boolean;
  /** It alone tries whether the target works again. */
  trying: boolean;
  /** The new name that this one's DROP waits for. */
  awaits: TableKey | undefined;
  /** Resolves when the last record of this lane is durable. The ledger keeps the order, so all earlier ones are too. */
  durable: Promise<void>;
  /** When the oldest hint that no read covers was committed, by the source's clock; and the oldest that the present read covers. */
  hintedAt: number | undefined;
  coveredAt: number | undefined;
};

/** That a retry is due, or that the DROP of an old name has waited long enough. */
type Timer = { readonly slot: Slot; readonly awaits?: TableKey | undefined };

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
  readonly #timers: Timers<Timer>;
  readonly #throttle: Throttle;
  readonly #breaker = new Breaker(BREAKER);
  readonly #gate: Gate;
  readonly #permit: DropPermit | undefined;
  readonly #waiters = new Waiters();
  readonly #failing = new Set<TableKey>();
  /** When the target last answered anybody as one that works. */
  #servedMs = Number.NEGATIVE_INFINITY;
  readonly #kill = new AbortController();
  #admitted = 0;
  /** When a lane last got further. */
  #progressMs = 0;
  #pumping = false;
  #stopped = true;
  #delivered: number | undefined;
  /** Resolves when everything that was recorded so far is durable. */
  #durable = Promise.resolve();
  #ended: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;
  #broken: unknown;

  constructor(parts: DriverParts) {
    this.#parts = parts;
    this.#throttle = new Throttle(parts.concurrency);
    this.#gate = new Gate(() => this.#throttle.limit);
    const { budget, ledger, clock, policy } = parts;
    const renamesAreFree = policy.drops === 'fenced';
    this.#permit = budget && new DropPermit({ target: this.name, ledger, clock, budget, renamesAreFree });
    this.#timers = new Timers(parts.clock, (timer) => this.#onTimer(timer));
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

  /** For metrics and health. */
  get standing(): DriverStanding {
    const nowMs = this.#parts.clock.monotonicMs();
    // Lanes are in the order in which they were opened.
    const [oldest] = this.#lanes.values();
    return {
      limit: this.#throttle.limit,
      inFlight: this.#gate.inside,
      breaker: this.#breaker.state(nowMs),
      oldestSince: oldest?.since,
      stalledMs: this.#admitted === 0 ? 0 : nowMs - this.#progressMs,
    };
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
      const { after, doubt } = hints[i] ?? {};
      this.#feed(slot, { kind: 'changed', count: 1, after, doubt });
      durable.add(slot.durable);
    }
    if (this.#kill.signal.aborted) throw this.#broken;
    await Promise.all(durable);
  }

  /** While it is on, DROPs are held for a human, unless they are not limited at all. */
  fence(on: boolean): void {
    this.#permit?.fence(on);
  }

  /** Lets held DROPs go; each is read once more before it is sent. Resolves when that is durable. */
  async release(tables: readonly TableIdentifier[]): Promise<void> {
    this.#permit?.release(tables);
    await this.changed(tables.map((table) => ({ table })));
  }

  /**
   * Resolves when all work that there is now is settled or parked, or `signal` aborts. Work that comes later isn't waited
   * for, or a busy source would never be seen settled.
   */
  async settled(signal: AbortSignal): Promise<void> {
    const open = new Map([...this.#lanes.values()].map(({ key, lane }) => [key, lane.entry.seen]));
    await this.#waiters.wait(open, signal);
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
      since: this.#parts.clock.now(),
      lane,
      admitted: false,
      trying: false,
      awaits: undefined,
      durable: Promise.resolve(),
      hintedAt: undefined,
      coveredAt: undefined,
    };
    this.#lanes.set(key, slot);
    return slot;
  }

  /** What happens to a lane. A failure in here is one of the ledger, or of this program: nothing goes on after it. */
  #feed(slot: Slot, event: LaneEvent): void {
    if (this.#kill.signal.aborted) return;
    try {
      this.#step(slot, event);
    } catch (error) {
      this.#break(error);
    }
  }

  /** Work that goes on by itself, under the same rule. */
  #attend(work: Promise<void>): void {
    work.catch((error: unknown) => {
      // The kill signal ends requests, too.
      if (!this.#kill.signal.aborted) this.#break(error);
    });
  }

  /** The only place where a lane changes. */
  #step(slot: Slot, event: LaneEvent): void {
    const before = slot.lane;
    this.#progressMs = this.#parts.clock.monotonicMs();
    const { lane, effects } = step(before, event, this.#parts.policy);
    slot.lane = lane;
    if (lane.phase !== 'awaiting') slot.awaits = undefined;
    this.#count(before.entry, lane.entry);
    const records = effects.filter((effect) => effect.kind === 'record').map((effect) => effect.record);
    if (records.length > 0) this.#record(slot, before.entry, records);
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
        return this.#attend(this.#notify(slot, effect.notification));
      case 'probe':
        return this.#attend(this.#probe(slot, effect));
      case 'wait':
        slot.hintedAt = earliest(slot.hintedAt, slot.coveredAt);
        return this.#timers.add(effect.delayMs, { slot });
      case 'await':
        return this.#await(slot, effect.table);
    }
  }

  #record(slot: Slot, before: Entry, records: readonly EntryRecord[]): void {
    const events = this.#eventsOf(slot, before, records);
    slot.durable = this.#durable = this.#parts.ledger.append([...records, ...events]);
    slot.durable.catch((error: unknown) => this.#break(error));
    for (const record of records) {
      this.#report(slot, record);
      if (record.kind === 'settled' || record.kind === 'parked') this.#waiters.tell(slot.key, record.seen);
    }
  }

  /** What goes into the ledger together with the news that a notification was admitted. */
  #eventsOf(slot: Slot, before: Entry, records: readonly EntryRecord[]): readonly OutboxRecord[] {
    const notification = admittedBy(before, records);
    if (notification === undefined) return [];
    const commitToVisibleMs = this.#sinceCommit(slot);
    // The time of a commit counts once.
    slot.coveredAt = undefined;
    const at = this.#parts.clock.now();
    return this.#parts.eventsOf?.({ target: this.name, notification, at, commitToVisibleMs }) ?? [];
  }

  #sinceCommit({ coveredAt }: Slot): number | undefined {
    return coveredAt === undefined ? undefined : Math.max(0, this.#parts.clock.now() - coveredAt);
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
        this.#attend(this.#read(batch));
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
      slot.trying = this.#breaker.state(nowMs) === 'half-open';
      if (slot.trying) break;
    }
    return batch;
  }

  #dismiss(slot: Slot): void {
    slot.admitted = false;
    this.#admitted--;
    // A try that led to no request says nothing of the target; the next lane may try.
    if (slot.trying) this.#breaker.unused();
    slot.trying = false;
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
      this.#feed(slot, {
        kind: 'resolved',
        state,
        mayDrop: this.#permit?.allows(slot.lane, state, this.delivered) ?? true,
        ...this.#moment(),
      });
    }
  }

  /** One state per slot; undefined when the source couldn't say, which the lanes then know. */
  async #resolve(batch: readonly Slot[]): Promise<readonly TableState[] | undefined> {
    const { clock, connector, emit, log } = this.#parts;
    const askedMs = clock.monotonicMs();
    const asked = { kind: 'resolved', target: this.name, tables: batch.length } as const;
    try {
      const tables = batch.map((slot) => slot.lane.entry.table);
      const states = await connector.resolve(tables, this.#kill.signal);
      emit({ ...asked, failed: false, tookMs: clock.monotonicMs() - askedMs });
      return states;
    } catch (error) {
      if (this.#kill.signal.aborted) return undefined;
      emit({ ...asked, failed: true, tookMs: clock.monotonicMs() - askedMs });
      log.warn('resolve-failed', { target: this.name, tables: batch.length, error });
      for (const slot of batch) this.#feed(slot, { kind: 'unresolved', ...this.#moment() });
      return undefined;
    }
  }

  async #notify(slot: Slot, notification: Notification): Promise<void> {
    const { emit } = this.#parts;
    await slot.durable;
    const answer = await this.#send(slot, notification);
    if (answer === undefined || this.#kill.signal.aborted) return;
    const { outcome, tookMs } = answer;
    this.#learn(slot, answer);
    const admitted = outcome.kind === 'admitted' && notification.type !== 'VALIDATE';
    const commitToVisibleMs = admitted ? this.#sinceCommit(slot) : undefined;
    emit({ kind: 'notified', target: this.name, notification, outcome, tookMs, commitToVisibleMs });
    this.#feed(slot, { kind: 'answered', outcome, ...this.#moment() });
  }

  /** Sends when the target has room. Undefined: it wasn't sent. Throws what ended the request: then the intent stays open. */
  async #send(slot: Slot, notification: Notification): Promise<Answer | undefined> {
    const { clock, target } = this.#parts;
    await this.#gate.enter();
    try {
      if (this.#kill.signal.aborted) return undefined;
      if (notification.type === 'DROP' && isOvertaken(slot.lane)) {
        this.#feed(slot, { kind: 'withdrawn' });
        return undefined;
      }
      const sentMs = clock.monotonicMs();
      const inFlight = this.#gate.inside;
      const outcome = await target.notify(notification, this.#kill.signal);
      return { notification, outcome, tookMs: clock.monotonicMs() - sentMs, inFlight };
    } finally {
      this.#gate.leave();
    }
  }

  async #probe(slot: Slot, { table, metadataLocation }: Effect & { kind: 'probe' }): Promise<void> {
    const { target, log } = this.#parts;
    let served: Served | 'unknown' = 'unknown';
    let failure: string | undefined;
    try {
      served = await target.serves(table, metadataLocation, this.#kill.signal);
    } catch (error) {
      if (this.#kill.signal.aborted) return;
      log.warn('probe-failed', { target: this.name, table: showTable(table), error });
      failure = error instanceof Error ? error.message : String(error);
    }
    this.#judge(slot, failure);
    this.#reportForeign(slot.lane, served);
    this.#feed(slot, { kind: 'probed', served, ...this.#moment() });
  }

  /** Every intent is above all earlier ones, so only somebody else's timestamp can make Polaris call it old. */
  #reportForeign({ phase, sending, entry }: Lane, served: Served | 'unknown'): void {
    if (phase !== 'probing' || sending === undefined || served === 'unknown') return;
    const { timestamp } = sending.notification;
    this.#parts.emit({ kind: 'foreign-sender', target: this.name, table: entry.table, timestamp, served });
  }

  /** What an answer says of the target: how many requests it bears, and whether it works at all. */
  #learn(slot: Slot, { notification, outcome, tookMs, inFlight }: Answer): void {
    const overload = outcome.kind === 'unavailable' || outcome.kind === 'unknown';
    if (overload) this.#throttle.record({ kind: 'overload' });
    else if (notification.type === 'CREATE' || notification.type === 'UPDATE') {
      this.#throttle.record({ kind: 'ok', latencyMs: tookMs, inFlight });
    }
    const message = 'message' in outcome ? outcome.message : outcome.kind;
    this.#judge(slot, concernsTarget(outcome) ? message : undefined);
  }

  /** Whether the target works at all; `failure` says why it doesn't seem to. */
  #judge(slot: Slot, failure: string | undefined): void {
    const { clock, random, emit } = this.#parts;
    slot.trying = false;
    if (failure === undefined) {
      this.#servedMs = this.#parts.clock.monotonicMs();
      this.#failing.clear();
      if (this.#breaker.succeeded()) {
        emit({ kind: 'target-up', target: this.name });
        this.#wake();
      }
      return;
    }
    const nowMs = clock.monotonicMs();
    // One table that fails again and again says little of the target; several different ones do.
    if (this.#failing.has(slot.key) && this.#breaker.state(nowMs) === 'closed') return;
    this.#failing.add(slot.key);
    if (!this.#breaker.failed(nowMs, random())) return;
    emit({ kind: 'target-down', target: this.name, detail: failure });
    this.#attend(this.#pumpWhenHalfOpen());
  }

  /** Without another event nobody else would try the target again, and a clock may wake somebody a little early. */
  async #pumpWhenHalfOpen(): Promise<void> {
    const { clock } = this.#parts;
    while (this.#breaker.state(clock.monotonicMs()) === 'open' && !this.#kill.signal.aborted) {
      await clock.sleep((this.#breaker.openUntilMs ?? 0) - clock.monotonicMs(), this.#kill.signal);
    }
    this.#pump();
  }

  #await(slot: Slot, table: TableIdentifier): void {
    const key = keyOf(table);
    const other = this.#lanes.get(key);
    if (other === undefined || other === slot) {
      queueMicrotask(() => this.#feed(slot, { kind: 'released' }));
      return;
    }
    slot.awaits = key;
    const waiting = this.#awaiting.get(key) ?? new Set();
    this.#awaiting.set(key, waiting.add(slot));
    this.#timers.add(this.#parts.policy.renameWaitMs, { slot, awaits: key });
  }

  /** What waited for the target needn't wait its backoff out. A timer that comes later finds nothing to do. */
  #wake(): void {
    for (const slot of this.#lanes.values()) {
      if (slot.lane.phase === 'waiting') this.#feed(slot, { kind: 'due' });
    }
    this.#pump();
  }

  #onTimer({ slot, awaits }: Timer): void {
    if (awaits === undefined) return this.#feed(slot, { kind: 'due' });
    if (slot.awaits !== awaits) return;
    const { policy } = this.#parts;
    if (this.#works) return this.#feed(slot, { kind: 'released' });
    // While the target is down no name settles; to give up waiting would drop the old name first at its return.
    this.#timers.add(policy.renameWaitMs, { slot, awaits });
  }

  /** Whether the target serves anybody. With a few tables alone, an outage need not open the breaker. */
  get #works(): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#breaker.state(nowMs) !== 'closed') return false;
    return this.#failing.size === 0 || nowMs - this.#servedMs < SERVED_LATELY_MS;
  }

  /** A lane without work lives on in the ledger alone. */
  #retire(slot: Slot): void {
    if (this.#lanes.get(slot.key) !== slot) return;
    this.#lanes.delete(slot.key);
    const waiting = this.#awaiting.get(slot.key);
    this.#awaiting.delete(slot.key);
    for (const other of waiting ?? []) if (other.awaits === slot.key) this.#feed(other, { kind: 'released' });
  }

  #endIfDrained(): void {
    if (!this.#stopped || this.#admitted > 0) return;
    const resolve = () => this.#ended?.resolve();
    this.#durable.then(resolve, (error: unknown) => this.#break(error));
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
