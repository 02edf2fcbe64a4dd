import type { Lsn } from './lsn.ts';

/** Looks that are kept; with one every ten seconds those of more than an hour, before they are thinned out. */
const MOST_LOOKS = 512;

type Look = { readonly lsn: Lsn; readonly atMs: number };

/**
 * How long the log has been ahead of what is durable here. A position of the log has no time, so each look at the server
 * remembers where its log ended, and when: the first look that found more than what is durable now tells since when.
 */
export class LagMeter {
  /** Ends of the log beyond what is durable, oldest first. */
  #looks: Look[] = [];

  /**
   * @param end Where the log ends now.
   * @param durable Everything before it is recorded here.
   * @returns ms; at most the time between two looks less than it is.
   */
  look(end: Lsn, durable: Lsn, atMs: number): number {
    // After a failover or a restore the log ends earlier, and positions mean something else.
    if (end < (this.#looks.at(-1)?.lsn ?? 0n)) this.#looks = [];
    this.#looks.push({ lsn: end, atMs });
    this.#looks = this.#looks.filter(({ lsn }) => lsn > durable);
    const [oldest] = this.#looks;
    if (this.#looks.length > MOST_LOOKS) this.#looks = this.#looks.filter((_, i) => i % 2 === 0);
    return oldest === undefined ? 0 : atMs - oldest.atMs;
  }
}
