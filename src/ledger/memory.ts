import { blank, fold } from '../core/fold.ts';
import { keyOf, type TableKey } from '../core/table.ts';
import type { Entry, EntryRecord, ParkCode, Position, TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { Request, RequestInbox, RequestOrder } from './inbox.ts';
import type { AnyRecord, Ledger, Totals } from './ledger.ts';
import { MemoryOutbox, type StoredEvent } from './memory-outbox.ts';
import { isOutboxRecord, type OutboxRecord } from './outbox.ts';
import { emptyTally, isUnfinished, recount, type Tally } from './totals.ts';

export type MemoryLedgerOptions = {
  /** Called when something waits for a commit, with the commit; default `queueMicrotask`. Calling it late delays durability. */
  readonly schedule?: ((commit: () => void) => void) | undefined;
};

/** What survives a crash. Keys of `entries`: target, then table. */
type State = {
  readonly entries: ReadonlyMap<string, ReadonlyMap<TableKey, Entry>>;
  readonly positions: ReadonlyMap<string, Position>;
  readonly requests: readonly Request[];
  readonly lastRequest: number;
  readonly events: readonly StoredEvent[];
};

const NOTHING: State = { entries: new Map(), positions: new Map(), requests: [], lastRequest: 0, events: [] };

/**
 * A ledger for tests and simulations: as durable as the process, and able to lose what a real one would lose. It owns
 * nothing outside, so any number may exist at once.
 */
export class MemoryLedger implements Ledger, RequestInbox {
  readonly outbox: MemoryOutbox;
  readonly #schedule: (commit: () => void) => void;
  readonly #entries = new Map<string, Map<TableKey, Entry>>();
  readonly #tallies = new Map<string, Tally>();
  readonly #positions: Map<string, Position>;
  /** Entries as they were at the last commit, of those appended to since; undefined for new ones. */
  readonly #before = new Map<string, Map<TableKey, Entry | undefined>>();
  #durablePositions: ReadonlyMap<string, Position>;
  /** Of the next commit. */
  #freshEvents: OutboxRecord[] = [];
  #requests: Request[];
  #lastRequest: number;
  #takenRequest = 0;
  #batch: PromiseWithResolvers<void> | undefined;
  #end: PushError | undefined;

  constructor(options?: MemoryLedgerOptions, state: State = NOTHING) {
    this.#schedule = options?.schedule ?? queueMicrotask;
    for (const [target, entries] of state.entries) {
      const tally = emptyTally();
      for (const entry of entries.values()) recount(tally, undefined, entry);
      this.#entries.set(target, new Map(entries));
      this.#tallies.set(target, tally);
    }
    this.#positions = new Map(state.positions);
    this.#durablePositions = state.positions;
    this.#requests = [...state.requests];
    this.#lastRequest = state.lastRequest;
    this.outbox = new MemoryOutbox(state.events, () => this.#requireOpen());
  }

  /**
   * The process dies now: the ledger that the next one finds, with what was durable. What waits for a commit of this
   * ledger is never answered, and it takes nothing more.
   */
  crash(options?: MemoryLedgerOptions): MemoryLedger {
    const state = this.#durable();
    this.#end ??= ended('the process is dead');
    return new MemoryLedger({ schedule: this.#schedule, ...options }, state);
  }

  /** As a full disk does it: whatever waits for a commit is rejected, and everything from here on. */
  fail(why: string = 'the disk is full'): void {
    this.#end ??= ended(why);
    this.#batch?.reject(this.#end);
    this.#batch = undefined;
  }

  /** What another process does by a `RequestOutbox`; durable at once. */
  submit(order: RequestOrder): number {
    this.#lastRequest += 1;
    this.#requests.push({ ...order, id: this.#lastRequest, submittedAt: 0 });
    return this.#lastRequest;
  }

  entry(target: string, table: TableIdentifier): Entry | undefined {
    this.#requireOpen();
    return this.#entries.get(target)?.get(keyOf(table));
  }

  lookup(target: string, tables: readonly TableIdentifier[]): readonly (Entry | undefined)[] {
    return tables.map((table) => this.entry(target, table));
  }

  *entries(target: string): Iterable<Entry> {
    this.#requireOpen();
    yield* this.#entries.get(target)?.values() ?? [];
  }

  *unfinished(target: string): Iterable<Entry> {
    for (const entry of this.entries(target)) if (isUnfinished(entry)) yield entry;
  }

  totals(target: string): Totals {
    this.#requireOpen();
    return { ...(this.#tallies.get(target) ?? emptyTally()) };
  }

  parkedByCode(target: string): Partial<Record<ParkCode, number>> {
    const counts: Partial<Record<ParkCode, number>> = {};
    for (const { parked } of this.entries(target))
      if (parked !== undefined) counts[parked.code] = (counts[parked.code] ?? 0) + 1;
    return counts;
  }

  targets(): readonly string[] {
    this.#requireOpen();
    return [...this.#entries.keys()];
  }

  position(source: string): Position | undefined {
    this.#requireOpen();
    return this.#positions.get(source);
  }

  append(records: readonly AnyRecord[]): Promise<void> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    for (const record of records) {
      if (record.kind === 'position') this.#positions.set(record.source, record.position);
      else if (isOutboxRecord(record)) this.#freshEvents.push(record);
      else this.#fold(record);
    }
    if (records.length === 0 && this.#batch === undefined) return Promise.resolve();
    return this.#nextCommit();
  }

  takeRequests(): readonly Request[] {
    this.#requireOpen();
    const requests = this.#requests.filter(({ id }) => id > this.#takenRequest);
    this.#takenRequest = requests.at(-1)?.id ?? this.#takenRequest;
    if (requests.length > 0) void this.#nextCommit();
    return requests;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#commit();
    this.#end ??= ended('it was closed before');
  }

  #fold(record: EntryRecord): void {
    const { target, table } = record;
    const key = keyOf(table);
    const entries = inner(this.#entries, target);
    const before = entries.get(key);
    const changed = inner(this.#before, target);
    if (!changed.has(key)) changed.set(key, before);
    const entry = fold(before ?? blank(target, table), record);
    const tally = this.#tallies.get(target) ?? emptyTally();
    this.#tallies.set(target, tally);
    recount(tally, before, entry);
    entries.set(key, entry);
  }

  #nextCommit(): Promise<void> {
    if (this.#batch === undefined) {
      const batch = Promise.withResolvers<void>();
      // A taken request waits for a commit without anybody looking at the promise.
      batch.promise.catch(() => {});
      this.#batch = batch;
      this.#schedule(() => this.#commit(batch));
    }
    return this.#batch.promise;
  }

  /** A commit that comes after a crash, or after another one did its work, does nothing. */
  #commit(batch: PromiseWithResolvers<void> | undefined = this.#batch): void {
    if (this.#end !== undefined || batch === undefined || batch !== this.#batch) return;
    this.#before.clear();
    this.#durablePositions = new Map(this.#positions);
    this.#requests = this.#requests.filter(({ id }) => id > this.#takenRequest);
    this.#batch = undefined;
    batch.resolve();
    this.outbox.commit(this.#freshEvents.splice(0));
  }

  #durable(): State {
    const entries = new Map([...this.#entries].map(([target, current]) => [target, new Map(current)] as const));
    for (const [target, changed] of this.#before) {
      const current = inner(entries, target);
      for (const [key, entry] of changed) {
        if (entry === undefined) current.delete(key);
        else current.set(key, entry);
      }
      if (current.size === 0) entries.delete(target);
    }
    return {
      entries,
      positions: this.#durablePositions,
      requests: this.#requests,
      lastRequest: this.#lastRequest,
      events: this.outbox.durable,
    };
  }

  #requireOpen(): void {
    if (this.#end !== undefined) throw this.#end;
  }
}

const ended = (why: string): PushError => new PushError('LEDGER_FAILED', `The ledger in memory: ${why}.`);

function inner<K, V>(maps: Map<string, Map<K, V>>, name: string): Map<K, V> {
  const known = maps.get(name);
  if (known !== undefined) return known;
  const created = new Map<K, V>();
  maps.set(name, created);
  return created;
}
