import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { Change, EpochMillis, TableIdentifier } from '../../src/core/types.ts';
import type { Id } from './names.ts';
import type { Lsn } from './lsn.ts';

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

  get unknown(): ReadonlySet<Id> {
    return this.#unknown;
  }

  /** Takes in one committed transaction; `end` is its commit record's end. */
  add(changes: readonly Change[], unknown: readonly Id[], end: Lsn, committedAt: EpochMillis): void {
    if (changes.length === 0 && unknown.length === 0) return;
    for (const change of changes) this.#merge(change);
    for (const id of unknown) this.#unknown.add(id);
    this.#end = end;
    this.#committedAt ??= committedAt;
  }

  /** The name of an unknown id has been looked up: `table` is undefined if it has gone or isn't in our catalog. */
  resolved(id: Id, table: TableIdentifier | undefined): void {
    if (this.#unknown.delete(id) && table !== undefined) this.#merge({ kind: 'upserted', table });
  }

  /** Hands everything over. `end` is undefined if no transaction was taken in. */
  take(): {
    readonly changes: readonly Change[];
    readonly end: Lsn | undefined;
    readonly committedAt: EpochMillis | undefined;
  } {
    const taken = { changes: [...this.#changes.values()], end: this.#end, committedAt: this.#committedAt };
    this.#changes.clear();
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
