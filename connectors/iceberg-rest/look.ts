import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { Bell } from '../../src/runtime/bell.ts';
import { isDenial } from './failure.ts';
import type { HintQueue } from './hints.ts';
import type { RestParts } from './parts.ts';
import type { PollSchedule } from './schedule.ts';

export type LookContext = RestParts & {
  readonly hints: HintQueue;
  readonly schedule: PollSchedule;
};

/** The part of all requests that looks may have; with more namespaces than that is enough for, they are rarer. */
const SHARE = 0.25;
/** Between two looks when one is asked for, ms. */
const SOON_MS = 5_000;
/** Of all requests, what is left to reads of changed tables. */
const RESERVE = 0.05;

type Names = {
  readonly tables: ReadonlyMap<TableKey, TableIdentifier>;
  /** Namespaces that could not be listed, as JSON: nothing is said about their tables. */
  readonly denied: ReadonlySet<string>;
  readonly requests: number;
};

/** Looks at the names of all tables every `poll.list`: which are new, and which are gone. */
export class NameLooks {
  readonly #context: LookContext;
  readonly #bell = new Bell();
  /** New names that were handed over, and which no read has made known since. */
  readonly #told = new Set<TableKey>();
  readonly #onLooked: () => void;
  #soon = false;

  /** @param onLooked Called after each look, as tables may have been scheduled. */
  constructor(context: LookContext, onLooked: () => void) {
    this.#context = context;
    this.#onLooked = onLooked;
  }

  /** The next look comes before its time. */
  lookSoon(): void {
    this.#soon = true;
    this.#bell.ring();
  }

  /** Looks again and again, until `signal` aborts. Throws when looking can't succeed before somebody acts. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, deps } = this.#context;
    const { requestsPerSecond, listMs } = config.poll;
    let failures = 0;
    while (!signal.aborted) {
      const beganMs = deps.clock.monotonicMs();
      let periodMs = listMs;
      this.#soon = false;
      try {
        const names = await this.#names(signal);
        if (failures > 0) deps.log.info('names-listed-again', { failures });
        failures = 0;
        this.#compare(names, beganMs);
        periodMs = Math.max(listMs, (names.requests / (requestsPerSecond * SHARE)) * 1000);
        this.#budget(names.requests / (periodMs / 1000));
        this.#onLooked();
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof PushError) || error.spec.retry !== 'backoff') throw error;
        deps.log.warn('names-not-listed', { failures: ++failures, retryInMs: listMs, error });
      }
      await this.#wait(beganMs + periodMs, Math.min(SOON_MS, periodMs), signal);
    }
  }

  async #names(signal: AbortSignal): Promise<Names> {
    const { catalog, deps } = this.#context;
    const tables = new Map<TableKey, TableIdentifier>();
    const denied = new Set<string>();
    let requests = 1;
    for await (const namespace of catalog.namespaces(signal)) {
      // One for its tables, one for its own namespaces.
      requests += 2;
      try {
        for await (const page of catalog.tables(namespace, signal))
          for (const table of page ?? []) tables.set(keyOf(table), table);
      } catch (error) {
        signal.throwIfAborted();
        if (!isDenial(error)) throw error;
        denied.add(JSON.stringify(namespace));
        deps.log.debug('namespace-not-listed', { namespace, error });
      }
    }
    return { tables, denied, requests };
  }

  #compare({ tables, denied }: Names, beganMs: number): void {
    const { known, hints, schedule } = this.#context;
    const told = this.#told;
    for (const [key, table] of tables) {
      const read = known.get(table);
      if (read !== undefined) {
        told.delete(key);
        schedule.add(key, read.readAtMs);
      } else if (!told.has(key)) {
        hints.add({ kind: 'upserted', table }, { onRecorded: () => told.add(key) });
      }
    }
    for (const key of told) if (!tables.has(key)) told.delete(key);
    for (const { table, readAtMs } of known) {
      const isGone = !tables.has(keyOf(table)) && readAtMs < beganMs;
      if (isGone && !denied.has(JSON.stringify(table.namespace))) hints.add({ kind: 'dropped', table });
    }
  }

  /** What looks and reads of changed tables leave is for polls. */
  #budget(looksPerSecond: number): void {
    const { config, schedule } = this.#context;
    const all = config.poll.requestsPerSecond;
    const left = all * (1 - RESERVE) - looksPerSecond - schedule.changesPerSecond;
    schedule.setPollsPerSecond(Math.max(all * SHARE, left));
  }

  /** Until then, or shortly when a look is asked for. */
  async #wait(untilMs: number, soonMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context.deps;
    const endedMs = clock.monotonicMs();
    while (!signal.aborted) {
      const leftMs = (this.#soon ? Math.min(untilMs, endedMs + soonMs) : untilMs) - clock.monotonicMs();
      if (leftMs <= 0) return;
      const rung = new AbortController();
      const waited = AbortSignal.any([signal, rung.signal]);
      await Promise.race([clock.sleep(leftMs, waited), this.#bell.rung(waited)]);
      rung.abort();
    }
  }
}
