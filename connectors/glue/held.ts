import { backoffMs } from '../../src/core/backoff.ts';
import { PushError } from '../../src/errors/errors.ts';
import { Gate } from '../../src/runtime/gate.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { ConnectorDeps } from '../../src/connector/connector.ts';
import type { Meter } from './meter.ts';
import { BATCH, type Queue, type Received, type Receipt, type Refused } from './queue.ts';

/** A message that is hidden from others for us: waiting here, or handed on and not deleted yet. */
export type Held = {
  readonly id: string;
  receipt: string;
  /** Of the clock that never steps. */
  readonly receivedMs: number;
  hiddenUntilMs: number;
  /** SQS says that it is not ours any more; others may have it, which does no harm. */
  lost: boolean;
};

/** SQS hides a message for 12 hours after its receive, at most, however often that is extended. */
const LONGEST_HIDDEN_MS = 12 * 3_600_000;
const DELETE_ATTEMPTS = 5;
const CALLS_AT_ONCE = 8;

/**
 * The messages that this process holds: keeps them hidden for as long as it does, deletes them, and gives them back. SQS
 * answers for each message of a batch, so parts of every call may fail.
 */
export class HeldMessages {
  readonly #queue: Queue;
  readonly #deps: ConnectorDeps;
  readonly #meter: Meter;
  readonly #visibilityMs: number;
  readonly #held = new Map<string, Held>();
  readonly #gate = new Gate(() => CALLS_AT_ONCE);

  constructor(queue: Queue, visibilityMs: number, { deps, meter }: { deps: ConnectorDeps; meter: Meter }) {
    this.#queue = queue;
    this.#visibilityMs = visibilityMs;
    this.#deps = deps;
    this.#meter = meter;
  }

  get size(): number {
    return this.#held.size;
  }

  /**
   * Takes in a received message.
   * @param askedMs When it was asked for, by the clock that never steps: it is hidden from then on, at the earliest.
   * @returns undefined if it is held already and was delivered once more: the newest receipt takes the place of the older.
   */
  take({ id, receipt }: Received, askedMs: number): Held | undefined {
    const known = this.#held.get(id);
    const hiddenUntilMs = askedMs + this.#visibilityMs;
    if (known !== undefined) {
      Object.assign(known, { receipt, hiddenUntilMs, lost: false });
      return undefined;
    }
    const held: Held = { id, receipt, receivedMs: askedMs, hiddenUntilMs, lost: false };
    this.#held.set(id, held);
    return held;
  }

  /** Extends whatever is hidden for less than half of its time, waiting here or not. Failures are told of, and tried again. */
  async extend(): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    const due = [...this.#held.values()].filter(
      ({ lost, hiddenUntilMs, receivedMs }) =>
        !lost &&
        hiddenUntilMs - nowMs <= this.#visibilityMs / 2 &&
        nowMs - receivedMs + this.#visibilityMs < LONGEST_HIDDEN_MS,
    );
    await this.#inBatches(due, async (batch) => {
      const askedMs = this.#deps.clock.monotonicMs();
      const refused = await this.#hide(batch, this.#visibilityMs / 1000);
      if (refused === undefined) return;
      for (const held of batch) {
        if (refused.some(({ id }) => id === held.id)) held.lost = true;
        else held.hiddenUntilMs = askedMs + this.#visibilityMs;
      }
      this.#meter.add('extended', batch.length - refused.length);
    });
  }

  /** Gives messages back, so that others, or a later start, get them at once. Never fails. */
  async release(messages: readonly Held[]): Promise<void> {
    for (const { id } of messages) this.#held.delete(id);
    await this.#inBatches(
      messages.filter(({ lost }) => !lost),
      async (batch) => {
        const refused = await this.#hide(batch, 0);
        if (refused !== undefined) this.#meter.add('released', batch.length - refused.length);
      },
    );
  }

  /** Lets go of a message without giving it back: it comes again when its visibility timeout is over. */
  abandon({ id }: Held): void {
    this.#held.delete(id);
  }

  /**
   * Deletes messages. One that SQS doesn't delete although asked several times is told of: it comes again, which costs a
   * read. Throws `PushError` if nothing can be deleted at all.
   */
  async delete(messages: readonly Held[]): Promise<void> {
    await this.#inBatches(messages, async (batch) => {
      let left: readonly Receipt[] = batch;
      for (let attempt = 0; left.length > 0; attempt++) {
        if (attempt === DELETE_ATTEMPTS) break;
        if (attempt > 0)
          await this.#deps.clock.sleep(backoffMs(attempt, { baseMs: 100, maxMs: 2_000, random: systemRandom() }));
        const refused = await this.#queue.delete(left);
        this.#meter.add('deleted', left.length - refused.length);
        left = refused.filter(({ senderFault }) => !senderFault);
        const expired = refused.filter(({ senderFault }) => senderFault);
        if (expired.length > 0) this.#notDeleted(expired);
      }
      if (left.length > 0) this.#notDeleted(left);
      for (const { id } of batch) this.#held.delete(id);
    });
  }

  #notDeleted(messages: readonly (Receipt & { readonly code?: string })[]): void {
    this.#deps.log.warn('messages-not-deleted', {
      messages: messages.length,
      code: messages[0]?.code,
      detail: 'They come again, which costs a read of their tables and nothing else.',
    });
  }

  /** Undefined if the call failed as a whole, which is told of. */
  async #hide(batch: readonly Receipt[], seconds: number): Promise<readonly Refused[] | undefined> {
    try {
      return await this.#queue.hide(batch, seconds);
    } catch (error) {
      const fix = error instanceof PushError ? error.fix : undefined;
      this.#deps.log.warn(seconds === 0 ? 'messages-not-released' : 'visibility-not-extended', {
        messages: batch.length,
        error,
        fix,
      });
      return undefined;
    }
  }

  async #inBatches(messages: readonly Held[], work: (batch: readonly Held[]) => Promise<void>): Promise<void> {
    const batches: (readonly Held[])[] = [];
    for (let start = 0; start < messages.length; start += BATCH) batches.push(messages.slice(start, start + BATCH));
    await Promise.all(
      batches.map(async (batch) => {
        await this.#gate.enter();
        try {
          await work(batch);
        } finally {
          this.#gate.leave();
        }
      }),
    );
  }
}
