import type { CommandEvent } from '../quickstart/child.ts';
import { unlessAborted } from '../quickstart/interruption.ts';
import type { Told } from './report.ts';

/** What the service said of one event. */
export type Decided = Told & { readonly kind: 'plan' | 'skip' };

type Waiting = { readonly isIt: (decided: Decided) => boolean; readonly resolve: (decided: Decided) => void };

/** All that the service has decided, and who waits for a decision. */
export class Decisions {
  readonly all: Decided[] = [];
  /** Told of each. */
  onDecided: ((decided: Decided) => void) | undefined;
  readonly #waiting = new Set<Waiting>();
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  readonly take = ({ event, ...told }: CommandEvent): void => {
    if (event !== 'plan' && event !== 'skip') return;
    const decided = { kind: event, ...told } as unknown as Decided;
    this.all.push(decided);
    this.onDecided?.(decided);
    for (const waiting of this.#waiting) {
      if (!waiting.isIt(decided)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(decided);
    }
  };

  /** The first decision that fits, past ones included. Throws when there is none within `withinMs`, and on abort. */
  async until(what: string, isIt: (decided: Decided) => boolean, withinMs = 20_000): Promise<Decided> {
    this.#signal.throwIfAborted();
    const past = this.all.find(isIt);
    if (past !== undefined) return past;
    const { promise, resolve, reject } = Promise.withResolvers<Decided>();
    const waiting = { isIt, resolve };
    this.#waiting.add(waiting);
    const timer = setTimeout(() => reject(new NoDecision(`No decision on ${what} in ${withinMs / 1000} s.`)), withinMs);
    try {
      return await unlessAborted(promise, this.#signal);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
    }
  }

  /** The decision on a state of a table: for it, or for a later one of which the service knew already. */
  on(table: string, metadataLocation: string): Promise<Decided> {
    return this.until(`${table} at ${metadataLocation}`, (one) => one.table === table && isOf(one, metadataLocation));
  }
}

const isOf = ({ metadata_location: told, plan }: Decided, location: string): boolean =>
  told === location || plan?.metadataLocation === location;

/** The service said nothing although it should have. */
export class NoDecision extends Error {
  override readonly name = 'NoDecision';
}
