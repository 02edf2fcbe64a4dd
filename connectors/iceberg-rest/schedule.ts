import type { TableKey } from '../../src/core/table.ts';
import { DueHeap } from '../../src/runtime/due-heap.ts';

export type ScheduleOptions = {
  /** How many polls a second may be spent on all tables together. */
  readonly pollsPerSecond: number;
  /** Every table is due at least so often, as far as the polls suffice for that. */
  readonly maxAgeMs: number;
};

/** What is known of one table's changes. Times are ms of a clock that never steps back; rates are per ms. */
type Row = {
  readonly key: TableKey;
  /** When it was last read. */
  seenMs: number;
  /** When it was last read or could not be: the interval counts from there. */
  triedMs: number;
  /** Changes that were found, and the time in which they were; both fade with `HALF_LIFE_MS`. */
  changes: number;
  watchedMs: number;
  /** As `watchedMs`, fading twice as fast: what the spread of `changes` goes by. */
  spreadMs: number;
  /** Changes per ms, estimated. */
  rate: number;
  /** The part of an interval after which it is due: 1, but for a table that hasn't been polled yet. */
  phase: number;
  dueMs: number;
  /** Taken and not answered yet, or removed. */
  away: boolean;
};

/** Counts only as long as the row is due then; it may have been rescheduled. */
type Due = { readonly row: Row; readonly atMs: number };

/** What was found so long ago counts half. Long enough to know hourly tables, short enough to forget yesterday's load. */
const HALF_LIFE_MS = 4 * 3_600_000;
/** No table is polled more often, however few there are. */
const MIN_INTERVAL_MS = 1_000;
/** Before anything is known: a change an hour, as if that had been seen for this long. */
const PRIOR_RATE = 1 / 3_600_000;
const PRIOR_MS = 600_000;
/** Of the prior's shape: 0.05 expects a few tables to have nearly all changes, 20 expects all tables to be alike. */
const SHAPES = { min: 0.05, initial: 1, max: 20 };
/**
 * The part of the polls that all tables share alike. The mean alone would leave quiet tables to `maxAgeMs`, and their few
 * changes would wait for that long; so none is polled less than half as often as it would be by turns.
 */
const EQUAL_SHARE = 0.5;
const REBALANCE_MS = 5_000;
/** A rebalance looks at every table a few times, so there are fewer of them where there are more tables. */
const TABLES_PER_REBALANCE_MS = 20;
/** Spreads first polls evenly, however many come at once: multiples of it fill the unit interval without clusters. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * Which table to poll next, so that changes are found as early as a budget allows. Time is given, nothing is read or awaited.
 *
 * A change of a table that is polled every `t` waits `t/2` on average; so with rates of change r and a given sum of
 * frequencies, the mean over all changes is least when each table's frequency is proportional to √r (Lagrange: r/f² is the
 * same for all). Rates are estimated by a Gamma-Poisson model whose prior is fitted to all tables together: where tables
 * are alike, one change more or less means little; where a few have all changes, a single one means much.
 */
