import type { Policy } from '../../src/core/policy.ts';
import { showTable } from '../../src/core/table.ts';
import { PushError } from '../../src/errors/errors.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import { VirtualClock } from '../pipeline/virtual-clock.ts';
import { SimAgent, type Circumstances, type Fault, type Operation } from './agent.ts';
import { Checker } from './checker.ts';
import type { Choose } from './choices.ts';
import { differences } from './differences.ts';
import { key } from './names.ts';
import { SimPolaris } from './polaris.ts';
import { SimSource } from './source.ts';
import { Violation } from './violation.ts';
import { WallClock } from './wall-clock.ts';

/** One thing that the source does; undefined where it can't. */
export type Deed = (source: SimSource) => void;

export type ShortOptions = {
  /** What the source does before: delivered without any choice. */
  readonly before?: readonly Deed[];
  /** What it does in this history, in this order, at any moment. */
  readonly deeds: readonly Deed[];
  /** How many faults one history has at most, and of which kinds. A `crash` may come between any two operations. */
  readonly faults: number;
  readonly kinds?: Partial<Readonly<Record<Operation | 'crash', readonly (Fault | 'crash')[]>>>;
  /** Once all deeds and faults have been, the rest goes on in its order: with crashes, all interleavings are too many. */
  readonly restInOrder?: boolean;
  /** Operations go on in their order all the time: only the moments of deeds and faults are chosen. */
  readonly inOrder?: boolean;
  readonly policy?: Partial<Policy>;
  /** Requests under way together; default 4. */
  readonly concurrency?: number;
};

type Pending = { readonly what: Operation; readonly go: () => void };

/** More steps than any history needs: without end, something starves. */
const MOST_STEPS = 2000;

/**
 * The real pipeline in a short history. Every operation of its neighbours waits until it is chosen to go on, so a run is
 * one interleaving of reads, commits, requests, answers, changes of the source and crashes, and all runs are all of them.
 * Time passes only when nothing else can happen.
 */
export class ShortHistory {
  readonly #choose: Choose;
  readonly #options: ShortOptions;
  readonly #world: Circumstances;
  readonly #clock = new VirtualClock();
  #pending: Pending[] = [];
  #agent: SimAgent;
  /** No choices before the beginning: things go on in their order. */
  #begun = false;
  #faults = 0;
  #done = 0;
  #ledgerFailed = false;
  readonly trace: string[] = [];

  constructor(choose: Choose, options: ShortOptions) {
    this.#choose = choose;
    this.#options = options;
    const source = new SimSource();
    const hostClock = new WallClock(this.#clock);
    const { policy = {}, concurrency = 4 } = options;
    const replace = policy.recreate === 'replace';
    this.#world = {
      clock: this.#clock,
      hostClock,
      sourceClock: hostClock,
      source,
      targets: [new SimPolaris('main')],
      ledger: new MemoryLedger({ schedule: (commit) => this.#commit(commit) }),
      checker: new Checker({
        source,
        replace,
        prechecks: true,
        orderedRenames: true,
        concurrency,
      }),
      random: () => 0.5,
      choose: () => 0,
      policy,
      budget: undefined,
      concurrency,
      reconcileEveryMs: 900_000,
      auditEveryMs: undefined,
      pause: (what) => this.#pause(what),
      fault: (what) => this.#fault(what),
      log: (what) => void this.trace.push(what),
      arrivesLate: (polaris, notification) => void polaris.notify(notification, undefined),
    };
    this.#agent = new SimAgent(this.#world);
  }

  async run(): Promise<void> {
    const { before = [] } = this.#options;
    for (const deed of before) deed(this.#world.source);
    try {
      await this.#finish();
      this.#begun = true;
      await this.#finish();
      this.#compare();
    } finally {
      this.#agent.crash();
    }
  }

  /** Goes on until nothing is left to happen. */
  async #finish(): Promise<void> {
    for (let steps = 0; ; steps++) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#check();
      if (this.#pending.length === 0 && this.#agent.quiet && this.#agent.caughtUp && !this.#mayDo) return;
      if (steps > MOST_STEPS) throw new Violation('this history has no end', this.trace);
      await this.#next();
    }
  }

  get #mayDo(): boolean {
    return this.#begun && this.#done < this.#options.deeds.length;
  }

  get #isChosen(): boolean {
    if (!this.#begun) return false;
    return this.#options.restInOrder !== true || this.#mayDo || this.#faults < this.#options.faults;
  }

  async #next(): Promise<void> {
    const crashes = this.#begun && this.#pending.length > 0 && this.#mayFail('crash').length > 0;
    const open = this.#options.inOrder === true ? Math.min(1, this.#pending.length) : this.#pending.length;
    const ways = open + Number(this.#mayDo) + Number(crashes);
    if (ways === 0) return void (await this.#clock.leap());
    const way = ways > 1 && this.#isChosen ? this.#choose(ways) : 0;
    if (way < open) {
      const [pending] = this.#pending.splice(way, 1);
      pending?.go();
    } else if (this.#mayDo && way === open) this.#act();
    else this.#crash();
  }

  #act(): void {
    const { source } = this.#world;
    const transactions = source.transactions.length;
    this.#options.deeds[this.#done++]!(source);
    for (const { changes } of source.transactions.slice(transactions))
      this.trace.push(...changes.map(({ kind, table }) => `${kind} ${showTable(table)}`));
  }

  #pause(what: Operation): Promise<void> {
    return new Promise((resolve) => {
      // These lead to nothing else, or to what is chosen anyway: to choose them would only repeat histories.
      if (what === 'ack' || what === 'prepare') resolve();
      else this.#pending.push({ what, go: resolve });
    });
  }

  #commit(commit: () => void): void {
    const { ledger } = this.#world ?? {};
    if (this.#fault('commit') === 'failed') {
      this.#ledgerFailed = true;
      queueMicrotask(() => ledger?.fail());
    } else this.#pending.push({ what: 'commit', go: commit });
  }

