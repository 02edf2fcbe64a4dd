import type { Connector, Delivery } from '../../src/connector/connector.ts';
import { DropBudget, type BudgetOptions } from '../../src/core/budget.ts';
import { DEFAULT_POLICY, type Policy } from '../../src/core/policy.ts';
import { showTable } from '../../src/core/table.ts';
import type { Notification, Outcome, Served, TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { OutgoingEvent } from '../../src/forward/sink.ts';
import type { RequestInbox } from '../../src/ledger/inbox.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { MemoryLedger } from '../../src/ledger/memory.ts';
import { isOutboxRecord } from '../../src/ledger/outbox.ts';
import { eventsFor, type EventsOf } from '../../src/pipeline/admission.ts';
import { Driver } from '../../src/pipeline/driver.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { Forwarder, type ForwarderParts } from '../../src/pipeline/forward.ts';
import { runPipeline } from '../../src/pipeline/pipeline.ts';
import type { Target } from '../../src/polaris/target.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import type { Random } from '../../src/runtime/random.ts';
import type { VirtualClock } from '../pipeline/virtual-clock.ts';
import type { Choose } from './choices.ts';
import { Life, type Checker } from './checker.ts';
import type { SimPolaris, Trouble } from './polaris.ts';
import { SINK, type SimReceiver } from './receiver.ts';
import type { SimSource, Transaction } from './source.ts';
import type { WallClock } from './wall-clock.ts';

/** What takes time, and may meet something else on the way. */
export type Operation =
  | 'prepare'
  | 'list'
  | 'delivery'
  | 'ack'
  | 'read'
  | 'reading'
  | 'commit'
  | 'request'
  | 'answer'
  | 'probe';

/** What may happen to an operation; each kind of operation knows only some. */
export type Fault =
  /** The source doesn't answer, or denies it. */
  | 'failed'
  | 'denied'
  /** The stream ends, or a message is handed over twice, or an acknowledgement is lost. */
  | 'broken'
  | 'twice'
  | 'forgotten'
  /** The list lacks some tables, or has some that are no more. */
  | 'partial'
  | 'outdated'
  /** A request doesn't arrive, isn't answered, or arrives when nobody waits for the answer any more. */
  | 'lost'
  | 'unanswered'
  | 'late'
  | Trouble;

export type Circumstances = {
  readonly clock: VirtualClock;
  readonly hostClock: WallClock;
  readonly sourceClock: WallClock;
  readonly source: SimSource;
  readonly targets: readonly SimPolaris[];
  ledger: MemoryLedger;
  readonly checker: Checker;
  readonly random: Random;
  readonly choose: Choose;
  readonly policy: Partial<Policy>;
  readonly budget: BudgetOptions | undefined;
  readonly concurrency: number;
  readonly reconcileEveryMs: number;
  readonly auditEveryMs: number | undefined;
  /** Who gets events of admitted notifications, if anybody. */
  readonly receiver?: SimReceiver | undefined;
  /** Resolves when the operation goes on. */
  pause(what: Operation, signal?: AbortSignal): Promise<void>;
  fault(what: Operation): Fault | undefined;
  log(what: string): void;
  /** A request arrives long after its sender gave it up. */
  arrivesLate(polaris: SimPolaris, notification: Notification): void;
};

/** Requests of operators are looked for so often in virtual time; a second as in earnest would be most of a run. */
export const REQUESTS_EVERY_MS = 300_000;

const never = (): Promise<never> => new Promise(() => {});

/** One life of the agent: the product's own pipeline, drivers and core between simulated neighbours. */
export class SimAgent {
  readonly #world: Circumstances;
  readonly #life = new Life();
  readonly #stopping = new AbortController();
  readonly #killing = new AbortController();
  readonly drivers: readonly Driver[];
  readonly events = new Map<PipelineEvent['kind'], number>();
  outcome: 'running' | 'ended' | { readonly error: unknown } = 'running';
  #alive = true;

  constructor(world: Circumstances) {
    this.#world = world;
    const clock = this.#clock();
    const emit = (event: PipelineEvent) => void this.events.set(event.kind, (this.events.get(event.kind) ?? 0) + 1);
    const ledger = watched(world.ledger, (records, durable) => {
      if (this.#alive) world.checker.appends(records, durable);
    });
    const common = { clock, random: world.random, log: silentLog, ledger, emit };
    const targets = world.targets.map((polaris) => this.#target(polaris));
    const eventsOf = world.receiver && this.#eventsOf(world.receiver);
    this.drivers = targets.map(
      (target) =>
        new Driver({
          ...common,
          eventsOf,
          target,
          connector: { resolve: (tables, signal) => this.#resolve(target.name, tables, signal) },
          policy: { ...DEFAULT_POLICY, ...world.policy },
          budget: world.budget && new DropBudget(world.budget),
          concurrency: { min: 1, max: world.concurrency, initial: world.concurrency },
        }),
    );
    const { reconcileEveryMs, auditEveryMs } = world;
    const pace = { reconcileEveryMs, auditEveryMs, requestsEveryMs: REQUESTS_EVERY_MS };
    const forwarders = world.receiver === undefined ? [] : [this.#forwarder(world.receiver, common)];
    const parts = { ...common, ...pace, connector: this.#connector(), drivers: this.drivers, targets, forwarders };
    runPipeline(parts, this.#stopping.signal, this.#killing.signal).then(
      () => (this.outcome = 'ended'),
      (error: unknown) => (this.outcome = { error }),
    );
  }

  /** Nothing is left to be told, and no lane has work. */
  get quiet(): boolean {
    return this.#world.source.untold.size === 0 && this.drivers.every(({ active }) => active === 0);
  }

  get caughtUp(): boolean {
    return this.events.has('caught-up');
  }

  /** The process dies between two instructions: nothing of it goes on, and the ledger holds what was durable. */
  crash(): void {
    this.#alive = false;
    this.#world.ledger = this.#world.ledger.crash();
    this.#world.checker.crashed();
    // Node.js keeps signals that somebody listens to; whatever wakes up by this finds itself dead.
    this.#stopping.abort();
    this.#killing.abort();
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** A dead process waits for ever. */
  #mine<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.#alive && resolve(value),
        (error: unknown) => this.#alive && reject(error),
      );
    });
  }

  #pause(what: Operation, signal?: AbortSignal): Promise<void> {
    return this.#alive ? this.#mine(this.#world.pause(what, signal)) : never();
  }

  #clock(): Clock {
    const { clock, hostClock } = this.#world;
    return {
      now: () => hostClock.now(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: (ms, signal) => this.#mine(clock.sleep(ms, signal)),
    };
  }

  #connector(): Connector {
    return {
      source: 'simulated',
      prepare: async (signal) => {
        await this.#pause('prepare', signal);
        this.#failWith(this.#world.fault('prepare'));
      },
      list: (signal) => this.#list(signal),
      watch: (_after, signal) => this.#watch(signal),
      resolve: (tables, signal) => this.#resolve(undefined, tables, signal),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  #eventsOf({ limit }: SimReceiver): EventsOf | undefined {
    const targets = this.#world.targets.map(({ name }) => ({ name, uri: `http://${name}`, catalog: name }));
    return eventsFor({ sinks: [{ name: SINK, limit }], targets, origin: 'simulated' });
  }

  #forwarder(receiver: SimReceiver, common: Omit<ForwarderParts, 'sink' | 'attempts'>): Forwarder {
    const send = async (events: readonly OutgoingEvent[], signal: AbortSignal) => {
      if (!this.#alive) return never();
      const { clock } = this.#world;
      // What was sent arrives, whether its sender lives on or not.
      const answers = clock.sleep(receiver.tookMs()).then(() => events.map((event) => receiver.get(event)));
      const answered = await this.#mine(answers);
      signal.throwIfAborted();
      return answered;
    };
    const sink = { name: SINK, batch: 2, concurrency: 2, send, [Symbol.asyncDispose]: async () => {} };
    return new Forwarder({ ...common, sink, attempts: 1_000_000 });
  }

  #failWith(fault: Fault | undefined): void {
    if (fault === 'failed') throw new Error('The source does not answer.');
    if (fault === 'denied') throw new PushError('SOURCE_NOT_LISTED', 'The source denies it.');
  }

  /** The state is that of some moment between the call and the answer. `target`: whose lanes asked. */
  async #resolve(
    target: string | undefined,
    tables: readonly TableIdentifier[],
    signal: AbortSignal,
  ): Promise<readonly TableState[]> {
    const { source, sourceClock, checker } = this.#world;
    const asOf = sourceClock.now();
    await this.#pause('read', signal);
    signal.throwIfAborted();
    const fault = this.#world.fault('read');
    const states = tables.map((table) => source.state(table, asOf));
    await this.#pause('reading', signal);
    signal.throwIfAborted();
    this.#failWith(fault);
    if (target !== undefined) checker.read(this.#life, target, states);
    return states;
  }

  async *#list(signal: AbortSignal): AsyncGenerator<readonly TableState[]> {
    const { source, sourceClock, choose } = this.#world;
    const fault = this.#alive ? this.#world.fault('list') : undefined;
    const outdated = fault === 'outdated' ? source.list(sourceClock.now()) : undefined;
    await this.#pause('list', signal);
    if (fault === 'outdated') await this.#pause('list', signal);
    let states = outdated ?? source.list(sourceClock.now());
    if (fault === 'partial') states = states.filter(() => choose(2) === 0);
    for (let start = 0; start < states.length; start += 3) {
      signal.throwIfAborted();
      yield states.slice(start, start + 3);
      await this.#pause('list', signal);
      if (start > 0) this.#failWith(fault);
    }
    signal.throwIfAborted();
    this.#failWith(fault);
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<Delivery> {
    const { source, checker, targets } = this.#world;
    for (const acked: Transaction[] = []; ;) {
      await this.#mine(this.#more(signal));
      await this.#pause('delivery', signal);
      if (signal.aborted) return;
      const fault = this.#world.fault('delivery');
      if (fault === 'broken') throw new Error('The stream broke.');
      const told = this.#next();
      if (told.length === 0) continue;
      if (fault === 'twice' && source.kind === 'queue') told.push(...acked.splice(0, 1));
      const changes = told.flatMap((transaction) => transaction.changes);
      const checkAck = checker.handedOver(changes, targets);
      // The consumer appends what it gets in this turn of the event loop.
      setImmediate(() => this.#alive && told.forEach((transaction) => this.#life.told.add(transaction.at)));
      this.#world.log(`told of ${told.map((transaction) => transaction.at).join()}`);
      const last = told.at(-1)?.at ?? 0;
      yield {
        changes,
        position: source.kind === 'log' ? String(last).padStart(9, '0') : undefined,
        ack: async () => {
          checkAck();
          await this.#pause('ack');
          if (this.#world.fault('ack') === 'forgotten') return;
          source.acknowledge(told);
          acked.push(...told);
        },
      };
    }
  }

  /** A log hands over what is next; a queue, whatever it likes. */
  #next(): Transaction[] {
    const { source, choose } = this.#world;
    const untold = [...source.untold].map((index) => source.transactions[index]!);
    if (source.kind === 'queue') return untold.filter(() => choose(3) === 0).slice(0, 4);
    const first = untold[0];
    if (first === undefined) return [];
    // Lost transactions leave gaps: what comes after one is read on its own.
    return untold.filter(({ at }, i) => at === first.at + i).slice(0, 1 + choose(3));
  }

  /** Resolves when there is something to tell, or at the abort. */
  async #more(signal: AbortSignal): Promise<void> {
    const { source } = this.#world;
    while (source.untold.size === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          end();
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const end = source.onMore(wake);
        signal.addEventListener('abort', wake);
      });
    }
  }

  #target(polaris: SimPolaris): Target {
    const reachable = () => {
      if (polaris.down || polaris.trouble !== undefined) throw new PushError('POLARIS_UNAVAILABLE', 'It is down.');
    };
    return {
      name: polaris.name,
      notify: (notification, signal) => this.#notify(polaris, notification, signal),
      serves: (table, location, signal) => this.#serves({ polaris, table, location }, signal),
      tables: (signal) => this.#tables(polaris, reachable, signal),
      check: async function* () {
        yield { level: 'ok', subject: 'simulated', detail: 'nobody asks' };
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async *#tables(polaris: SimPolaris, reachable: () => void, signal: AbortSignal): AsyncGenerator<TableIdentifier> {
    await this.#pause('probe', signal);
    signal.throwIfAborted();
    reachable();
    yield* polaris.listed();
  }

  async #serves({ polaris, table, location }: Question, signal: AbortSignal): Promise<Served> {
    if (!this.#alive) return never();
    const fault = this.#world.fault('probe');
    await this.#pause('probe', signal);
    signal.throwIfAborted();
    if (polaris.down || polaris.trouble !== undefined || fault !== undefined)
      throw new PushError('POLARIS_UNAVAILABLE', 'It does not answer.');
    const served = polaris.serves(table, location);
    if (served !== 'this') this.#world.log(`${polaris.name} serves ${served} of ${showTable(table)}`);
    return served;
  }

  async #notify(polaris: SimPolaris, notification: Notification, signal: AbortSignal): Promise<Outcome> {
    if (!this.#alive) return never();
    const world = this.#world;
    const { type, table, timestamp } = notification;
    world.log(`${polaris.name} ${type} ${showTable(table)} ${timestamp}`);
    world.checker.sends(this.#life, polaris, notification);
    try {
      const outcome = await this.#send(polaris, notification, signal);
      await this.#pause('answer', signal);
      signal.throwIfAborted();
      if (outcome.kind !== 'admitted') world.log(`${polaris.name} ${outcome.kind} ${showTable(table)}`);
      return outcome;
    } finally {
      world.checker.ends(this.#life, polaris.name, table);
    }
  }

  async #send(polaris: SimPolaris, notification: Notification, signal: AbortSignal): Promise<Outcome> {
    const world = this.#world;
    const fault = polaris.down ? 'lost' : world.fault('request');
    if (fault !== undefined) world.log(`${polaris.name} ${fault}`);
    // What was sent arrives, whether its sender lives on or not.
    const arrival = world.pause('request').then((): Outcome => {
      if (fault === 'lost') return { kind: 'unknown', message: 'no answer' };
      if (fault === 'late') world.arrivesLate(polaris, notification);
      else if (fault !== 'unanswered') return polaris.notify(notification, fault as Trouble | undefined);
      else polaris.notify(notification, undefined);
      return { kind: 'unknown', message: 'no answer in time' };
    });
    const outcome = await this.#mine(arrival);
    signal.throwIfAborted();
    return outcome;
  }
}

type Question = { readonly polaris: SimPolaris; readonly table: TableIdentifier; readonly location: string };

/** The ledger that the pipeline gets: the checker sees what is appended, and when it is durable. */
const watched = (ledger: MemoryLedger, onAppend: Checker['appends']): Ledger & RequestInbox => ({
  entry: (target, table) => ledger.entry(target, table),
  lookup: (target, tables) => ledger.lookup(target, tables),
  entries: (target) => ledger.entries(target),
  unfinished: (target) => ledger.unfinished(target),
  totals: (target) => ledger.totals(target),
  parkedByCode: (target) => ledger.parkedByCode(target),
  targets: () => ledger.targets(),
  position: (source) => ledger.position(source),
  takeRequests: () => ledger.takeRequests(),
  outbox: ledger.outbox,
  append: (records) => {
    const durable = ledger.append(records);
    onAppend(
      records.filter((record) => !isOutboxRecord(record)),
      durable,
    );
    return durable;
  },
  [Symbol.asyncDispose]: () => ledger[Symbol.asyncDispose](),
});
