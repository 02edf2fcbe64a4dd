import type { QueueFigures } from '../../src/connector/figures.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { Queue } from './queue.ts';

/** SQS's own numbers lag by as much, and each look is a request that costs. */
const KEEP_MS = 60_000;

/** How full the queue is, looked up once a minute at most. */
export class QueueMeter {
  readonly #queue: Pick<Queue, 'attributes'>;
  readonly #clock: Clock;
  #last: { readonly atMs: number; readonly figures: QueueFigures } | undefined;

  constructor(queue: Pick<Queue, 'attributes'>, { clock }: { readonly clock: Clock }) {
    this.#queue = queue;
    this.#clock = clock;
  }

  /** Undefined when it can't be asked or doesn't say. Throws only the abort's reason. */
  async measure(signal: AbortSignal): Promise<QueueFigures | undefined> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#last !== undefined && nowMs - this.#last.atMs < KEEP_MS) return this.#last.figures;
    const attributes = await this.#queue.attributes(signal).catch((): Readonly<Record<string, string>> => {
      signal.throwIfAborted();
      // The other figures don't come from the queue, and whoever receives from it tells that it fails.
      return {};
    });
    const count = (name: string) => Number(attributes[name]);
    const figures = {
      visible: count('ApproximateNumberOfMessages'),
      inFlight: count('ApproximateNumberOfMessagesNotVisible'),
      delayed: count('ApproximateNumberOfMessagesDelayed'),
    };
    if (Object.values(figures).some(Number.isNaN)) return undefined;
    this.#last = { atMs: nowMs, figures };
    return figures;
  }
}
