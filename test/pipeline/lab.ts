import assert from 'node:assert/strict';
import type { Connector, Delivery } from '../../src/connector/connector.ts';
import { DropBudget } from '../../src/core/budget.ts';
import { DEFAULT_POLICY, type Policy } from '../../src/core/policy.ts';
import { keyOf, showTable, tableOf, type TableKey } from '../../src/core/table.ts';
import type { Change, Notification, Outcome, Served, TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import { Driver } from '../../src/pipeline/driver.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { runPipeline } from '../../src/pipeline/pipeline.ts';
import type { Target } from '../../src/polaris/target.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { seededRandom, type Random } from '../../src/runtime/random.ts';
import { VirtualClock } from './virtual-clock.ts';

export type Row = {
  readonly incarnation: string;
  readonly location: string;
  /** Where it was before the last commit. */
  readonly previous?: string | undefined;
  readonly unsupported?: string | undefined;
};
type Logged = { readonly change: Change; readonly lost: boolean };

/** `sales.orders`. No level here holds a dot. */
export function id(text: string): TableIdentifier {
  const levels = text.split('.');
  return { namespace: levels.slice(0, -1), name: levels.at(-1) ?? '' };
}
const key = (text: string): TableKey => keyOf(id(text));

/** A source catalog in memory, with a log that forgets what is acknowledged. It outlives the agents that follow it. */
export class LabSource {
  /** Which database it is; another one under the same address is another source. */
  identity: string | undefined;
  readonly rows = new Map<TableKey, Row>();
  readonly log: Logged[] = [];
  /** How much of the log was acknowledged, and how often something was read. */
  acked = 0;
  reads = 0;
  /** Where the last change of each table stands in the log. */
  readonly changedAt = new Map<TableKey, number>();
  /** Takes the place of a change's entry in the log: it happens, but nobody is told. */
  losing = false;
  /** Nothing can be read. */
  broken = false;
  #versions = 0;
  #wake = new Set<() => void>();

  create(name: string, row: Partial<Row> = {}): void {
    const version = ++this.#versions;
    this.rows.set(key(name), { incarnation: `i${version}`, location: `s3://m/${name}/${version}`, ...row });
    this.#tell({ kind: 'upserted', table: id(name) });
  }

  commit(name: string): void {
    const row = this.rows.get(key(name));
    assert.ok(row);
    this.rows.set(key(name), { ...row, location: `s3://m/${name}/${++this.#versions}`, previous: row.location });
    this.#tell({ kind: 'upserted', table: id(name) });
  }

  /** The table is what it was before its last commit. */
  rollBack(name: string): void {
    const row = this.rows.get(key(name));
    assert.ok(row);
    this.rows.set(key(name), { ...row, location: row.previous ?? row.location, previous: row.location });
    this.#tell({ kind: 'upserted', table: id(name) });
  }

  /** The same table is something else now. */
  turn(name: string, row: Partial<Row>): void {
    this.rows.set(key(name), { ...this.rows.get(key(name))!, ...row });
    this.#tell({ kind: 'upserted', table: id(name) });
  }

  drop(name: string): void {
    this.rows.delete(key(name));
    this.#tell({ kind: 'dropped', table: id(name) });
  }

  rename(from: string, to: string): void {
    const row = this.rows.get(key(from));
    assert.ok(row);
    this.rows.delete(key(from));
    this.rows.set(key(to), row);
    this.#tell({ kind: 'renamed', table: id(from), to: id(to) });
  }

  #tell(change: Change): void {
    const at = this.log.push({ change, lost: this.losing }) - 1;
    this.changedAt.set(keyOf(change.table), at);
    if (change.kind === 'renamed') this.changedAt.set(keyOf(change.to), at);
    for (const wake of this.#wake) wake();
  }

  /** Resolves when the log is longer than `from`, or at the abort. */
  async more(from: number, signal: AbortSignal): Promise<void> {
    while (this.log.length <= from && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#wake.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#wake.add(wake);
        signal.addEventListener('abort', wake);
      });
    }
  }

  state(table: TableIdentifier, asOf: number): TableState {
    const row = this.rows.get(keyOf(table));
    if (row === undefined) return { kind: 'absent', table, asOf };
    const { incarnation, location, unsupported } = row;
    if (unsupported !== undefined) return { kind: 'unsupported', table, reason: unsupported, incarnation, asOf };
    return { kind: 'present', table, metadataLocation: location, incarnation, asOf };
  }
}

