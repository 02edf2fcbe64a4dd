import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { Change, EpochMillis } from '../../src/core/types.ts';
import { Bell } from '../../src/runtime/bell.ts';

/** What one table is hinted at, and who waits for that to be recorded. */
export type Hint = {
  readonly change: Change;
  /** When the oldest of what it stands for happened, if that was told. */
  readonly at: EpochMillis | undefined;
  readonly onRecorded: readonly (() => void)[];
};

export type HintDetails = { readonly at?: EpochMillis | undefined; readonly onRecorded?: (() => void) | undefined };

/**
 * Hints that wait to be handed over, one entry a table, so its size is bounded by the tables'. What was handed over and not
 * recorded comes back, also when the watch ended in between.
 */
export class HintQueue {
  readonly #bell = new Bell();
  readonly #waiting = new Map<TableKey, Hint>();

  get size(): number {
    return this.#waiting.size;
  }

  has(key: TableKey): boolean {
    return this.#waiting.has(key);
  }

  add(change: Change, { at, onRecorded }: HintDetails = {}): void {
    this.#put({ change, at, onRecorded: onRecorded === undefined ? [] : [onRecorded] });
    this.#bell.ring();
  }

  /** Resolves when there is something to take, or when `signal` aborts. */
  async filled(signal: AbortSignal): Promise<void> {
    while (this.#waiting.size === 0 && !signal.aborted) await this.#bell.rung(signal);
  }

  /** The oldest, out of the queue. Each batch is to be recorded or given back. */
  take(most: number): readonly Hint[] {
    const batch = [...this.#waiting].slice(0, most);
    for (const [key] of batch) this.#waiting.delete(key);
    return batch.map(([, hint]) => hint);
  }

  recorded(batch: readonly Hint[]): void {
    for (const { onRecorded } of batch) for (const tell of onRecorded) tell();
  }

  /** Before what came since. */
  giveBack(batch: readonly Hint[]): void {
    const since = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const hint of [...batch, ...since]) this.#put(hint);
    this.#bell.ring();
  }

  #put(hint: Hint): void {
    const key = keyOf(hint.change.table);
    const before = this.#waiting.get(key);
    if (before === undefined) return void this.#waiting.set(key, hint);
    const [earlier, later] = [before.change, hint.change];
    // A renaming tells more than what followed under the old name: the read will show that anyway.
    const change = earlier.kind === 'renamed' && later.kind !== 'renamed' ? earlier : later;
    const times = [before.at, hint.at].filter((at) => at !== undefined);
    const at = times.length === 0 ? undefined : Math.min(...times);
    if (earlier.kind === 'renamed' && later.kind === 'renamed' && keyOf(earlier.to) !== keyOf(later.to)) {
      // Before the other, so that it is recorded when that one is.
      this.#waiting.delete(key);
      this.#put({ change: { kind: 'upserted', table: earlier.to }, at, onRecorded: [] });
    }
    this.#waiting.set(key, { change, at, onRecorded: [...before.onRecorded, ...hint.onRecorded] });
  }
}
