import { seededRandom } from '../../src/runtime/random.ts';

/** Picks a whole number in [0, bound). The only source of chance in a simulated run, so its picks are the run. */
export type Choose = (bound: number) => number;

/** Runs every sequence of choices once, like an odometer, and returns how many there were. */
export function exhaust(run: (choose: Choose) => void): number {
  let digits: { value: number; bound: number }[] = [];
  for (let runs = 1; ; runs++) {
    let at = 0;
    run((bound) => {
      const digit = (digits[at] ??= { value: 0, bound });
      at++;
      return digit.value;
    });
    digits = digits.slice(0, at);
    for (let last = digits.at(-1); last !== undefined && last.value + 1 >= last.bound; last = digits.at(-1))
      digits.pop();
    const last = digits.at(-1);
    if (last === undefined) return runs;
    last.value++;
  }
}

/** A long run from a seed: the same seed, the same run. */
export function chosenBySeed(seed: number): Choose {
  const random = seededRandom(seed);
  return (bound) => Math.floor(random() * bound);
}
