import type { Policy } from '../core/policy.ts';
import { keyOf, tableOf, type TableKey } from '../core/table.ts';
import type { ThrottleOptions } from '../core/throttle.ts';
import { nextTimestamp } from '../core/timestamp.ts';
import type { Entry, EntryRecord, ParkCode, TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Target } from '../polaris/target.ts';
import { PushError } from '../errors/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { Gate } from '../runtime/gate.ts';
import type { Log } from '../runtime/log.ts';
import type { Random } from '../runtime/random.ts';
import { Driver } from './driver.ts';
import type { Emit, PipelineEvent } from './events.ts';

/** What became of one table on one target. */
export type Fate =
  /** Polaris holds what the source has, or has nothing to hold. */
  | { readonly kind: 'settled' }
  /** Another try alone doesn't help: `code` is explained in the error catalogue. */
  | { readonly kind: 'parked'; readonly code: ParkCode; readonly detail: string }
  /** The time is up, or source or target can't serve anybody at the moment. */
  | { readonly kind: 'unfinished'; readonly detail: string };

export type StatelessParts = {
  readonly target: Target;
  readonly connector: Pick<Connector, 'resolve'>;
  /** A ledger that knows nothing; it's disposed of at the end. */
  readonly openLedger: () => Ledger;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly policy: Policy;
  readonly concurrency: ThrottleOptions;
  /** If more tables than this are to be dropped, none is: each is parked as DROP_HELD. Undefined: no limit. */
  readonly maxDrops: number | undefined;
  readonly emit: Emit;
};

/** `stop`: take nothing more up, let what is under way end. `kill`: end that, too. */
export type TimeLimit = { readonly stop: AbortSignal; readonly kill: AbortSignal };

/** Asked for what Polaris serves of a table that the source lacks. No table has it, so the answer is never `this`. */
const NO_LOCATION = 'none:';
/** After each delivery the source is read again; a table that changed this often in a row is left for later. */
const MAX_ROUNDS = 10;

/**
 * Brings the tables to what the source holds, without a memory of what was delivered before: Polaris is asked what it
 * serves instead. The lanes, and so the rules, are those of `run`. Every delivery is followed by another read: of two
 * deliveries of one table at the same time, by whatever clocks, the one that sends last sees what the source holds by
 * then. Each table has a fate; nothing is thrown for what a table, the source or Polaris answers.
 */
export async function deliverStateless(
  tables: readonly TableIdentifier[],
  parts: StatelessParts,
  time: TimeLimit,
): Promise<ReadonlyMap<TableKey, Fate>> {
  await using delivery = new StatelessDelivery(parts, time);
  // Without the await it would be disposed of before it has begun.
  return await delivery.deliver(tables);
}

class StatelessDelivery implements AsyncDisposable {
  readonly #parts: StatelessParts;
  readonly #ledger: Ledger;
  readonly #driver: Driver;
  readonly #done = new AbortController();
  /** The time is up, the target is down, or the driver has failed: nothing more can be delivered. */
  readonly #until: AbortSignal;
  readonly #kill: AbortSignal;
  readonly #running: Promise<void>;
  readonly #asked = new Set<TableKey>();
  readonly #overBudget = new Set<TableKey>();
  /** Admitted since the source was last read for them. */
  readonly #unverified = new Set<TableKey>();
  readonly #problems = new Map<TableKey, string>();
  /** What makes it pointless to go on, if anything does. */
  #hopeless: string | undefined;
  #sourceProblem: string | undefined;
  readonly #over = new AbortController();

