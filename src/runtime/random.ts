/** The only door to chance: uniform in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();

/** A repeatable sequence (mulberry32): the same seed, the same numbers. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
