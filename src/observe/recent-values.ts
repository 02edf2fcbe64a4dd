import type { Quantiles } from './snapshot.ts';

/** So many are enough for a 99th percentile that isn't the maximum. */
const SIZE = 1_000;

/** The last values of something, in a fixed amount of memory. */
export class RecentValues {
  readonly #values = new Float64Array(SIZE);
  #seen = 0;

  add(value: number): void {
    this.#values[this.#seen++ % SIZE] = value;
  }

  /** By the nearest rank; undefined before the first value. */
  get quantiles(): Quantiles | undefined {
    const count = Math.min(this.#seen, SIZE);
    if (count === 0) return undefined;
    const sorted = this.#values.slice(0, count).toSorted();
    const at = (share: number) => sorted[Math.ceil(share * count) - 1] ?? 0;
    return { count, p50: at(0.5), p99: at(0.99) };
  }
}