type ServedTable = { readonly location: string; readonly timestamp: number; readonly incarnation?: string | undefined };

/** What may go wrong with one request. `lost` and `unanswered` are not told apart by the sender. */
export type LabFault = 'lost' | 'unanswered' | Exclude<Outcome, { kind: 'admitted' }>;

/** A Polaris in memory, with the quirks of the real one. It outlives the agents that notify it. */
export class LabPolaris {
  readonly name: string;
  readonly tables = new Map<TableKey, ServedTable>();
  /** Whatever arrived, in order. */
  readonly arrived: { readonly notification: Notification; readonly atMs: number }[] = [];
  readonly sentTimestamps = new Map<TableKey, number>();
  /** How long a request takes on its way there, ms; undefined: what the lab says. */
  slowMs: number | undefined;
  /** What happens to a request; undefined: it is served. */
  fault: (request: Notification | TableIdentifier) => LabFault | undefined = () => undefined;
  /** Called when a notification is sent, before it arrives. */
  onSend: (notification: Notification) => void = () => {};
  down = false;
  /** Requests under way. */
  sending = 0;

  constructor(name = 'main') {
    this.name = name;
  }

  arrive(notification: Notification, atMs: number): Outcome {
    const { type, table, timestamp, metadataLocation = '', incarnation } = notification;
    const of = keyOf(table);
    this.arrived.push({ notification, atMs });
    if (type === 'VALIDATE') return { kind: 'admitted' };
    if (type === 'DROP') {
      this.tables.delete(of);
      return { kind: 'admitted' };
    }
    if (timestamp <= (this.tables.get(of)?.timestamp ?? -1)) return { kind: 'stale', message: 'A newer timestamp' };
    this.tables.set(of, { location: metadataLocation, timestamp, incarnation });
    return { kind: 'admitted' };
  }

  /** Notifications that changed something or tried to, as `CREATE sales.orders`. */
  get said(): string[] {
    return this.arrived
      .filter(({ notification }) => notification.type !== 'VALIDATE')
      .map(({ notification }) => `${notification.type} ${showTable(notification.table)}`);
  }
}

export type LabOptions = {
  readonly targets?: readonly string[];
  readonly seed?: number;
  readonly policy?: Partial<Policy>;
  readonly budget?: ConstructorParameters<typeof DropBudget>[0];
  readonly auditEveryMs?: number | undefined;
  readonly reconcileEveryMs?: number;
  readonly concurrency?: number;
  /** How long it takes to make sure of the stream, ms. */
  readonly prepareMs?: number;
  /** How long a read, a request or a commit of the ledger takes, ms; drawn anew each time. */
  readonly latencyMs?: (random: Random) => number;
};

/** Source, targets and ledger in memory, and the real pipeline between them, in virtual time. */
export class Lab {
  readonly clock = new VirtualClock();
  readonly source = new LabSource();
  readonly targets: readonly LabPolaris[];
  random: Random;
  readonly options: LabOptions;
  ledger: MemoryLedger;

  constructor(options: LabOptions = {}) {
    this.options = options;
    this.random = seededRandom(options.seed ?? 1);
    this.targets = (options.targets ?? ['main']).map((name) => new LabPolaris(name));
    this.ledger = new MemoryLedger({ schedule: (commit) => void this.pause(this.clock).then(commit) });
  }

  get polaris(): LabPolaris {
    return this.targets[0]!;
  }

  pause(clock: Clock, signal?: AbortSignal): Promise<void> {
    return clock.sleep(this.options.latencyMs?.(this.random) ?? 1, signal);
  }

  start(options: Partial<LabOptions> = {}): LabAgent {
    return new LabAgent(this, { ...this.options, ...options });
  }