export class PollSchedule {
  readonly #rows = new Map<TableKey, Row>();
  readonly #options: ScheduleOptions;
  #pollsPerMs: number;
  readonly #heap = new DueHeap<Due>();
  #added = 0;
  #prior = { shape: SHAPES.initial, rate: PRIOR_RATE };
  /** Frequency = scale · √rate, within bounds. */
  #scale = 0;
  #floor = 0;
  #balancedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#pollsPerMs = options.pollsPerSecond / 1000;
  }

  get size(): number {
    return this.#rows.size;
  }

  has(key: TableKey): boolean {
    return this.#rows.has(key);
  }

  keys(): Iterable<TableKey> {
    return this.#rows.keys();
  }

  /** From the next rebalance on. */
  setPollsPerSecond(pollsPerSecond: number): void {
    this.#pollsPerMs = pollsPerSecond / 1000;
  }

  /** A table that was read at `seenMs`. Does nothing for one that is scheduled. */
  add(key: TableKey, seenMs: number): void {
    if (this.#rows.has(key)) return;
    const row: Row = {
      key,
      seenMs,
      triedMs: seenMs,
      changes: 0,
      watchedMs: 0,
      spreadMs: 0,
      rate: this.#prior.rate,
      phase: (this.#added++ * GOLDEN) % 1,
      dueMs: 0,
      away: false,
    };
    this.#rows.set(key, row);
    row.dueMs = this.#due(row);
    this.#heap.push({ row, atMs: row.dueMs });
  }

  remove(key: TableKey): void {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    row.away = true;
    this.#rows.delete(key);
  }

  /** The table that has been due for longest at `nowMs`, if one is. It isn't due again before it is answered. */
  take(nowMs: number): TableKey | undefined {
    this.#rebalance(nowMs);
    const first = this.#first();
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.#heap.pop();
    first.row.away = true;
    return first.row.key;
  }

  /** When `take` may have something, at the latest; undefined when nothing is scheduled. */
  nextMs(nowMs: number): number | undefined {
    this.#rebalance(nowMs);
    if (this.#rows.size === 0) return undefined;
    return Math.min(this.#first()?.atMs ?? Number.POSITIVE_INFINITY, this.#balancedMs + this.#periodMs);
  }

  /** A table was read at `atMs`, by a poll or for another reason, and had or hadn't changed since it was read before. */
  answered(key: TableKey, { atMs, changed }: { readonly atMs: number; readonly changed: boolean }): void {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    const gapMs = Math.max(0, atMs - row.seenMs);
    const fade = 2 ** (-gapMs / HALF_LIFE_MS);
    row.changes = row.changes * fade + (changed ? atLeastOne(row.rate * gapMs) : 0);
    row.watchedMs = row.watchedMs * fade + gapMs;
    row.spreadMs = row.spreadMs * fade ** 2 + gapMs;
    row.rate = this.#estimate(row);
    row.seenMs = Math.max(row.seenMs, atMs);
    this.#reschedule(row, atMs);
  }

  /** A poll of the table came to nothing: it is due again an interval after `atMs`, and nothing was learned. */
  failed(key: TableKey, atMs: number): void {
    const row = this.#rows.get(key);
    if (row !== undefined) this.#reschedule(row, atMs);
  }

  /** How often the table is polled at present, ms; undefined for one that isn't scheduled. */
  intervalMs(key: TableKey): number | undefined {
    const row = this.#rows.get(key);
    return row === undefined ? undefined : this.#interval(row);
  }

  /** The expected changes per second of all tables together. */
  get changesPerSecond(): number {
    let rate = 0;
    for (const row of this.#rows.values()) rate += row.rate;
    return rate * 1000;
  }

  #estimate({ changes, watchedMs }: Row): number {
    const { shape, rate } = this.#prior;
    return Math.min(1 / MIN_INTERVAL_MS, (shape + changes) / (shape / rate + watchedMs));
  }

  #interval({ rate }: Row): number {
    return 1 / Math.min(1 / MIN_INTERVAL_MS, Math.max(this.#floor, this.#scale * Math.sqrt(rate)));
  }

  #due(row: Row): number {
    return row.triedMs + row.phase * this.#interval(row);
  }

  #reschedule(row: Row, triedMs: number): void {
    row.triedMs = Math.max(row.triedMs, triedMs);
    row.phase = 1;
    row.dueMs = this.#due(row);
    row.away = false;
    this.#heap.push({ row, atMs: row.dueMs });
  }

  get #periodMs(): number {
    return Math.max(REBALANCE_MS, this.#rows.size / TABLES_PER_REBALANCE_MS);
  }

  /** Fits prior and frequencies to what is known of all tables. */
  #rebalance(nowMs: number): void {
    if (nowMs < this.#balancedMs + this.#periodMs || this.#rows.size === 0) return;
    this.#balancedMs = nowMs;
    this.#prior = priorOf(this.#rows.values());
    const weights: number[] = [];
    for (const row of this.#rows.values()) {
      row.rate = this.#estimate(row);
      weights.push(Math.sqrt(row.rate));
    }
    const equal = this.#pollsPerMs / weights.length;
    this.#floor = Math.min(equal, Math.max(1 / this.#options.maxAgeMs, EQUAL_SHARE * equal));
    this.#scale = scaleOf(weights, this.#pollsPerMs, { min: this.#floor, max: 1 / MIN_INTERVAL_MS });
    const dues: Due[] = [];
    for (const row of this.#rows.values()) {
      if (row.away) continue;
      row.dueMs = this.#due(row);
      dues.push({ row, atMs: row.dueMs });
    }
    this.#heap.refill(dues);
  }

  /** The earliest that still counts. */
  #first(): Due | undefined {
    for (;;) {
      const { first } = this.#heap;
      if (first === undefined || (!first.row.away && first.row.dueMs === first.atMs)) return first;
      this.#heap.pop();
    }
  }
}

/** How many changes are to be expected in a time that brings `expected` of them on average, given that there was one. */
const atLeastOne = (expected: number): number => (expected < 1e-6 ? 1 : expected / -Math.expm1(-expected));

/**
 * The Gamma distribution of rates that fits what was found, by its moments: the mean is changes per time, and the variance is
 * what chance (Poisson) doesn't explain of the spread of the tables' changes.
 */
function priorOf(rows: Iterable<Row>): { readonly shape: number; readonly rate: number } {
  const all = [...rows];
  let [changes, watchedMs] = [PRIOR_RATE * PRIOR_MS, PRIOR_MS];
  for (const row of all) {
    changes += row.changes;
    watchedMs += row.watchedMs;
  }
  const rate = changes / watchedMs;
  let [excess, weight] = [0, 0];
  for (const row of all) {
    excess += (row.changes - rate * row.watchedMs) ** 2 - rate * row.spreadMs;
    weight += row.watchedMs ** 2;
  }
  // Too few changes tell nothing of how they are spread.
  if (changes < 10 || weight === 0) return { shape: SHAPES.initial, rate };
  const shape = rate ** 2 / Math.max(excess / weight, Number.MIN_VALUE);
  return { shape: Math.min(SHAPES.max, Math.max(SHAPES.min, shape)), rate };
}

/** The factor by which the weights, each within the bounds, sum up to `total`. */
function scaleOf(
  weights: readonly number[],
  total: number,
  bounds: { readonly min: number; readonly max: number },
): number {
  const sum = (scale: number) => {
    let all = 0;
    for (const weight of weights) all += Math.min(bounds.max, Math.max(bounds.min, scale * weight));
    return all;
  };
  const [smallest, largest] = weights.reduce(
    ([least, most], weight) => [Math.min(least, weight), Math.max(most, weight)],
    [Number.POSITIVE_INFINITY, 0],
  );
  // At the first all are at the lower bound, at the last all at the upper one.
  let [low, high] = [bounds.min / largest, bounds.max / smallest];
  if (sum(high) <= total) return high;
  for (let i = 0; i < 60 && high / low > 1.001; i++) {
    const middle = Math.sqrt(low * high);
    if (sum(middle) > total) high = middle;
    else low = middle;
  }
  return low;
}
