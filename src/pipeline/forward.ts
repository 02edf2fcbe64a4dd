import { backoffMs } from '../core/backoff.ts';
import { Breaker } from '../core/breaker.ts';
import { showTable, tableOf, type TableKey } from '../core/table.ts';
import { eventIdOf } from '../forward/cloud-event.ts';
import type { OutgoingEvent, Sink, SinkAnswer } from '../forward/sink.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { EventHead, OutboxEvent, OutboxRecord } from '../ledger/outbox.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Random } from '../runtime/random.ts';
import { Timers } from '../runtime/timers.ts';
import type { Emit } from './events.ts';

/** Different tables that must fail in a row before the sink itself is suspected. */
const BREAKER = { failures: 5, baseMs: 1_000, maxMs: 30_000 };
const BACKOFF = { baseMs: 500, maxMs: 30_000 };
/** However long a sink asks to be left alone: it may be wrong, and its events pile up. */
const MAX_RETRY_AFTER_MS = 300_000;
/** Events looked at in one go for tables that aren't busy. */
const PAGE = 256;
const PAGES = 4;
/** An event that failed so often in a row is worth somebody's attention. */
const LOUD_FAILURES = 5;

export type ForwarderParts = {
  readonly sink: Sink;
  /** Tries that an event gets while the sink takes others; then it is put aside. */
  readonly attempts: number;
  readonly ledger: Pick<Ledger, 'append' | 'outbox'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly emit: Emit;
};

/** A table whose events are being sent, in the order of their places: one at a time. */
type Lane = {
  readonly key: string;
  readonly target: string;
  readonly table: TableKey;
  phase: 'ready' | 'sending' | 'waiting';
  /** Of the event that the rest is about; another one may have taken its place. */
  timestamp: number;
  /** Failures in a row. */
  failures: number;
  /** Failures after each of which the sink took another event: only those speak against this one. */
  held: number;
  /** What the sink had taken at its last failure. */
  takenThen: number;
};

type Outgoing = { readonly lane: Lane; readonly event: OutboxEvent };

/**
 * Sends the events of one sink from the ledger's outbox, each until the sink has taken it. The oldest of a table first,
 * and no other one of that table before it is done with; different tables don't wait for each other. What the sink has
 * taken is sent again only when the process dies before that is durable.
 */
