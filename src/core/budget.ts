import type { TableKey } from './table.ts';
import type { EpochMillis } from './types.ts';

export type BudgetOptions = {
  /** So many may vanish whatever the size of the catalog. */
  readonly floor: number;
  /** Or so large a part of the tables that are delivered, from 0 to 1. */
  readonly share: number;
  /** Within this time, ms. */
  readonly perMs: number;
};

/**
 * How many tables may vanish before a human must look. It counts distinct names that vanished within `perMs`, less those
 * that came back, so a pipeline that drops and re-creates its tables never hits it. A name that may go may go again:
 * a retried DROP costs nothing. Deterministic: time comes in as an argument.
 */
export class DropBudget {
  readonly #options: BudgetOptions;
  /** Names that were let go, and when. In order of time. */
  readonly #spent = new Map<TableKey, EpochMillis>();
  /** Names over the budget. Time alone doesn't release them: a human does, or their return. */
  readonly #held = new Set<TableKey>();
  readonly #released = new Set<TableKey>();
  #closed = false;

  constructor(options: BudgetOptions) {
    this.#options = options;
  }

  /** Whether this table, gone from the source, may be dropped now. `delivered` is how many tables the target holds. */
  mayDrop(table: TableKey, delivered: number, nowMs: EpochMillis): boolean {
    if (this.#released.has(table) || this.#spent.has(table)) return true;
    if (this.#held.has(table)) return false;
    if (this.#closed) {
      this.#held.add(table);
      return false;
    }
    this.#forget(nowMs);
    const { floor, share } = this.#options;
    // The share is one of the tables that were there before this spell of DROPs.
    if (this.#spent.size < Math.max(floor, Math.floor(share * (delivered + this.#spent.size)))) {
      this.#spent.set(table, nowMs);
      return true;
    }
    this.#held.add(table);
    return false;
  }

  /** The table is there: if it had vanished, it doesn't count any more. */
  cameBack(table: TableKey): void {
    this.#spent.delete(table);
    this.#held.delete(table);
    this.#released.delete(table);
  }

  /** What the ledger knows from before a restart: DROPs that were sent, oldest first, and those that were held. */
  restore(sent: Iterable<readonly [TableKey, EpochMillis]>, held: Iterable<TableKey>): void {
    for (const [table, atMs] of sent) this.#spent.set(table, atMs);
    for (const table of held) this.#held.add(table);
  }

  /** While it is closed, everything that vanishes is held: what vanished may never have been there. */
  setClosed(closed: boolean): void {
    this.#closed = closed;
  }

  /** A human let these DROPs go; each may be sent once the source has said again that the table is absent. */
  release(tables: Iterable<TableKey>): void {
    for (const table of tables) {
      this.#held.delete(table);
      this.#released.add(table);
    }
  }

  #forget(nowMs: EpochMillis): void {
    for (const [table, atMs] of this.#spent) {
      if (nowMs - atMs <= this.#options.perMs) break;
      this.#spent.delete(table);
    }
  }
}
