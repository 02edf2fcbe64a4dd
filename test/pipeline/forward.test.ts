import assert from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import { keyOf, tableOf } from '../../src/core/table.ts';
import type { Timestamp } from '../../src/core/types.ts';
import type { OutgoingEvent, Sink, SinkAnswer } from '../../src/forward/sink.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import type { OutboxRecord } from '../../src/ledger/outbox.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { Forwarder } from '../../src/pipeline/forward.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { id } from './lab.ts';
import { VirtualClock } from './virtual-clock.ts';

const ACCEPTED: SinkAnswer = { kind: 'accepted' };
const DOWN: SinkAnswer = { kind: 'failed', detail: 'nothing listens' };

type Options = {
  readonly answer?: (event: OutgoingEvent) => SinkAnswer;
  readonly batch?: number;
  readonly concurrency?: number;
  readonly attempts?: number;
  readonly tookMs?: number;
  readonly limit?: number;
};

/** A sink whose answers the test decides, and everything that it was given. */
class LabSink implements Sink {
  readonly name: string;
  readonly batch: number;
  readonly concurrency: number;
  answer: (event: OutgoingEvent) => SinkAnswer;
  readonly given: { readonly table: string; readonly timestamp: number; readonly atMs: number }[] = [];
  readonly taken: string[] = [];
  busy = 0;
  mostBusy = 0;
  readonly #inFlight = new Set<string>();
  readonly #clock: VirtualClock;
  readonly #tookMs: number;

  constructor(
    name: string,
    clock: VirtualClock,
    { answer = () => ACCEPTED, batch = 1, concurrency = 2, tookMs = 5 }: Options,
  ) {
    this.name = name;
    this.#clock = clock;
    this.answer = answer;
    this.batch = batch;
    this.concurrency = concurrency;
    this.#tookMs = tookMs;
  }