  constructor(parts: StatelessParts, { stop, kill }: TimeLimit) {
    this.#parts = parts;
    this.#kill = kill;
    this.#ledger = parts.openLedger();
    this.#until = AbortSignal.any([stop, kill, this.#over.signal]);
    this.#driver = new Driver({
      ...parts,
      connector: { resolve: (tables, signal) => this.#resolve(tables, signal) },
      ledger: this.#ledger,
      // What Polaris already serves is found out by asking, as no ledger says it.
      policy: { ...parts.policy, adopt: true },
      budget: undefined,
      emit: (event) => {
        this.#note(event);
        parts.emit(event);
      },
    });
    this.#running = this.#driver.run(AbortSignal.any([this.#until, this.#done.signal]), kill);
    this.#running.catch(() => this.#over.abort()); // deliver() tells
  }

  async deliver(tables: readonly TableIdentifier[]): Promise<ReadonlyMap<TableKey, Fate>> {
    const keys = new Set(tables.map(keyOf));
    await this.#hint(keys);
    const vanished = await this.#heldButAbsent(keys);
    const { maxDrops } = this.#parts;
    if (maxDrops !== undefined && vanished.length > maxDrops) {
      for (const key of vanished) this.#overBudget.add(key);
    } else if (vanished.length > 0 && !this.#until.aborted) {
      await this.#ledger.append(vanished.flatMap((key) => heldSomewhere(this.#driver.name, tableOf(key))));
      await this.#hint(vanished);
    }
    for (let round = 0; round < MAX_ROUNDS && this.#unverified.size > 0 && !this.#until.aborted; round++) {
      const again = [...this.#unverified];
      this.#unverified.clear();
      await this.#hint(again);
    }

    await this.#end();

    return new Map([...keys].map((key) => [key, this.#fateOf(key)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#done.abort();
    await Promise.allSettled([this.#running]);
    await this.#ledger[Symbol.asyncDispose]();
  }

  /** Resolves when the lanes of these tables have nothing left to do, or nothing more can be done. */
  async #hint(keys: Iterable<TableKey>): Promise<void> {
    if (this.#until.aborted) return;
    await this.#driver.changed([...keys].map((key) => ({ table: tableOf(key) })));

    await this.#driver.settled(this.#until);
  }

  /** Lets what is under way end, and rejects with what broke the driver. */
  async #end(): Promise<void> {
    this.#done.abort();
    await this.#running;
  }

  /** Of the tables that the source lacks, those that Polaris serves, by whomever it was told of them. */
  async #heldButAbsent(keys: Iterable<TableKey>): Promise<TableKey[]> {
    const { target, policy, log, concurrency } = this.#parts;
    const absent = [...keys].filter((key) => policy.drops !== 'never' && isAbsent(this.#entry(key)));
    const gate = new Gate(() => concurrency.initial);
    const held = await Promise.all(
      absent.map(async (key) => {
        await gate.enter();
        try {
          if (this.#until.aborted) return [];
          const served = await target.serves(tableOf(key), NO_LOCATION, this.#kill);
          this.#asked.add(key);
          return served === 'nothing' ? [] : [key];
        } catch (error) {
          this.#problems.set(key, error instanceof Error ? error.message : String(error));
          if (!this.#kill.aborted) log.warn('probe-failed', { target: target.name, error });
          return [];
        } finally {
          gate.leave();
        }
      }),
    );
    return held.flat();
  }

  /** A denial is not mended by asking again while somebody pays for the waiting. */
  async #resolve(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<readonly TableState[]> {
    try {
      return await this.#parts.connector.resolve(tables, signal);
    } catch (error) {
      this.#sourceProblem = error instanceof Error ? error.message : String(error);
      if (error instanceof PushError && error.spec.retry !== 'backoff') this.#giveUp(this.#sourceProblem);
      throw error;
    }
  }

  #giveUp(why: string): void {
    this.#hopeless ??= why;
    this.#over.abort();
  }

  #note(event: PipelineEvent): void {
    if (event.kind === 'target-down') this.#giveUp(event.detail);
    if (event.kind !== 'notified') return;
    const { notification, outcome } = event;
    const key = keyOf(notification.table);
    if (outcome.kind !== 'admitted') this.#problems.set(key, outcome.message);
    else if (notification.type !== 'VALIDATE') this.#unverified.add(key);
  }

  #fateOf(key: TableKey): Fate {
    const entry = this.#entry(key);
    if (this.#overBudget.has(key)) {
      const detail = `${this.#overBudget.size} tables would be dropped at once, more than ${this.#parts.maxDrops}.`;
      return { kind: 'parked', code: 'DROP_HELD', detail };
    }
    if (entry === undefined || entry.settled < entry.seen || entry.open !== undefined)
      return unfinished(
        this.#problems.get(key) ??
          this.#hopeless ??
          this.#sourceProblem ??
          'The time was up before the source and Polaris answered.',
      );
    if (entry.parked !== undefined) return { kind: 'parked', code: entry.parked.code, detail: entry.parked.detail };
    if (this.#unverified.has(key))
      return unfinished('It was delivered, but changed again or was not read again in time.');
    if (isAbsent(entry) && !this.#asked.has(key) && this.#parts.policy.drops !== 'never')
      return unfinished(this.#problems.get(key) ?? 'The time was up before Polaris said whether it holds the table.');
    return { kind: 'settled' };
  }

  #entry(key: TableKey): Entry | undefined {
    return this.#ledger.entry(this.#driver.name, tableOf(key));
  }
}

const unfinished = (detail: string): Fate => ({ kind: 'unfinished', detail });

/** The source was read and holds no such table, and nothing was sent: with no memory, that is not the end of it. */
const isAbsent = (entry: Entry | undefined): boolean =>
  entry !== undefined &&
  entry.seen > 0 &&
  entry.settled === entry.seen &&
  entry.delivered === undefined &&
  entry.skipped === undefined &&
  entry.parked === undefined;

/** What the ledger would say if it knew that Polaris holds the table, though not at which location. */
function heldSomewhere(target: string, table: TableIdentifier): readonly EntryRecord[] {
  const notification = { type: 'UPDATE', table, timestamp: nextTimestamp(undefined, 0) } as const;
  return [
    { kind: 'intent', target, table, notification },
    { kind: 'outcome', target, table, outcome: 'served' },
  ];
}
