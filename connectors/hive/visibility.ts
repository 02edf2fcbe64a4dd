/** How many of the latest transactions are remembered: they become visible nearly in the order of their commits. */
const REMEMBERED = 1_000;
const EPOCH = 1n << 32n;

/**
 * Transactions that the stream has delivered and a query may not see yet. PostgreSQL sends a commit as soon as its record
 * is on disk, but shows it to others a moment later, or much later where the commit waits for a synchronous standby. A
 * hint handed over in between would be answered with the state before it, and be lost.
 */
export class Unseen {
  readonly #xids = new Set<number>();

  get size(): number {
    return this.#xids.size;
  }

  /** `xid` as the protocol has it: the low 32 bits. */
  add(xid: number): void {
    this.#xids.add(xid >>> 0);
    if (this.#xids.size > REMEMBERED) for (const oldest of this.#xids) return void this.#xids.delete(oldest);
  }

  /** Forgets what a snapshot sees: the text of `pg_current_snapshot()`, `xmin:xmax:xip,xip,...` */
  seen(snapshot: string): void {
    const [, xmax, running] = /^[0-9]+:([0-9]+):([0-9,]*)$/.exec(snapshot) ?? [];
    if (xmax === undefined) throw new RangeError(`Not a snapshot: ${snapshot}`);
    const next = BigInt(xmax);
    const inProgress = new Set((running ?? '').split(','));
    for (const xid of this.#xids) {
      const full = widen(xid, next);
      if (full < next && !inProgress.has(String(full))) this.#xids.delete(xid);
    }
  }
}

/** The 64-bit transaction id that is nearest to `near` and ends in these 32 bits. */
function widen(xid: number, near: bigint): bigint {
  const candidate = (near & ~(EPOCH - 1n)) | BigInt(xid);
  if (candidate > near + EPOCH / 2n) return candidate - EPOCH;
  if (candidate + EPOCH / 2n < near) return candidate + EPOCH;
  return candidate;
}
