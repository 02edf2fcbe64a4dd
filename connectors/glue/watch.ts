import { backoffMs } from '../../src/core/backoff.ts';
import type { Change, EpochMillis } from '../../src/core/types.ts';
import type { ConnectorDeps, Delivery } from '../../src/connector/connector.ts';
import { PushError, type ErrorCode } from '../../src/errors/errors.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { Announced } from './announced.ts';
import { Bell } from '../../src/runtime/bell.ts';
import type { GlueConfig } from './config.ts';
import { HeldMessages, type Held } from './held.ts';
import { changesOf, type EventIntake, type Taken } from './intake.ts';
import type { Meter } from './meter.ts';
import type { QueueMemory } from './prepare.ts';
import { BATCH, type Queue, type Received } from './queue.ts';

export type WatchContext = {
  readonly config: GlueConfig;
  readonly deps: ConnectorDeps;
  readonly queue: Queue;
  readonly meter: Meter;
  readonly events: EventIntake;
  readonly announced: Announced;
  readonly memory: QueueMemory;
  readonly receives: Receives;
};

/**
 * Receives that wait at the queue, over the ends of watches. One that is cut leaves SQS with a message for nobody, hidden
 * until its visibility timeout is over; so a watch that ends leaves them to end by themselves, and what they still bring is
 * given back at once. Only the end of the connector cuts them.
 */
