import type { EventHead } from './outbox.ts';

type Listener = (ready: readonly EventHead[]) => void;

/** Who wants to know of events that became ready to leave, by sink. */
export class OutboxListeners {
  readonly #bySink = new Map<string, Set<Listener>>();

  add(sink: string, listener: Listener): Disposable {
    const listeners = this.#bySink.get(sink) ?? new Set();
    this.#bySink.set(sink, listeners.add(listener));
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  }

  tell(ready: ReadonlyMap<string, readonly EventHead[]>): void {
    for (const [sink, heads] of ready) {
      if (heads.length > 0) for (const listener of this.#bySink.get(sink) ?? []) listener(heads);
    }
  }
}
