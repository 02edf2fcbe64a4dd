/** `random` is uniform in [0, 1). */
export type BackoffOptions = { readonly baseMs: number; readonly maxMs: number; readonly random: number };

/** Exponential with full jitter: uniform in [0, min(maxMs, baseMs × 2^attempts)). `attempts` counts the failures before this one. */
export const backoffMs = (attempts: number, { baseMs, maxMs, random }: BackoffOptions): number =>
  Math.floor(random * Math.min(maxMs, baseMs * 2 ** Math.min(attempts, 30)));