  /** The differences between the source and a target, of which those whose entries are parked may differ. */
  differences(target: LabPolaris = this.polaris): string[] {
    const names = new Set([...this.source.rows.keys(), ...target.tables.keys()]);
    return [...names].flatMap((of) => {
      const table = tableOf(of);
      const row = this.source.rows.get(of);
      const wanted = row?.unsupported === undefined ? row?.location : undefined;
      const { location: served, incarnation } = target.tables.get(of) ?? {};
      const entry = this.ledger.entry(target.name, table);
      // A table that became something else is one that the source still has, so it stays; also where that isn't certain.
      if (row?.unsupported !== undefined && (row.incarnation === incarnation || entry?.doubt === true)) return [];
      if (wanted === served || entry?.parked !== undefined) return [];
      return [`${showTable(table)}: the source has ${wanted ?? 'nothing'}, ${target.name} has ${served ?? 'nothing'}`];
    });
  }

  assertEqual(): void {
    for (const target of this.targets) assert.deepEqual(this.differences(target), []);
  }
}

/** One life of the agent. */
export class LabAgent implements AsyncDisposable {
  readonly #lab: Lab;
  readonly events: PipelineEvent[] = [];
  readonly drivers: readonly Driver[];
  readonly running: Promise<void>;
  readonly stopping = new AbortController();
  readonly killing = new AbortController();
  /** Up to here the log was handed to the drivers, durable or not. */
  told = 0;
  outcome: 'running' | 'ended' | { readonly error: unknown } = 'running';
  #alive = true;
  onEvent: (event: PipelineEvent) => void = () => {};
  /** Called at the beginning of every list; what it throws is what the list throws. */
  onList: () => void = () => {};
  /** How often the stream was begun. */
  streams = 0;

