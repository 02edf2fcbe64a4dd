import { keyOf, tableOf, type TableKey } from '../../src/core/table.ts';
import type { EpochMillis, TableIdentifier } from '../../src/core/types.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { Timers } from '../../src/runtime/timers.ts';

/** What events told of one table, and no read has shown yet. */
type Awaited = {
  /** The fingerprint that was known when the first of these events came; undefined: none. */
  before: string | undefined;
  /** Events, each of which may stand for a change of its own. */
  count: number;
  /** The latest that each kind was said to happen, on AWS's clock. */
  upsertedAt: EpochMillis | undefined;
  droppedAt: EpochMillis | undefined;
  /** A read that begins at this time, on AWS's clock, shows all of it. */
  untilMs: EpochMillis;
  /** Delays used up. */
  rereads: number;
  scheduled: boolean;
};

export type Verdict =
  /** What was read is taken as it is. */
  | 'counts'
  /** The same, but the table is to be read again later, as more may come to light. */
  | 'again'
  /** It must not be taken yet: a table that was there reads as missing, although an event tells of its creation or change. */
  | 'doubtful';

/** Times in events have whole seconds, so what happened did so up to a second later. */
const SECOND_MS = 1000;
/** Entries that nobody reads (their tables are not mirrored) are forgotten. */
const FORGOTTEN_AFTER_MS = 60_000;

/**
 * Whether a read can be relied on. AWS says nothing about how soon a read shows what an event has told, so an answer that
 * contradicts a fresh event, or shows nothing new, is asked for again after growing delays before it counts. A read that
 * begins later than all these delays after the event is never doubted, which is the usual case: events take seconds.
 */
export class Announced implements Disposable {
  readonly #delaysMs: readonly number[];
  readonly #windowMs: number;
  readonly #tables = new Map<TableKey, Awaited>();
  readonly #timers: Timers<TableKey>;
  readonly #again = new Map<TableKey, TableIdentifier>();
  #wake: () => void = () => {};

  constructor(delaysMs: readonly number[], clock: Clock) {
    this.#delaysMs = delaysMs;
    this.#windowMs = delaysMs.reduce((sum, ms) => sum + ms, 0);
    this.#timers = new Timers(clock, (key) => {
      const awaited = this.#tables.get(key);
      if (awaited !== undefined) awaited.scheduled = false;
      this.#again.set(key, tableOf(key));
      this.#wake();
    });
  }

  get size(): number {
    return this.#tables.size;
  }

  /** Called whenever a table is due to be read again: see `takeDue`. */
  onDue(wake: () => void): void {
    this.#wake = wake;
  }

  get anyDue(): boolean {
    return this.#again.size > 0;
  }

  /** Tables to be read again now. */
  takeDue(): TableIdentifier[] {
    const due = [...this.#again.values()];
    this.#again.clear();
    return due;
  }

  /**
   * An event told of a table.
   * @param at When it happened, on AWS's clock; undefined: not told, so it is taken to have happened just now.
   * @param now AWS's clock.
   */
  told(
    table: TableIdentifier,
    event: { readonly kind: 'upserted' | 'dropped'; readonly at: EpochMillis | undefined },
    now: EpochMillis,
    known: string | undefined,
  ): void {
    const at = Math.min(event.at ?? now, now);
    const untilMs = at + SECOND_MS + this.#windowMs;
    this.#forgetOld(now);
    if (now >= untilMs) return; // any read from here on shows it
    const key = keyOf(table);
    const awaited = this.#tables.get(key) ?? {
      before: known,
      count: 0,
      upsertedAt: undefined,
      droppedAt: undefined,
      untilMs,
      rereads: 0,
      scheduled: false,
    };
    awaited.count += 1;
    awaited.untilMs = Math.max(awaited.untilMs, untilMs);
    awaited.rereads = 0;
    if (event.kind === 'upserted') awaited.upsertedAt = Math.max(awaited.upsertedAt ?? at, at);
    else awaited.droppedAt = Math.max(awaited.droppedAt ?? at, at);
    // Moved to the end, so that the oldest come first.
    this.#tables.delete(key);
    this.#tables.set(key, awaited);
  }

  /**
   * What to make of a read.
   * @param fingerprint Of what was read; undefined: Glue has no such table.
   * @param asOf When the read began, on AWS's clock.
   */
  judge(table: TableIdentifier, fingerprint: string | undefined, asOf: EpochMillis): Verdict {
    const key = keyOf(table);
    const awaited = this.#tables.get(key);
    if (awaited === undefined) return 'counts';
    if (asOf >= awaited.untilMs || awaited.rereads >= this.#delaysMs.length) return this.#settle(key);
    if (fingerprint === undefined) return this.#judgeMissing(key, awaited);
    if (fingerprint === awaited.before) return this.#schedule(key, awaited);
    if (awaited.count <= 1) return this.#settle(key);
    // Something new came to light, but there were several events.
    awaited.before = fingerprint;
    awaited.count = 1;
    return this.#schedule(key, awaited);
  }

  /** Delays for reading a doubtful table again at once; what the last of them shows counts. */
  get delaysMs(): readonly number[] {
    return this.#delaysMs;
  }

  /** A doubtful table has been read after all delays: what that read shows counts. */
  settled(table: TableIdentifier): void {
    this.#settle(keyOf(table));
  }

  [Symbol.dispose](): void {
    this.#timers.close();
  }

  #judgeMissing(key: TableKey, awaited: Awaited): Verdict {
    const { upsertedAt, droppedAt, before } = awaited;
    // A later drop explains it. Within one second the order of the two can't be told.
    if (upsertedAt === undefined || (droppedAt !== undefined && droppedAt > upsertedAt)) return this.#settle(key);
    // Of a table that was not there, absence is no news: nothing is dropped on the strength of it.
    return before === undefined ? this.#schedule(key, awaited) : 'doubtful';
  }

  #schedule(key: TableKey, awaited: Awaited): Verdict {
    const delayMs = this.#delaysMs[awaited.rereads];
    // Another target's read has seen to it already.
    if (awaited.scheduled || delayMs === undefined) return 'again';
    awaited.rereads += 1;
    awaited.scheduled = true;
    this.#timers.add(delayMs, key);
    return 'again';
  }

  #settle(key: TableKey): Verdict {
    this.#tables.delete(key);
    return 'counts';
  }

  #forgetOld(now: EpochMillis): void {
    for (const [key, { untilMs }] of this.#tables) {
      if (untilMs + FORGOTTEN_AFTER_MS > now) return;
      this.#tables.delete(key);
    }
  }
}
