import { PollSchedule } from '../../../connectors/iceberg-rest/schedule.ts';
import { keyOf, type TableKey } from '../../../src/core/table.ts';
import { seededRandom, type Random } from '../../../src/runtime/random.ts';

/** Changes per ms of each table. Rates may depend on the time, ms. */
export type Rates = (nowMs: number) => readonly number[];

export type Simulation = {
  readonly rates: Rates;
  readonly requestsPerSecond: number;
  readonly maxAgeMs: number;
  readonly forMs: number;
  /** Changes before that don't count: the schedule begins without any knowledge. */
  readonly warmUpMs: number;
  readonly seed: number;
};

export type Staleness = {
  readonly polls: number;
  readonly pollsPerSecond: number;
  /** Polls for each change that was made. */
  readonly pollsPerChange: number;
  /** From a change to the poll that finds it, ms. */
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
};

/** `alike`: all the same. `hot`: 1 % of the tables have 80 % of all changes. `few`: 1 % have all. `zipf`: the n-th has 1/n. */
export function ratesOf(
  kind: 'alike' | 'hot' | 'few' | 'zipf',
  tables: number,
  changesPerMinute: number,
): readonly number[] {
  const total = changesPerMinute / 60_000;
  const hot = Math.max(1, Math.round(tables / 100));
  const harmonic = Array.from({ length: tables }, (_, i) => 1 / (i + 1)).reduce((a, b) => a + b, 0);
  return Array.from({ length: tables }, (_, i) => {
    if (kind === 'alike') return total / tables;
    if (kind === 'zipf') return total / (i + 1) / harmonic;
    const share = kind === 'hot' ? 0.8 : 1;
    return ((1 - share) * total) / tables + (i < hot ? (share * total) / hot : 0);
  });
}

/** Who is polled when: the tables by turns, at even distances. */
export function byTurns(simulation: Simulation): Staleness {
  const catalog = new ChangingCatalog(simulation);
  const stepMs = 1000 / simulation.requestsPerSecond;
  const tables = simulation.rates(0).length;
  for (let turn = 0; turn * stepMs < simulation.forMs; turn++) catalog.poll(turn % tables, turn * stepMs);
  return catalog.staleness();
}

/** The same budget, as the schedule has it. */
export function byRates(simulation: Simulation): Staleness {
  const catalog = new ChangingCatalog(simulation);
  const { requestsPerSecond, maxAgeMs, forMs } = simulation;
  const schedule = new PollSchedule({ pollsPerSecond: requestsPerSecond, maxAgeMs });
  const keys = simulation.rates(0).map((_, i): TableKey => keyOf({ namespace: ['db'], name: String(i) }));
  const indexes = new Map(keys.map((key, i) => [key, i]));
  for (const key of keys) schedule.add(key, 0);
  for (let nowMs = 0; nowMs < forMs;) {
    const key = schedule.take(nowMs);
    if (key === undefined) {
      nowMs = Math.max(nowMs + 1, schedule.nextMs(nowMs) ?? forMs);
      continue;
    }
    schedule.answered(key, { atMs: nowMs, changed: catalog.poll(indexes.get(key) ?? 0, nowMs) });
    nowMs += 1000 / requestsPerSecond;
  }
  return catalog.staleness();
}

/** Rates are looked at anew so often. */
const SEGMENT_MS = 600_000;

/** Tables that change by chance, in virtual time: a Poisson process each. */
class ChangingCatalog {
  readonly #simulation: Simulation;
  readonly #unseen: number[][];
  readonly #changes: readonly { readonly atMs: number; readonly table: number }[];
  readonly #delays: number[] = [];
  #next = 0;
  #polls = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#unseen = simulation.rates(0).map(() => []);
    this.#changes = changesOf(simulation, seededRandom(simulation.seed));
  }

  /** Whether the table changed since it was polled before. */
  poll(table: number, nowMs: number): boolean {
    for (
      let change = this.#changes[this.#next];
      change !== undefined && change.atMs <= nowMs;
      change = this.#changes[this.#next]
    ) {
      this.#unseen[change.table]?.push(change.atMs);
      this.#next++;
    }
    const unseen = this.#unseen[table] ?? [];
    if (nowMs >= this.#simulation.warmUpMs) this.#polls++;
    for (const atMs of unseen) if (atMs >= this.#simulation.warmUpMs) this.#delays.push(nowMs - atMs);
    return unseen.splice(0).length > 0;
  }

  staleness(): Staleness {
    const delays = this.#delays.toSorted((a, b) => a - b);
    const at = (part: number) => delays[Math.floor(part * (delays.length - 1))] ?? Number.NaN;
    const { forMs, warmUpMs } = this.#simulation;
    return {
      polls: this.#polls,
      pollsPerSecond: (this.#polls / (forMs - warmUpMs)) * 1000,
      pollsPerChange: this.#polls / delays.length,
      meanMs: delays.reduce((a, b) => a + b, 0) / delays.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
  }
}

function changesOf({ rates, forMs }: Simulation, random: Random) {
  const changes: { atMs: number; table: number }[] = [];
  for (let beginMs = 0; beginMs < forMs; beginMs += SEGMENT_MS) {
    const sums: number[] = [];
    for (const rate of rates(beginMs)) sums.push((sums.at(-1) ?? 0) + rate);
    const total = sums.at(-1) ?? 0;
    const endMs = Math.min(forMs, beginMs + SEGMENT_MS);
    for (let atMs = beginMs - Math.log(1 - random()) / total; atMs < endMs; atMs -= Math.log(1 - random()) / total)
      changes.push({ atMs, table: firstAbove(sums, random() * total) });
  }
  return changes;
}

/** The index of the first of the growing numbers that is greater. */
function firstAbove(sums: readonly number[], value: number): number {
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
