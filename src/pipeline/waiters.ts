import type { TableKey } from '../core/table.ts';

/** Who waits for the work of a moment: how many hints of which lanes that was. */
type Waiter = { readonly open: Map<TableKey, number>; readonly done: () => void };

/** Those who wait until all the work that there was at some moment is settled or parked. */
export class Waiters {
  readonly #waiters = new Set<Waiter>();

  /** Resolves when of each lane in `open` so many hints are covered, or `signal` aborts. */
  async wait(open: Map<TableKey, number>, signal: AbortSignal): Promise<void> {
    if (open.size === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const waiter = { open, done };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', done);
    });
  }

  /** So many hints of a lane are covered now. */
  tell(key: TableKey, covered: number): void {
    for (const { open, done } of this.#waiters) {
      if (covered >= (open.get(key) ?? Number.POSITIVE_INFINITY)) open.delete(key);
      if (open.size === 0) done();
    }
  }
}