  #mayFail = (what: Operation | 'crash'): readonly (Fault | 'crash')[] =>
    this.#faults < this.#options.faults ? (this.#options.kinds?.[what] ?? []) : [];

  #fault(what: Operation): Fault | undefined {
    if (!this.#begun) return undefined;
    const kinds = this.#mayFail(what);
    const which = kinds.length === 0 ? 0 : this.#choose(kinds.length + 1);
    const fault = kinds[which - 1];
    if (fault === undefined || fault === 'crash') return undefined;
    this.#faults++;
    this.trace.push(`${what} ${fault}`);
    return fault;
  }

  #crash(): void {
    this.#faults++;
    this.trace.push('crash');
    this.#rise();
  }

  /** What a dead agent sent arrives before its successor begins; nothing else of it goes on. */
  #rise(): void {
    this.#ledgerFailed = false;
    this.#agent.crash();
    const pending = this.#pending;
    this.#pending = [];
    for (const { what, go } of pending) if (what === 'request') go();
    this.#agent = new SimAgent(this.#world);
  }

  #check(): void {
    const { violation } = this.#world.checker;
    if (violation !== undefined) throw new Violation(violation, this.trace);
    const { outcome } = this.#agent;
    if (typeof outcome !== 'object') return;
    if (!this.#ledgerFailed || !(outcome.error instanceof PushError))
      throw new Violation(`the agent ended: ${String(outcome.error)}`, this.trace);
    this.trace.push('the agent ended, as its ledger failed');
    this.#rise();
  }

  #compare(): void {
    const { source, targets, ledger } = this.#world;
    for (const target of targets) {
      const found = differences({ source, target, ledger, keeps: false });
      const { pending, parked } = ledger.totals(target.name);
      if (pending > 0) found.push(`${pending} entries are pending`);
      if (parked > 0) found.push(`${parked} entries are parked`);
      if (found.length > 0) throw new Violation(found.join('\n'), this.trace);
    }
  }
}

const has = (source: SimSource, name: string): boolean => source.rows.has(key(name));

/** What a source may do to one table of two. */
export const DEEDS = {
  create: (source) => has(source, 'db.a') || source.create('db.a'),
  commit: (source) => has(source, 'db.a') && source.commit('db.a'),
  drop: (source) => has(source, 'db.a') && source.drop('db.a'),
  recreate: (source) => has(source, 'db.a') && source.recreate('db.a'),
  view: (source) => has(source, 'db.a') || source.create('db.a', { unsupported: 'a view' }),
  rollBack: (source) => has(source, 'db.a') && source.rollBack('db.a'),
  turn: (source) => has(source, 'db.a') && source.turn('db.a', 'a view'),
  rename: (source) => has(source, 'db.a') && !has(source, 'db.b') && source.rename('db.a', 'db.b'),
  back: (source) => has(source, 'db.b') && !has(source, 'db.a') && source.rename('db.b', 'db.a'),
  swap: (source) => has(source, 'db.a') && has(source, 'db.b') && source.swap('db.a', 'db.b', 'db.c', true),
  commitOther: (source) => has(source, 'db.b') && source.commit('db.b'),
  createOther: (source) => has(source, 'db.b') || source.create('db.b'),
} as const satisfies Readonly<Record<string, Deed>>;
