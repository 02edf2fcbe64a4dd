import { seededRandom } from '../../src/runtime/random.ts';

/** Picks a whole number in [0, bound). The only source of chance in a simulated run, so its picks are the run. */
export type Choose = (bound: number) => number;

type Digit = { value: number; readonly bound: number };

/** The sequence of choices of one run, and the next one, like an odometer. */
class Odometer {
  #digits: Digit[] = [];
  #at = 0;

  readonly choose: Choose = (bound) => {
    const digit = (this.#digits[this.#at] ??= { value: 0, bound });
    this.#at++;
    return digit.value;
  };

  /** False: there is no other sequence. */
  advance(): boolean {
    const digits = this.#digits.slice(0, this.#at);
    while (digits.length > 0) {
      const last = digits.at(-1)!;
      if (last.value + 1 < last.bound) break;
      digits.pop();
    }
    this.#digits = digits;
    this.#at = 0;
    const last = digits.at(-1);
    if (last === undefined) return false;
    last.value++;
    return true;
  }
}

/** Runs every sequence of choices once, and returns how many there were. */
export function exhaust(run: (choose: Choose) => void): number {
  const odometer = new Odometer();
  for (let runs = 1; ; runs++) {
    run(odometer.choose);
    if (!odometer.advance()) return runs;
  }
}

/** The same of runs that take time. */
export async function exhaustAsync(run: (choose: Choose) => Promise<void>): Promise<number> {
  const odometer = new Odometer();
  for (let runs = 1; ; runs++) {
    await run(odometer.choose);
    if (!odometer.advance()) return runs;
  }
}

/** A long run from a seed: the same seed, the same run. */
export function chosenBySeed(seed: number): Choose {
  const random = seededRandom(seed);
  return (bound) => Math.floor(random() * bound);
}
