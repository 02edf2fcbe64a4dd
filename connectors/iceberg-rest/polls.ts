import { backoffMs } from '../../src/core/backoff.ts';
import { keyOf, showTable, tableOf, type TableKey } from '../../src/core/table.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { Bell } from '../../src/runtime/bell.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { isDenial, isOfOneTable } from './failure.ts';
import type { HintQueue } from './hints.ts';
import type { KnownTable } from './known.ts';
import type { RestParts } from './parts.ts';
import type { TableReader } from './reader.ts';
import type { PollSchedule } from './schedule.ts';

export type PollContext = RestParts & {
  readonly hints: HintQueue;
  readonly schedule: PollSchedule;
  readonly reader: TableReader;
};

const BACKOFF = { baseMs: 500, maxMs: 30_000 };
/** One table's own failures are no reason to leave the others alone; so many in a row are. */
const MOST_IN_A_ROW = 5;
/** A clock may wake a moment early; less than this is no reason to sleep again and again. */
const LEAST_SLEEP_MS = 1;

/** Polls tables as the schedule has it, by conditional loads. */
export class Polls {
  readonly #context: PollContext;
  readonly #bell = new Bell();
  readonly #underWay = new Set<Promise<void>>();
  #failures = 0;
  #pauses = 0;
  #resumeMs = Number.NEGATIVE_INFINITY;
  #failed: { readonly error: unknown } | undefined;

  constructor(context: PollContext) {
    this.#context = context;
  }

  /** Polls until `signal` aborts. Throws when polling can't succeed before somebody acts. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, deps, known, schedule } = this.#context;
    // One request is left to whoever is in a hurry.
    const most = Math.max(1, config.concurrency - 1);
    [this.#failures, this.#pauses] = [0, 0];
    [this.#resumeMs, this.#failed] = [Number.NEGATIVE_INFINITY, undefined];
    try {
      while (!signal.aborted) {
        if (this.#failed !== undefined) throw (this.#failed as { readonly error: unknown }).error;
        const nowMs = deps.clock.monotonicMs();
        const key = this.#underWay.size < most && nowMs >= this.#resumeMs ? schedule.take(nowMs) : undefined;
        if (key === undefined) await this.#rest(most, signal);
        else this.#begin(key, known.get(tableOf(key)), signal);
      }
    } finally {
      await Promise.all(this.#underWay);
    }
  }

  /** Something may be due earlier than it was: tables were added. */
  wake(): void {
    this.#bell.ring();
  }

  #begin(key: TableKey, before: KnownTable | undefined, signal: AbortSignal): void {
    const { schedule, known } = this.#context;
    const told = known.told(key);
    if (before === undefined) {
      // Somebody has read that it is gone. If it comes back, its name is found.
      if (told !== undefined) this.#tellGone(told.table);
      schedule.remove(key);
    } else if (told !== before) {
      // Read since, so there is no need to ask. But who asked for that read is not all who follow.
      const changed = told === undefined || differ(told, before);
      schedule.answered(key, { atMs: before.readAtMs, changed: told !== undefined && changed });
      if (changed) this.#tell(before);
      else known.tell(before);
    } else {
      const poll = this.#poll(key, before, signal).finally(() => {
        this.#underWay.delete(poll);
        this.#bell.ring();
      });
      this.#underWay.add(poll);
    }
  }

  #tell(found: KnownTable): void {
    const { known, hints } = this.#context;
    known.tell(found);
    hints.add({ kind: 'upserted', table: found.table });
  }

  #tellGone(table: TableIdentifier): void {
    const { known, hints } = this.#context;
    known.tellGone(keyOf(table));
    hints.add({ kind: 'dropped', table });
  }

  async #poll(key: TableKey, before: KnownTable, signal: AbortSignal): Promise<void> {
    const { schedule, reader, deps, known } = this.#context;
    const { table } = before;
    try {
      const read = await reader.read(table, {}, signal);
      [this.#failures, this.#pauses] = [0, 0];
      if (read.kind === 'not-found') {
        this.#tellGone(table);
        schedule.remove(key);
        return;
      }
      const changed = differ(before, read.found);
      if (changed) this.#tell(read.found);
      else known.tell(read.found);
      schedule.answered(key, { atMs: read.found.readAtMs, changed });
    } catch (error) {
      schedule.failed(key, deps.clock.monotonicMs());
      if (!signal.aborted) this.#stumble(error, showTable(table));
    }
  }

  #stumble(error: unknown, table: string): void {
    const { log, clock } = this.#context.deps;
    // Denied like one that is gone: resolving it tells more.
    if (isDenial(error)) return log.debug('table-not-polled', { table, error });
    const passes = error instanceof PushError && error.spec.retry === 'backoff';
    if (!passes && !isOfOneTable(error)) {
      this.#failed ??= { error };
      return;
    }
    this.#failures++;
    if (isOfOneTable(error) && this.#failures < MOST_IN_A_ROW) return log.debug('table-not-polled', { table, error });
    // Polls that were under way when a pause began are victims of the same trouble.
    if (clock.monotonicMs() < this.#resumeMs) return;
    const pauseMs = backoffMs(this.#pauses++, { ...BACKOFF, random: systemRandom() });
    this.#resumeMs = clock.monotonicMs() + pauseMs;
    log.warn('polls-paused', { failures: this.#failures, resumeInMs: pauseMs, error });
  }

  /** Until something is due and there is room for it. */
  async #rest(most: number, signal: AbortSignal): Promise<void> {
    const { schedule, deps } = this.#context;
    const nowMs = deps.clock.monotonicMs();
    const nextMs = Math.max(this.#resumeMs, schedule.nextMs(nowMs) ?? Number.POSITIVE_INFINITY);
    const rung = new AbortController();
    const waited = AbortSignal.any([signal, rung.signal]);
    const waits = [this.#bell.rung(waited)];
    if (this.#underWay.size < most && nextMs !== Number.POSITIVE_INFINITY)
      waits.push(deps.clock.sleep(Math.max(LEAST_SLEEP_MS, nextMs - nowMs), waited));
    await Promise.race(waits);
    rung.abort();
  }
}

/** Whether the table was committed to, or created anew. */
const differ = (a: KnownTable, b: KnownTable): boolean =>
  a.metadataLocation !== b.metadataLocation || a.tableUuid !== b.tableUuid;