export class Receives implements AsyncDisposable {
  readonly #cut = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get signal(): AbortSignal {
    return this.#cut.signal;
  }

  add(loop: Promise<void>): void {
    const settled = loop.catch(() => {}).then(() => void this.#underWay.delete(settled));
    this.#underWay.add(settled);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within(GRACE_MS, Promise.all(this.#underWay), this.#clock);
    this.#cut.abort();
    await within(CLOSE_MS, Promise.all(this.#underWay), this.#clock);
  }
}

/** What passes by itself: the queue keeps the messages, so nothing is lost by waiting. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set(['SQS_UNREACHABLE', 'SQS_THROTTLED', 'SQS_TOO_MANY_IN_FLIGHT']);
const BACKOFF = { baseMs: 200, maxMs: 20_000 };
/** Before a receive under way is cut: its messages may be on their way, and would be hidden in vain. */
const GRACE_MS = 250;
/** How long a session may take to end when SQS doesn't answer; what isn't given back by then comes when its visibility timeout is over. */
const CLOSE_MS = 3_000;

/** Yields what the queue's events hint at, until `signal` aborts. Throws `PushError` when the queue can't be used. */
export async function* watchQueue(
  context: WatchContext,
  signal: AbortSignal,
): AsyncGenerator<Delivery, void, undefined> {
  if (signal.aborted) return;
  const session = new WatchSession(context, signal);
  try {
    session.start();
    for (;;) {
      const delivery = await session.next();
      if (delivery === undefined) return;
      yield delivery;
    }
  } finally {
    await session.close();
  }
}

type Waiting = { readonly held: Held; readonly taken: Taken & { kind: 'hints' }; readonly sinceMs: number };

class WatchSession {
  readonly #context: WatchContext;
  readonly #signal: AbortSignal;
  /** Ends the loops of this session: with `#signal`, or when it closes. */
  readonly #over = new AbortController();
  readonly #bell = new Bell();
  readonly #held: HeldMessages;
  readonly #waiting = new Map<string, Waiting>();
  readonly #delivered = new Set<Waiting>();
  /** The last receive brought as much as one can, so there is more. */
  #flood = false;
  #failed: { readonly error: unknown } | undefined;

  constructor(context: WatchContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
    const { queue, config, deps, meter } = context;
    this.#held = new HeldMessages(queue, config.visibilityTimeoutMs, { deps, meter });
  }

  start(): void {
    const { config, announced, receives } = this.#context;
    announced.onDue(() => this.#bell.ring());
    const loops = Array.from({ length: config.pollers }, (_, i) => this.#poll(i === 0));
    for (const loop of loops) receives.add(loop);
    for (const loop of [...loops, this.#keepHidden()]) loop.catch((error: unknown) => this.#fail(error));
  }

  /** The next delivery; undefined when the signal aborts. */
  async next(): Promise<Delivery | undefined> {
    const { announced } = this.#context;
    for (;;) {
      if (this.#signal.aborted) return undefined;
      if (this.#failed !== undefined) throw this.#failed.error;
      if (announced.anyDue || this.#waiting.size > 0) {
        await this.#linger();
        if (this.#signal.aborted) return undefined;
        return this.#deliver();
      }
      await this.#bell.rung(this.#signal);
    }
  }

  /** Stops receiving, and gives back whatever is not acknowledged. */
  async close(): Promise<void> {
    const { deps, announced } = this.#context;
    announced.onDue(() => {});
    this.#over.abort();
    this.#bell.ring();
    const left = [...this.#waiting.values(), ...this.#delivered];
    this.#waiting.clear();
    for (const { taken } of left) this.#context.events.forget(taken.ids);
    await within(CLOSE_MS, this.#held.release(left.map(({ held }) => held)), deps.clock);
  }

  /** Messages come ten at a time; those that belong together are gathered. A FIFO queue gives more only when these are deleted. */
  async #linger(): Promise<void> {
    const { config, deps, queue } = this.#context;
    if (queue.fifo || config.lingerMs === 0) return;
    const until = (this.#waiting.values().next().value?.sinceMs ?? deps.clock.monotonicMs()) + config.lingerMs;
    while (!this.#isFull && this.#failed === undefined && !this.#signal.aborted) {
      const leftMs = until - deps.clock.monotonicMs();
      if (leftMs <= 0) return;
      const rung = new AbortController();
      const waited = AbortSignal.any([rung.signal, this.#signal]);
      await Promise.race([deps.clock.sleep(leftMs, waited), this.#bell.rung(waited)]);
      rung.abort();
    }
  }

  #deliver(): Delivery {
    const { announced, meter } = this.#context;
    const batch = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiting of batch) this.#delivered.add(waiting);
    const hints = batch.flatMap(({ taken }) => taken.hints);
    const due = announced.takeDue();
    meter.add('reread', due.length);
    const again = due.map((table): Change => ({ kind: 'upserted', table }));
    const told = changesOf(hints);
    const times = hints.flatMap(({ at }) => at ?? []);
    const committedAt: EpochMillis | undefined =
      times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b));
    let acked = false;
    return {
      changes: changesOf([...again, ...told].map((change) => ({ change, at: undefined }))),
      committedAt,
      ack: async () => {
        if (acked) return;
        acked = true;
        await this.#acknowledge(batch);
      },
    };
  }

  async #acknowledge(batch: readonly Waiting[]): Promise<void> {
    for (const waiting of batch) {
      this.#context.events.recorded(waiting.taken.ids);
      this.#delivered.delete(waiting);
    }
    await this.#held.delete(batch.map(({ held }) => held));
    this.#bell.ring(); // there is room again
  }

  get #isFull(): boolean {
    return this.#held.size >= this.#context.config.buffer;
  }

  /**
   * Receives messages while there is room for them. One receive waits at the queue at any time; the others join it only
   * while there are more messages than it can bring, as each that waits for nothing costs as much as one that finds some.
   */
  async #poll(first: boolean): Promise<void> {
    const { queue, deps, receives } = this.#context;
    let failures = 0;
    while (!this.#over.signal.aborted) {
      if (this.#isFull || (!first && !this.#flood)) {
        await this.#bell.rung(this.#over.signal);
        continue;
      }
      const askedMs = deps.clock.monotonicMs();
      try {
        const messages = await queue.receive(first, receives.signal);
        if (failures > 0) deps.log.info('queue-recovered', { failures });
        failures = 0;
        this.#flood = messages.length === BATCH;
        if (this.#over.signal.aborted) return await this.#giveBack(messages, askedMs);
        await this.#take(messages, askedMs);
      } catch (error) {
        if (receives.signal.aborted) return;
        if (!(error instanceof PushError) || !TRANSIENT.has(error.code)) throw error;
        const retryInMs = backoffMs(failures++, { ...BACKOFF, random: systemRandom() });
        deps.log.warn('queue-not-reached', { failures, retryInMs: Math.round(retryInMs), error });
        await deps.clock.sleep(retryInMs, this.#over.signal);
      }
    }
  }

  async #giveBack(messages: readonly Received[], askedMs: number): Promise<void> {
    await this.#held.release(messages.flatMap((message) => this.#held.take(message, askedMs) ?? []));
  }

  async #take(messages: readonly Received[], askedMs: number): Promise<void> {
    const { events, deps } = this.#context;
    const nothing: Held[] = [];
    for (const message of messages) {
      const held = this.#held.take(message, askedMs);
      if (held === undefined) continue;
      const taken = events.take(message);
      if (taken.kind === 'hints') this.#waiting.set(held.id, { held, taken, sinceMs: deps.clock.monotonicMs() });
      else if (taken.kind === 'nothing') nothing.push(held);
      else await this.#leave(message, held, taken.detail);
    }
    if (messages.length > 0) this.#bell.ring();
    await this.#held.delete(nothing);
  }

  /** Neither deleted nor kept: its receives are counted, and the redrive policy takes it out of the way. */
  async #leave({ id, receives, body }: Received, held: Held, detail: string): Promise<void> {
    const { deps, meter, queue, memory } = this.#context;
    meter.add('unreadable');
    deps.log.warn('message-unreadable', {
      message: id,
      receives,
      detail,
      begins: body.slice(0, 80),
      fix: memory.redrives
        ? 'It goes to the dead-letter queue when its receives are used up; see there what sent it.'
        : 'Give the queue a redrive policy, or it comes again until its retention is over.',
    });
    // Hidden, it holds up its group on a FIFO queue; shown at once, it uses up its receives sooner.
    if (queue.fifo && memory.redrives) await this.#held.release([held]);
    else this.#held.abandon(held);
  }

  async #keepHidden(): Promise<void> {
    const { config, deps } = this.#context;
    while (!this.#over.signal.aborted) {
      await deps.clock.sleep(config.visibilityTimeoutMs / 4, this.#over.signal);
      if (!this.#over.signal.aborted) await this.#held.extend();
    }
  }

  #fail(error: unknown): void {
    this.#failed ??= { error };
    this.#bell.ring();
  }
}

/** Waits for something that never fails, but not for longer than that. */
async function within(ms: number, what: Promise<unknown>, clock: Clock): Promise<void> {
  const done = new AbortController();
  await Promise.race([what, clock.sleep(ms, done.signal)]);
  done.abort();
}
