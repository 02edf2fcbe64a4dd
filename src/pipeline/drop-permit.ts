import type { DropBudget } from '../core/budget.ts';
import { awaited, heldBy, isCertain, vanished } from '../core/decide.ts';
import type { Lane } from '../core/lane.ts';
import { keyOf, type TableKey } from '../core/table.ts';
import type { Entry, TableIdentifier, TableState } from '../core/types.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Clock } from '../runtime/clock.ts';

export type DropPermitParts = {
  readonly target: string;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly budget: DropBudget;
  /** Whether a DROP that only follows a rename needs no permission. */
  readonly renamesAreFree: boolean;
};

/** Which tables of a target may vanish now: asks the budget for those that are really lost, and for each of them once. */
export class DropPermit {
  readonly #parts: DropPermitParts;
  #restored = false;

  constructor(parts: DropPermitParts) {
    this.#parts = parts;
  }

  /** Whether the source's state may lead to a DROP. `delivered` is how many tables the target holds. */
  allows({ entry, released }: Lane, state: TableState, delivered: number): boolean {
    const { budget, clock, renamesAreFree } = this.#parts;
    const key = keyOf(entry.table);
    if (state.kind === 'present') budget.cameBack(key);
    if (!vanished(entry, state)) return true;
    // Nothing is dropped before the new name has settled, and only then can a rename be told from a loss.
    if (awaited(entry, state, released) !== undefined) return true;
    if (renamesAreFree && this.#livesOn(entry)) return true;
    if (!this.#restored) this.#restore();
    return budget.mayDrop(key, delivered, clock.now());
  }

  /** While it is on, every DROP but those of renames is held. */
  fence(on: boolean): void {
    this.#parts.budget.setClosed(on);
  }

  release(tables: readonly TableIdentifier[]): void {
    this.#parts.budget.release(tables.map(keyOf));
  }

  /** A table that Polaris holds under its new name is not lost, however many are renamed at once. */
  #livesOn(entry: Entry): boolean {
    const { target, ledger } = this.#parts;
    const incarnation = heldBy(entry)?.incarnation;
    const moved = entry.after === undefined ? undefined : ledger.entry(target, entry.after);
    if (incarnation === undefined || moved === undefined) return false;
    return isCertain(moved) && heldBy(moved)?.incarnation === incarnation;
  }

  /** A restart forgets neither the DROPs of a moment ago nor those that wait for a human. */
  #restore(): void {
    this.#restored = true;
    const { target, ledger, clock, budget } = this.#parts;
    const nowMs = clock.now();
    const dropped: { readonly key: TableKey; readonly atMs: number; readonly incarnation: string | undefined }[] = [];
    const held: TableKey[] = [];
    const living = new Set<string | undefined>();
    for (const entry of ledger.entries(target)) {
      const key = keyOf(entry.table);
      const { delivered, parked } = entry;
      living.add(heldBy(entry)?.incarnation);
      if (parked?.code === 'DROP_HELD') held.push(key);
      else if (delivered?.type === 'DROP') {
        // After a climb over a foreign timestamp, or by the clock of the source, it may lie in the future.
        const atMs = Math.min(delivered.timestamp, nowMs);
        dropped.push({ key, atMs, incarnation: delivered.incarnation });
      }
    }
    // What lives on under another name was renamed, not lost.
    const lost = dropped.filter(({ incarnation }) => incarnation === undefined || !living.has(incarnation));
    const inTime = lost.toSorted((a, b) => a.atMs - b.atMs);
    budget.restore(
      inTime.map(({ key, atMs }) => [key, atMs]),
      held,
    );
  }
}