  constructor(lab: Lab, options: LabOptions) {
    this.#lab = lab;
    const clock = this.#clock();
    const emit = (event: PipelineEvent) => {
      this.events.push(event);
      this.onEvent(event);
    };
    const connector = this.#connector(clock, options.prepareMs ?? 0);
    const max = options.concurrency ?? 8;
    const common = { clock, random: lab.random, log: silentLog, ledger: lab.ledger, emit };
    const targets = lab.targets.map((polaris) => this.#target(polaris, clock));
    this.drivers = targets.map(
      (target) =>
        new Driver({
          ...common,
          target,
          connector,
          policy: { ...DEFAULT_POLICY, ...options.policy },
          budget: options.budget === undefined ? undefined : new DropBudget(options.budget),
          concurrency: { min: 1, max, initial: max },
        }),
    );
    const reconcileEveryMs = options.reconcileEveryMs ?? 900_000;
    const auditEveryMs = options.auditEveryMs;
    const parts = { ...common, connector, drivers: this.drivers, targets, reconcileEveryMs, auditEveryMs };
    this.running = runPipeline(parts, this.stopping.signal, this.killing.signal);
    this.running.then(
      () => (this.outcome = 'ended'),
      (error: unknown) => (this.outcome = { error }),
    );
  }

  /** Everything that was hinted at is recorded, and no lane has work. */
  get quiet(): boolean {
    return this.#lab.source.acked === this.#lab.source.log.length && this.drivers.every(({ active }) => active === 0);
  }

  /** Lets time pass until there is nothing left to do. */
  settle(withinMs?: number): Promise<void> {
    return this.until(() => this.quiet, withinMs);
  }

  caughtUp(): Promise<void> {
    return this.until(() => this.events.some(({ kind }) => kind === 'caught-up'));
  }

  /** Lets time pass until `condition` holds; throws what ended the agent before. */
  async until(condition: () => boolean, withinMs?: number): Promise<void> {
    await this.#lab.clock.until(() => typeof this.outcome === 'object' || condition(), withinMs);
    if (typeof this.outcome === 'object') throw this.outcome.error;
  }

  async settledAndEqual(): Promise<void> {
    await this.settle();
    this.#lab.assertEqual();
  }

  /** The process dies between two instructions: nothing of it goes on, and the ledger holds what was durable. */
  crash(): void {
    this.#alive = false;
    this.#lab.ledger = this.#lab.ledger.crash();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.#lab.clock.until(() => this.outcome !== 'running');
    await this.running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#alive || this.outcome !== 'running') return;
    this.stopping.abort();
    this.killing.abort();
    await this.#lab.clock.until(() => this.outcome !== 'running');
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

  #clock(): Clock {
    const { clock } = this.#lab;
    return {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: (ms, signal) => this.#mine(clock.sleep(ms, signal)),
    };
  }

  #connector(clock: Clock, prepareMs: number): Connector {
    const lab = this.#lab;
    const { source } = lab;
    return {
      get identity() {
        return source.identity;
      },
      source: 'lab',
      prepare: (signal) => clock.sleep(prepareMs, signal),
      list: (signal) => this.#list(clock, signal),
      watch: (_after, signal) => this.#watch(clock, signal),
      resolve: async (tables, signal) => {
        const asOf = clock.now();
        await lab.pause(clock, signal);
        if (source.broken) throw new Error('The lab has no power.');
        source.reads++;
        const states = tables.map((table) => source.state(table, asOf));
        await lab.pause(clock, signal);
        return states;
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async *#list(clock: Clock, signal: AbortSignal): AsyncGenerator<readonly TableState[]> {
    this.onList();
    const { source } = this.#lab;
    const asOf = clock.now();
    const states = [...source.rows.keys()].map((of) => source.state(tableOf(of), asOf));
    for (let start = 0; start < states.length; start += 3) {
      await this.#lab.pause(clock, signal);
      signal.throwIfAborted();
      yield states.slice(start, start + 3);
    }
    await this.#lab.pause(clock, signal);
    signal.throwIfAborted();
  }

  async *#watch(clock: Clock, signal: AbortSignal): AsyncGenerator<Delivery> {
    const { source } = this.#lab;
    this.streams++;
    for (let at = source.acked; ;) {
      await this.#mine(source.more(at, signal));
      await this.#lab.pause(clock, signal);
      if (signal.aborted) return;
      const end = Math.min(source.log.length, at + 1 + Math.floor(this.#lab.random() * 3));
      const logged = source.log.slice(at, end);
      // The consumer records what it gets in this turn of the event loop.
      setImmediate(() => (this.told = end));
      yield {
        changes: logged.filter(({ lost }) => !lost).map(({ change }) => change),
        position: String(end).padStart(9, '0'),
        ack: async () => {
          source.acked = Math.max(source.acked, end);
        },
      };
      at = end;
    }
  }

  #target(polaris: LabPolaris, clock: Clock): Target {
    const lab = this.#lab;
    return {
      name: polaris.name,
      notify: (notification, signal) => this.#notify(polaris, { notification, clock, signal }),
      serves: async (table, location, signal): Promise<Served> => {
        const fault = polaris.fault(table);
        await lab.pause(clock, signal);
        signal.throwIfAborted();
        if (polaris.down || fault !== undefined) throw new PushError('POLARIS_UNAVAILABLE', 'It is down.');
        const served = polaris.tables.get(keyOf(table))?.location;
        return served === undefined ? 'nothing' : served === location ? 'this' : 'other';
      },
      tables: async function* () {
        for (const of of polaris.tables.keys()) yield tableOf(of);
      },
      check: async function* () {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async #notify(polaris: LabPolaris, { notification, clock, signal }: Sent): Promise<Outcome> {
    const lab = this.#lab;
    const { type, table, timestamp } = notification;
    if (type !== 'VALIDATE') {
      const last = polaris.sentTimestamps.get(keyOf(table)) ?? -1;
      assert.ok(timestamp > last, `${type} ${showTable(table)}: timestamp ${timestamp} is not above ${last}`);
      polaris.sentTimestamps.set(keyOf(table), timestamp);
    }
    polaris.onSend(notification);
    if (polaris.down) {
      await lab.pause(clock, signal);
      return { kind: 'unavailable', message: 'connection refused' };
    }
    const fault = polaris.fault(notification);
    polaris.sending++;
    // What was sent arrives, whether the sender lives on or not.
    const arrival = polaris.slowMs === undefined ? lab.pause(lab.clock) : lab.clock.sleep(polaris.slowMs);
    const answer = arrival.then((): Outcome => {
      polaris.sending--;
      if (fault === 'lost') return { kind: 'unknown', message: 'no answer' };
      if (typeof fault === 'object') return fault;
      const outcome = polaris.arrive(notification, lab.clock.monotonicMs());
      return fault === 'unanswered' ? { kind: 'unknown', message: 'no answer' } : outcome;
    });
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    const outcome = await this.#mine(Promise.race([answer, aborted]));
    await lab.pause(clock, signal);
    signal.throwIfAborted();
    return outcome;
  }
}

type Sent = { readonly notification: Notification; readonly clock: Clock; readonly signal: AbortSignal };
