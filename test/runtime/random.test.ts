import { expect, test } from 'vitest';
import { seededRandom, systemRandom } from '../../src/runtime/random.ts';

const drawn = (seed: number, n: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: n }, () => random());
};

test('a seed repeats its numbers, another one gives others', () => {
  expect(drawn(1, 100)).toEqual(drawn(1, 100));
  expect(drawn(1, 100)).not.toEqual(drawn(2, 100));
});

test.for([0, 1, 2 ** 31, -7])('the numbers of seed %i lie in [0, 1), evenly', (seed) => {
  const numbers = drawn(seed, 20_000);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  const tenths = Array.from({ length: 10 }, (_, i) => numbers.filter((n) => Math.floor(n * 10) === i).length);
  for (const count of tenths) expect(Math.abs(count - 2000)).toBeLessThan(250);
});

test('chance itself lies in [0, 1), too', () => {
  for (let i = 0; i < 1000; i++) {
    const number = systemRandom();
    expect(number >= 0 && number < 1).toBe(true);
  }
});