  async send(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<readonly SinkAnswer[]> {
    assert.ok(events.length <= this.batch, 'more events at once than the sink takes');
    this.busy += 1;
    this.mostBusy = Math.max(this.mostBusy, this.busy);
    for (const { table } of events) {
      assert.ok(!this.#inFlight.has(table), 'two events of one table under way');
      this.#inFlight.add(table);
    }
    await this.#clock.sleep(this.#tookMs, signal);
    this.busy -= 1;
    for (const { table } of events) this.#inFlight.delete(table);
    signal.throwIfAborted();
    return events.map((event) => {
      const { namespace, name } = tableOf(event.table);
      const [, timestamp] = event.id.split('/');
      this.given.push({
        table: [...namespace, name].join('.'),
        timestamp: Number(timestamp),
        atMs: this.#clock.monotonicMs(),
      });
      const answer = this.answer(event);
      if (answer.kind === 'accepted') this.taken.push(`${name}@${timestamp}`);
      return answer;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

let lastTimestamp = 0;

/** One sink, its outbox and a forwarder on virtual time. */
class Bench implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly events: PipelineEvent[] = [];
  readonly stopping = new AbortController();
  readonly killing = new AbortController();
  ledger = new MemoryLedger();
  readonly sink: LabSink;
  readonly forwarder: Forwarder;
  readonly running: Promise<void>;
  readonly #limit: number;

  constructor(options: Options = {}, start: (ledger: MemoryLedger) => void = () => {}) {
    start(this.ledger);
    this.#limit = options.limit ?? 1000;
    this.sink = new LabSink('hook', this.clock, options);
    this.forwarder = new Forwarder({
      sink: this.sink,
      attempts: options.attempts ?? 3,
      ledger: this.ledger,
      clock: this.clock,
      random: seededRandom(7),
      log: silentLog,
      emit: (event) => this.events.push(event),
    });
    this.running = this.forwarder.run(this.stopping.signal, this.killing.signal);
    this.running.catch(() => {});
  }

  /** An event of each of these tables, in this order. */
  async admit(...tables: readonly string[]): Promise<void> {
    await this.ledger.append(tables.map((name) => eventOf(name, this.#limit)));
  }

  get waiting(): number {
    return this.ledger.outbox.totals('hook').waiting;
  }

  get buried(): readonly (readonly [string, string])[] {
    return [...this.ledger.outbox.buried('hook')].map(({ table, reason }) => [tableOf(table).name, reason] as const);
  }

  empty(withinMs?: number): Promise<void> {
    return this.clock.until(() => this.waiting === 0, withinMs);
  }

  kinds(): readonly string[] {
    return this.events.map(({ kind }) => kind).filter((kind) => kind !== 'forwarded');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.killing.abort();
    await this.running;
  }
}

function eventOf(name: string, limit: number): OutboxRecord {
  lastTimestamp += 1;
  const table = id(name);
  const timestamp = lastTimestamp as Timestamp;
  return { kind: 'event', sink: 'hook', target: 'main', table, timestamp, at: timestamp, body: '{}', limit };
}

const inOrder = (given: readonly { readonly table: string; readonly timestamp: number }[]) => {
  for (const events of Map.groupBy(given, ({ table }) => table).values()) {
    const timestamps = events.map(({ timestamp }) => timestamp);
    expect(timestamps).toEqual(timestamps.toSorted((a, b) => a - b));
  }
};

describe('A forwarder', () => {
  test('sends what waits, each event once, and forgets what was taken', async () => {
    await using bench = new Bench();
    await bench.admit('db.a', 'db.b', 'db.a', 'db.c', 'db.a');
    await bench.empty();
    expect(bench.sink.taken).toHaveLength(5);
    expect(new Set(bench.sink.taken).size).toBe(5);
    inOrder(bench.sink.given);
    expect(bench.sink.mostBusy).toBe(2);
  });

  test('sends what an earlier life left, and what comes later', async () => {
    await using bench = new Bench({}, (ledger) => void ledger.append([eventOf('db.old', 1000)]));
    await bench.clock.pass(50);
    await bench.admit('db.new');
    await bench.empty();
    expect(bench.sink.given.map(({ table }) => table)).toEqual(['db.old', 'db.new']);
  });

  test('has one event of a table under way at a time, the oldest first, however they come and fail', async () => {
    const random = seededRandom(3);
    await using bench = new Bench({
      answer: () => (random() < 0.3 ? DOWN : ACCEPTED),
      batch: 4,
      concurrency: 3,
      attempts: 1000,
    });
    const names = ['db.a', 'db.b', 'db.c', 'db.d', 'db.e', 'db.f'];
    for (let round = 0; round < 60; round++) {
      await bench.admit(...names.filter(() => random() < 0.5));
      await bench.clock.pass(Math.floor(random() * 20));
    }
    await bench.empty();
    inOrder(bench.sink.given);
    expect(new Set(bench.sink.taken).size).toBe(bench.sink.taken.length);
  });

  test('sends the last of each table alone when it coalesces and the sink is slow', async () => {
    await using bench = new Bench({ limit: 0, concurrency: 1, tookMs: 1000 });
    for (let round = 0; round < 20; round++) {
      await bench.admit('db.a', 'db.b');
      await bench.clock.pass(50);
    }
    await bench.empty();
    inOrder(bench.sink.given);
    expect(bench.sink.given.length).toBeLessThan(8);
    const last = new Map(bench.sink.given.map(({ table, timestamp }) => [table, timestamp]));
    expect(last).toEqual(
      new Map([
        ['db.a', lastTimestamp - 1],
        ['db.b', lastTimestamp],
      ]),
    );
  });

  test('keeps tables with few events from waiting behind one with many', async () => {
    await using bench = new Bench({ concurrency: 1 });
    await bench.admit(...Array.from({ length: 300 }, () => 'db.busy'), 'db.quiet');
    await bench.clock.until(() => bench.sink.given.some(({ table }) => table === 'db.quiet'));
    expect(bench.sink.given.length).toBeLessThan(5);
  });

  test('sends again what was taken when the process died before that was durable, and nothing else', async () => {
    const commits: (() => void)[] = [];
    let hold = false;
    const clock = new VirtualClock();
    const schedule = (commit: () => void) => (hold ? commits.push(commit) : queueMicrotask(commit));
    const ledger = new MemoryLedger({ schedule });
    await ledger.append([eventOf('db.a', 1000), eventOf('db.b', 1000)]);
    const life = async (on: MemoryLedger) => {
      const sink = new LabSink('hook', clock, {});
      const kill = new AbortController();
      const parts = { sink, attempts: 3, ledger: on, clock, random: seededRandom(1), log: silentLog, emit: () => {} };
      void new Forwarder(parts).run(new AbortController().signal, kill.signal);
      await clock.until(() => sink.taken.length === 2);
      await clock.pass(10);
      kill.abort();
      return sink.taken;
    };
    hold = true;
    const first = await life(ledger);
    hold = false;
    const survivor = ledger.crash({ schedule });
    expect(await life(survivor)).toEqual(first);
    expect(survivor.outbox.totals('hook').waiting).toBe(0);
  });
});

describe('A sink in trouble', () => {
  test('is away for an hour: nothing is lost or given up, and it is asked now and then only', async () => {
    await using bench = new Bench({ answer: () => DOWN, attempts: 3 });
    const tables = Array.from({ length: 200 }, (_, n) => `db.t${n}`);
    await bench.admit(...tables);
    await bench.clock.pass(3_600_000);
    const asked = bench.sink.given.length;
    expect(asked).toBeLessThan(300);
    expect(bench.kinds()).toEqual(['sink-down']);
    bench.sink.answer = () => ACCEPTED;
    await bench.empty(60_000);
    expect(bench.kinds()).toEqual(['sink-down', 'sink-up']);
    expect(bench.sink.taken).toHaveLength(tables.length);
    expect(bench.buried).toEqual([]);
  });

  test('holds nobody else up: another sink gets its events meanwhile', async () => {
    await using bench = new Bench({ answer: () => DOWN });
    const lake = new LabSink('lake', bench.clock, {});
    const { ledger, clock, killing } = bench;
    const parts = { sink: lake, attempts: 3, ledger, clock, random: seededRandom(1), log: silentLog, emit: () => {} };
    const other = new Forwarder(parts).run(new AbortController().signal, killing.signal);
    await ledger.append(
      ['db.a', 'db.b', 'db.c'].flatMap((name) => [eventOf(name, 10), { ...eventOf(name, 10), sink: 'lake' }]),
    );
    await clock.until(() => lake.taken.length === 3, 1000);
    expect(bench.waiting).toBe(3);
    killing.abort();
    await other;
  });

  test('is left alone as long as it asks, by all tables, but never for ever', async () => {
    const until = 120_000;
    await using bench = new Bench({
      answer: () => ({ kind: 'failed', detail: 'HTTP 429', retryAfterMs: until }),
      concurrency: 1,
    });
    await bench.admit('db.a', 'db.b', 'db.c');
    await bench.clock.pass(until - 1000);
    expect(bench.sink.given).toHaveLength(1);
    bench.sink.answer = () => ({ kind: 'failed', detail: 'HTTP 429', retryAfterMs: 1e12 });
    await bench.clock.pass(3000);
    bench.sink.answer = () => ACCEPTED;
    await bench.empty(301_000);
  });

  test('that throws something is a sink that failed', async () => {
    await using bench = new Bench({ attempts: 1000 });
    let thrown = 0;
    bench.sink.answer = () => {
      thrown += 1;
      if (thrown < 3) throw new TypeError('no such method');
      return ACCEPTED;
    };
    await bench.admit('db.a');
    await bench.empty();
    expect(thrown).toBe(3);
  });
});

describe('An event that its sink does not take', () => {
  test('is put aside with the answer when it is refused; the next one of its table goes on', async () => {
    await using bench = new Bench({
      answer: ({ id: event }) => (event.includes('"bad"') ? { kind: 'refused', detail: 'HTTP 400: no' } : ACCEPTED),
    });
    await bench.admit('db.bad', 'db.good');
    await bench.empty();
    expect(bench.buried).toEqual([['bad', 'HTTP 400: no']]);
    expect(bench.events.find(({ kind }) => kind === 'event-refused')).toMatchObject({
      sink: 'hook',
      target: 'main',
      table: id('db.bad'),
      detail: 'HTTP 400: no',
    });
    bench.sink.answer = () => ACCEPTED;
    await bench.admit('db.bad');
    await bench.empty();
    expect(bench.sink.taken.filter((one) => one.startsWith('bad'))).toHaveLength(1);
  });

  test('is put aside after its tries, of which only those count after which others were taken', async () => {
    await using bench = new Bench({
      attempts: 3,
      answer: ({ id: event }) => (event.includes('"bad"') ? DOWN : ACCEPTED),
    });
    await bench.admit('db.bad');
    await bench.clock.pass(600_000);
    // Alone it says nothing of itself: the sink may be away.
    expect(bench.buried).toEqual([]);
    expect(bench.sink.given.length).toBeGreaterThan(10);
    for (let n = 0; n < 10; n++) {
      await bench.admit(`db.t${n}`);
      await bench.clock.pass(60_000);
    }
    expect(bench.buried).toEqual([['bad', 'nothing listens (3 times while others were taken)']]);
    expect(bench.kinds()).toEqual(['event-refused']);
  });

  test('is sent again when people let it, also with nothing else to do', async () => {
    await using bench = new Bench({ answer: () => ({ kind: 'refused', detail: 'no' }) });
    await bench.admit('db.a', 'db.b');
    await bench.empty();
    bench.sink.answer = () => ACCEPTED;
    await bench.ledger.append([{ kind: 'revived', sink: 'hook', tables: [id('db.b')] }]);
    await bench.empty(1000);
    expect(bench.sink.taken).toEqual([`b@${lastTimestamp}`]);
    await bench.ledger.append([{ kind: 'revived', sink: 'hook' }]);
    await bench.empty(1000);
    expect(bench.buried).toEqual([]);
  });

  test('gives way to a newer one of its table, which then has all its tries', async () => {
    await using bench = new Bench({
      limit: 0,
      attempts: 2,
      answer: ({ id: event }) => (event.includes('"bad"') ? DOWN : ACCEPTED),
    });
    for (let n = 0; n < 8; n++) {
      await bench.admit('db.bad', 'db.good');
      await bench.clock.until(
        () =>
          bench.sink.given.filter(({ table, timestamp }) => table === 'db.bad' && timestamp === lastTimestamp - 1)
            .length > 0,
        120_000,
      );
    }
    expect(bench.buried).toEqual([]);
  });
});

describe('The end of a forwarder', () => {
  test('waits for the answers that are on their way, and begins nothing more', async () => {
    await using bench = new Bench({ concurrency: 2, tookMs: 500 });
    await bench.admit('db.a', 'db.b', 'db.c', 'db.d');
    await bench.clock.pass(100);
    let over = false;
    void bench.running.then(() => (over = true));
    bench.stopping.abort();
    await bench.clock.pass(100);
    expect(over).toBe(false);
    await bench.clock.until(() => over, 1000);
    expect(bench.sink.taken).toHaveLength(2);
    expect(bench.waiting).toBe(2);
  });

  test('at a kill is at once', async () => {
    await using bench = new Bench({ tookMs: 1e9 });
    await bench.admit('db.a');
    await bench.clock.pass(100);
    bench.killing.abort();
    await bench.running;
    expect(bench.waiting).toBe(1);
  });

  test('is an error when the ledger fails', async () => {
    const bench = new Bench({ tookMs: 100 });
    await bench.admit('db.a');
    await bench.clock.pass(50);
    bench.ledger.fail();
    await bench.clock.pass(200);
    await expect(bench.running).rejects.toMatchObject({ code: 'LEDGER_FAILED' });
  });

  test('is idle when all is taken or the sink takes nothing', async () => {
    await using bench = new Bench({ tookMs: 50 });
    const { signal } = new AbortController();
    await bench.admit('db.a', 'db.b', 'db.c');
    let idle = 0;
    void bench.forwarder.idle(signal).then(() => (idle += 1));
    await bench.clock.pass(20);
    expect(idle).toBe(0);
    await bench.clock.until(() => idle === 1);
    expect(bench.waiting).toBe(0);
    bench.sink.answer = () => DOWN;
    await bench.admit('db.a');
    void bench.forwarder.idle(signal).then(() => (idle += 1));
    await bench.clock.until(() => idle === 2);
    expect(bench.waiting).toBe(1);
  });
});

test('A thousand tables need no more than one look each', async () => {
  await using bench = new Bench({ batch: 100, concurrency: 1 });
  await bench.admit(...Array.from({ length: 1000 }, (_, n) => `db.t${n}`));
  await bench.empty();
  expect(bench.sink.given).toHaveLength(1000);
  expect(bench.sink.given.at(-1)?.atMs).toBeLessThan(100);
  expect(bench.ledger.outbox.next('hook', 'main', keyOf(id('db.t5')))).toBeUndefined();
});
