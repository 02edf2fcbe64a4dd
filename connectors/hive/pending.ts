import assert from 'node:assert/strict';
import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { Change, EpochMillis, TableIdentifier } from '../../src/core/types.ts';
import type { Id } from './names.ts';
import type { Lsn } from './lsn.ts';

/** What is handed over at once: `end` is that of the last transaction in it, `committedAt` that of the oldest, epoch ms. */
export type Taken = {
  readonly changes: readonly Change[];
  /** Tables whose names only the metastore knows. */
  readonly unknown: readonly Id[];
  readonly end: Lsn;
  readonly committedAt: EpochMillis;
};

/**
 * Hints of committed transactions that the consumer has not fetched yet. One table has one entry, however often it
 * changed, so a slow consumer costs memory by the number of tables and never by traffic.
 */
export class PendingChanges {
  readonly #changes = new Map<TableKey, Change>();
  readonly #unknown = new Set<Id>();
  #end: Lsn | undefined;
  #committedAt: EpochMillis | undefined;

  /** True if there is nothing to hand over. */
  get empty(): boolean {
    return this.#changes.size === 0 && this.#unknown.size === 0;
  }

  /** Takes in one committed transaction; `end` is its commit record's end. */
  add(changes: readonly Change[], unknown: readonly Id[], end: Lsn, committedAt: EpochMillis): void {
    if (changes.length === 0 && unknown.length === 0) return;
    for (const change of changes) this.#merge(change);
    for (const id of unknown) this.#unknown.add(id);
    this.#end = end;
    this.#committedAt ??= committedAt;
  }

  /** Hands everything over. Throws if there is nothing. */
  take(): Taken {
    assert(
      this.#end !== undefined && this.#committedAt !== undefined,
      'Hints come with the transaction that gave them.',
    );
    const taken = {
      changes: [...this.#changes.values()],
      unknown: [...this.#unknown],
      end: this.#end,
      committedAt: this.#committedAt,
    };
    this.#changes.clear();
    this.#unknown.clear();
    this.#end = undefined;
    this.#committedAt = undefined;
    return taken;
  }

  /**
   * A later hint of one table takes the place of an earlier one and moves to the end. A rename speaks of two names, so it
   * never gives way: `upserted` or `dropped` of its old name add nothing to it, as that name is read anyway.
   */
  #merge(change: Change): void {
    const key = keyOf(change.table);
    const earlier = this.#changes.get(key);
    if (earlier?.kind === 'renamed') {
      if (change.kind !== 'renamed') return;
      if (keyOf(earlier.to) !== keyOf(change.to)) this.#upsert(earlier.to);
    }
    this.#changes.delete(key);
    this.#changes.set(key, change);
  }

  #upsert(table: TableIdentifier): void {
    const key = keyOf(table);
    if (!this.#changes.has(key)) this.#changes.set(key, { kind: 'upserted', table });
  }
}
