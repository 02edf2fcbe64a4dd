import { keyOf } from '../../src/core/table.ts';
import type { Delivery } from '../../src/connector/connector.ts';
import { HintQueue, type Hint } from './hints.ts';
import { Hook } from './hook.ts';
import { NameLooks } from './look.ts';
import type { RestParts } from './parts.ts';
import { Polls } from './polls.ts';
import type { TableReader } from './reader.ts';
import { PollSchedule } from './schedule.ts';

export type WatchParts = RestParts & { readonly reader: TableReader };

/** Tables in one delivery. */
const BATCH = 1_000;

/**
 * Follows a catalog: polls of known tables, looks at the names, and what the webhook announces. What was learned of the
 * tables, and what was found and not recorded, outlives a watch that ends.
 */
export class RestWatch implements Disposable {
  readonly #parts: WatchParts;
  readonly #hints = new HintQueue();
  readonly #schedule: PollSchedule;
  readonly #looks: NameLooks;
  readonly #polls: Polls;
  readonly #hook: Hook;

  /** Takes the webhook's path at once, where there is one; what comes while nothing watches is refused for the moment. */
  constructor(parts: WatchParts) {
    const { requestsPerSecond, maxAgeMs } = parts.config.poll;
    this.#parts = parts;
    this.#schedule = new PollSchedule({ pollsPerSecond: requestsPerSecond, maxAgeMs });
    const context = { ...parts, hints: this.#hints, schedule: this.#schedule };
    this.#looks = new NameLooks(context, () => this.#polls.wake());
    this.#polls = new Polls(context);
    this.#hook = new Hook({ ...context, lookSoon: () => this.#looks.lookSoon() });
  }

  /** Tables that are polled in turn. */
  get tables(): number {
    return this.#schedule.size;
  }

  /** One at a time. Throws `PushError` when the catalog can't be followed before somebody acts. */
  async *watch(signal: AbortSignal): AsyncGenerator<Delivery, void, undefined> {
    if (signal.aborted) return;
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    let failed: { readonly error: unknown } | undefined;
    const fail = (error: unknown) => {
      failed ??= { error };
      over.abort();
    };
    const { known } = this.#parts;
    for (const { table, readAtMs } of [...known, ...known.allTold]) this.#schedule.add(keyOf(table), readAtMs);
    const services = [this.#looks.run(until), this.#polls.run(until)];
    for (const service of services) service.catch(fail);
    this.#hook.open(until);
    let unrecorded: readonly Hint[] = [];
    try {
      for (;;) {
        await this.#hints.filled(until);
        if (until.aborted) break;
        const batch = this.#hints.take(BATCH);
        unrecorded = batch;
        yield this.#delivery(batch, () => {
          unrecorded = [];
        });
      }
    } finally {
      over.abort();
      this.#hints.giveBack(unrecorded);
      await Promise.allSettled(services);
    }
    if (failed !== undefined && !signal.aborted) throw failed.error;
  }

  #delivery(batch: readonly Hint[], onRecorded: () => void): Delivery {
    const times = batch.flatMap(({ at }) => at ?? []);
    return {
      changes: batch.map(({ change }) => change),
      committedAt: times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b)),
      ack: async () => {
        onRecorded();
        this.#hints.recorded(batch);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#hook[Symbol.dispose]();
  }
}