export class Forwarder {
  readonly #parts: ForwarderParts;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that may send, first come, first served. */
  readonly #ready = new Set<Lane>();
  readonly #timers: Timers<Lane>;
  readonly #breaker = new Breaker(BREAKER);
  readonly #failing = new Set<string>();
  readonly #kill = new AbortController();
  /** Every event up to this place was met, so its table has a lane while it waits. */
  #cursor = 0;
  /** Events that the sink has taken in this run. */
  #taken = 0;
  #sending = 0;
  /** Calls whose answers aren't recorded yet. */
  #open = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  readonly #idlers = new Set<() => void>();
  #pumping = false;
  #stopped = true;
  #ended: PromiseWithResolvers<void> | undefined;

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
    this.#timers = new Timers(parts.clock, (lane) => {
      if (lane.phase === 'waiting') this.#release(lane);
      this.#pump();
    });
  }

  get name(): string {
    return this.#parts.sink.name;
  }

  /**
   * Sends until `stop` aborts, then waits for the answers that are on their way; `kill` ends that, too. Rejects when the
   * ledger fails; a sink that fails is tried again.
   */
  async run(stop: AbortSignal, kill: AbortSignal): Promise<void> {
    const ended = Promise.withResolvers<void>();
    this.#ended = ended;
    this.#stopped = false;
    const onStop = () => {
      this.#stopped = true;
      this.#endIfDrained();
    };
    const onKill = () => {
      this.#stopped = true;
      this.#kill.abort();
      ended.resolve();
    };
    stop.addEventListener('abort', onStop, { once: true });
    kill.addEventListener('abort', onKill, { once: true });
    using _ = this.#parts.ledger.outbox.follow(this.name, (ready) => this.#told(ready));
    if (kill.aborted) onKill();
    else if (stop.aborted) onStop();
    this.#pump();
    try {
      await ended.promise;
    } finally {
      this.#stopped = true;
      this.#kill.abort();
      this.#timers.close();
      stop.removeEventListener('abort', onStop);
      kill.removeEventListener('abort', onKill);
    }
  }

  /** Resolves when all its events are taken, or wait for the sink to take some again; or when `signal` aborts. */
  async idle(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idlers.add(resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    this.#pump();
    await promise;
  }

  /** Events behind the cursor are met in their order; those before it came back to an old place. */
  #told(ready: readonly EventHead[]): void {
    for (const head of ready) if (head.id <= this.#cursor) this.#lane(head);
    this.#pump();
  }

  /** The lane of a table, ready if it is new. */
  #lane({ target, table }: EventHead): void {
    const key = `${target}/${table}`;
    if (this.#lanes.has(key)) return;
    const lane = { key, target, table, phase: 'ready' as const, ...untried(0, this.#taken) };
    this.#lanes.set(key, lane);
    this.#ready.add(lane);
  }

  #release(lane: Lane): void {
    lane.phase = 'ready';
    this.#ready.add(lane);
  }

  /** Once per turn of the event loop, so that what comes together goes together. */
  #pump(): void {
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#guard(() => this.#sendMore());
      if (this.#open > 0) return;
      for (const idler of this.#idlers) idler();
      this.#idlers.clear();
    });
  }

  #sendMore(): void {
    const { sink, clock } = this.#parts;
    while (!this.#stopped && this.#sending < sink.concurrency) {
      const nowMs = clock.monotonicMs();
      if (nowMs < this.#pausedUntilMs || !this.#breaker.admits(nowMs)) return;
      const isTrial = this.#breaker.state(nowMs) === 'half-open';
      const batch = this.#take(isTrial ? 1 : sink.batch);
      if (batch.length === 0) return this.#breaker.unused();
      this.#sending += 1;
      this.#open += 1;
      this.#send(batch).catch((error: unknown) => this.#break(error));
    }
  }

  /** The next events, of different tables. */
  #take(most: number): readonly Outgoing[] {
    const { ledger } = this.#parts;
    // Tables with many events mustn't keep others from being met.
    for (let pages = 0; pages < PAGES && this.#ready.size < PAGE && this.#meetMore();) pages += 1;
    const batch: Outgoing[] = [];
    while (batch.length < most) {
      const [lane] = this.#ready;
      if (lane === undefined) {
        if (!this.#meetMore()) break;
        continue;
      }
      this.#ready.delete(lane);
      const event = ledger.outbox.next(this.name, lane.target, lane.table);
      if (event === undefined) this.#lanes.delete(lane.key);
      else {
        if (event.timestamp !== lane.timestamp) Object.assign(lane, untried(event.timestamp, this.#taken));
        lane.phase = 'sending';
        batch.push({ lane, event });
      }
    }
    return batch;
  }

  /** Opens lanes for events behind the cursor. False when there are none. */
  #meetMore(): boolean {
    const heads = this.#parts.ledger.outbox.waiting(this.name, this.#cursor, PAGE);
    for (const head of heads) this.#lane(head);
    this.#cursor = heads.at(-1)?.id ?? this.#cursor;
    return heads.length > 0;
  }

  async #send(batch: readonly Outgoing[]): Promise<void> {
    const { sink, ledger, clock, emit } = this.#parts;
    const startedMs = clock.monotonicMs();
    const answers = await sink.send(batch.map(outgoing), this.#kill.signal).catch(failure);
    if (this.#kill.signal.aborted) return;
    const records = batch.flatMap((one, i) => this.#judge(one, Array.isArray(answers) ? answers[i] : answers));
    this.#sending -= 1;
    const events = records.filter(({ kind }) => kind === 'forwarded').length;
    if (events > 0) emit({ kind: 'forwarded', sink: this.name, events, tookMs: clock.monotonicMs() - startedMs });
    this.#pump();
    // Until this is durable, the outbox still has them.
    await ledger.append(records);
    this.#open -= 1;
    for (const { lane } of batch) if (lane.phase === 'sending') this.#release(lane);
    this.#pump();
    this.#endIfDrained();
  }

  /** What an answer leads to, and what of it is to be recorded. */
  #judge({ lane, event }: Outgoing, answer: SinkAnswer = NO_ANSWER): readonly OutboxRecord[] {
    const { id, timestamp } = event;
    switch (answer.kind) {
      case 'accepted':
        this.#taken += 1;
        this.#works();
        return [{ kind: 'forwarded', sink: this.name, id, timestamp }];
      case 'refused':
        this.#works();
        return [this.#bury(event, answer.detail)];
      case 'failed':
        return this.#failed({ lane, event }, answer);
    }
  }

  #failed({ lane, event }: Outgoing, { detail, retryAfterMs = 0 }: SinkAnswer & { kind: 'failed' }): OutboxRecord[] {
    const { clock, random, log, attempts } = this.#parts;
    this.#suspect(lane, detail);
    if (this.#taken > lane.takenThen) lane.held += 1;
    lane.takenThen = this.#taken;
    if (lane.held >= attempts) return [this.#bury(event, `${detail} (${lane.held} times while others were taken)`)];
    const pauseMs = Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
    const delayMs = Math.max(pauseMs, backoffMs(lane.failures, { ...BACKOFF, random: random() }));
    if (pauseMs > 0) this.#pausedUntilMs = Math.max(this.#pausedUntilMs, clock.monotonicMs() + pauseMs);
    lane.failures += 1;
    lane.phase = 'waiting';
    this.#timers.add(delayMs, lane);
    const level = lane.failures === LOUD_FAILURES ? 'warn' : 'debug';
    const table = showTable(tableOf(event.table));
    log[level]('forward-failed', { sink: this.name, table, failures: lane.failures, detail });
    return [];
  }

  #bury({ id, timestamp, target, table }: OutboxEvent, reason: string): OutboxRecord {
    const { clock, emit } = this.#parts;
    emit({ kind: 'event-refused', sink: this.name, target, table: tableOf(table), detail: reason });
    return { kind: 'buried', sink: this.name, id, timestamp, reason, at: clock.now() };
  }

  /** The sink answers: those who waited for it needn't wait their backoff out. */
  #works(): void {
    this.#failing.clear();
    if (!this.#breaker.succeeded()) return;
    this.#parts.emit({ kind: 'sink-up', sink: this.name });
    for (const lane of this.#lanes.values()) if (lane.phase === 'waiting') this.#release(lane);
  }

  /** One table that fails again and again says little of the sink; several different ones do. */
  #suspect(lane: Lane, detail: string): void {
    const { clock, random, emit } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#failing.has(lane.key) && this.#breaker.state(nowMs) === 'closed') return;
    this.#failing.add(lane.key);
    const wasClosed = this.#breaker.state(nowMs) === 'closed';
    if (!this.#breaker.failed(nowMs, random())) return;
    if (wasClosed) emit({ kind: 'sink-down', sink: this.name, detail });
    void this.#pumpWhenHalfOpen();
  }

  /** Without another event nobody else would try the sink again, and a clock may wake somebody a little early. */
  async #pumpWhenHalfOpen(): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#kill;
    while (this.#breaker.state(clock.monotonicMs()) === 'open' && !signal.aborted) {
      await clock.sleep((this.#breaker.openUntilMs ?? 0) - clock.monotonicMs(), signal);
    }
    this.#pump();
  }

  #endIfDrained(): void {
    if (this.#stopped && this.#open === 0) this.#ended?.resolve();
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#break(error);
    }
  }

  /** A failure of the ledger, or of this program: nothing goes on after it. */
  #break(error: unknown): void {
    if (this.#kill.signal.aborted) return;
    this.#stopped = true;
    this.#ended?.reject(error);
  }
}

const untried = (
  timestamp: number,
  takenThen: number,
): Pick<Lane, 'timestamp' | 'failures' | 'held' | 'takenThen'> => ({
  timestamp,
  failures: 0,
  held: 0,
  takenThen,
});

const outgoing = ({ event: { target, timestamp, table, body } }: Outgoing): OutgoingEvent => ({
  id: eventIdOf(target, timestamp, table),
  table,
  body,
});

const NO_ANSWER: SinkAnswer = { kind: 'failed', detail: 'the sink gave no answer' };

/** What a sink throws is its answer to all. */
const failure = (error: unknown): SinkAnswer => ({
  kind: 'failed',
  detail: error instanceof Error ? error.message : String(error),
});
