import { keyOf, showTable, tableOf, type TableKey } from '../../src/core/table.ts';
import type { Policy } from '../../src/core/policy.ts';
import type { Notification, TableIdentifier } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { VirtualClock } from '../pipeline/virtual-clock.ts';
import { REQUESTS_EVERY_MS, SimAgent, type Circumstances, type Fault, type Operation } from './agent.ts';
import { Checker } from './checker.ts';
import { chosenBySeed, type Choose } from './choices.ts';
import { differences } from './differences.ts';
import { id, key } from './names.ts';
import { SimPolaris, type Flaw, type Trouble } from './polaris.ts';
import { SimReceiver, SINK } from './receiver.ts';
import { SimSource } from './source.ts';
import { Violation } from './violation.ts';
import { WallClock } from './wall-clock.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const RECONCILE_EVERY_MS = 15 * MINUTE;
const AUDIT_EVERY_MS = 40 * MINUTE;
/** Once nothing goes wrong any more, whatever is known must be delivered within this time: nobody starves. */
const PATIENCE_MS = 15 * MINUTE;
/** Longer than any request is under way, so that nothing of a dead agent arrives after its successor has begun. */
const RESTART_MS = 45_000;

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => `db.${name}`);
const SPARE = 'db.spare';

/** What may happen to which operation, of which every history has some. */
const FAULTS: Readonly<Record<Operation, readonly Fault[]>> = {
  prepare: ['failed', 'denied'],
  list: ['failed', 'denied', 'partial', 'outdated'],
  delivery: ['broken', 'twice'],
  ack: ['forgotten'],
  read: ['failed', 'denied'],
  reading: [],
  commit: ['failed'],
  request: [
    'lost',
    'unanswered',
    'late',
    'conflict',
    'create race',
    'parent race',
    'rate',
    'rate, with a date to come back',
    'overloaded',
    'gateway',
    'token',
    'privilege',
  ],
  answer: [],
  probe: ['failed'],
};

const TROUBLES: readonly Trouble[] = [
  'rate',
  'rate, with a date to come back',
  'overloaded',
  'gateway',
  'token',
  'privilege',
  'no catalog',
  'no realm',
];
const FLAWS: readonly Flaw[] = ['missing', 'garbage', 'not metadata', 'outside'];

/** What one seed simulated. */
export type Summary = { readonly hours: number; readonly quiet: number; readonly requests: number };

/**
 * A source that changes, faults of everything, and the real pipeline in between, as a seed has it: each history draws
 * its own mix. At every quiet moment the faults end, and everything must become right within bounded time.
 */
export class LongHistory {
  readonly #choose: Choose;
  readonly #random: () => number;
  readonly #world: Circumstances;
  readonly #clock = new VirtualClock();
  readonly trace: string[] = [];
  #agent: SimAgent;
  readonly #names: readonly string[];
  readonly #enabled: Readonly<Record<Operation, readonly Fault[]>>;
  /** How slow everything is, ms: the mean of a request. */
  readonly #paceMs: number;
  /** One in so many operations meets a fault, while there are some. */
  readonly #rarity: number;
  readonly #rivals: boolean;
  readonly #receiver: SimReceiver | undefined;
  /** Faults are in force: quiet moments have none. */
  #faulty = false;
  #slow = false;
  #ledgerFailed = false;
  /** Somebody else changed what Polaris holds under these names; only an audit or the next change finds that out. */
  readonly #disturbed = new Map<string, Set<TableKey>>();
  /** Hints were lost, or something was refused for a reason that is gone: the next list finds it. */
  #needsList = false;
  #quiet = 0;
  #late = 0;

  constructor(seed: number) {
    const choose = (this.#choose = chosenBySeed(seed));
    this.#random = seededRandom(seed ^ 0x5eed);
    this.#names = NAMES.slice(0, 2 + choose(NAMES.length - 1));
    this.#enabled = Object.fromEntries(
      Object.entries(FAULTS).map(([what, faults]) => [what, faults.filter(() => choose(2) === 0)]),
    ) as unknown as Record<Operation, readonly Fault[]>;
    this.#paceMs = [2, 10, 200][choose(3)]!;
    this.#rarity = [3, 8, 30][choose(3)]!;
    this.#rivals = choose(3) === 0;
    // Every other history has somebody to tell; its commits are then among those that may fail.
    this.#receiver = seed % 2 === 1 ? new SimReceiver(chosenBySeed(seed ^ 0xf0e)) : undefined;
    this.#world = this.#circumstances();
    this.#agent = new SimAgent(this.#world);
  }

  async run(): Promise<Summary> {
    try {
      return await this.#live();
    } finally {
      this.#agent.crash();
    }
  }

  async #live(): Promise<Summary> {
    for (let spells = 4 + this.#choose(5); spells > 0; spells--) {
      await this.#spell();
      await this.#calm();
      await this.#rest();
    }
    this.#agent.stop();
    await this.#until(() => this.#agent.outcome === 'ended', 10 * MINUTE, 'the agent does not end');
    const requests = this.#world.targets.reduce((sum, target) => sum + target.received, 0);
    return { hours: this.#clock.monotonicMs() / HOUR, quiet: this.#quiet, requests };
  }

  #circumstances(): Circumstances {
    const choose = this.#choose;
    const drift = () => 1 + [0, 0, 0.001, -0.001, 0.05][choose(5)]!;
    const source = new SimSource(choose(3) === 0 ? 'queue' : 'log');
    const policy: Partial<Policy> = {
      recreate: choose(4) === 0 ? 'replace' : 'keep',
      prechecks: (['new', 'new', 'always', 'never'] as const)[choose(4)]!,
      adopt: choose(2) === 0,
      dropGraceMs: [0, 0, 0, 30_000, 300_000][choose(5)]!,
      drops: (['fenced', 'fenced', 'fenced', 'report', 'never'] as const)[choose(5)]!,
    };
    const concurrency = 1 + choose(6);
    const targets = choose(3) === 0 ? ['main', 'second'] : ['main'];
    const replace = policy.recreate === 'replace';
    const prechecks = policy.prechecks !== 'never' && policy.adopt === false;
    const orderedRenames = source.kind === 'log';
    return {
      clock: this.#clock,
      hostClock: new WallClock(this.#clock, drift()),
      sourceClock: new WallClock(this.#clock, drift()),
      source,
      targets: targets.map((name) => new SimPolaris(name)),
      ledger: this.#ledger(),
      checker: new Checker({
        source,
        replace,
        prechecks,
        orderedRenames,
        concurrency,
      }),
      random: this.#random,
      choose,
      policy,
      budget: choose(2) === 0 ? undefined : { floor: 1 + choose(4), share: 0, perMs: 10 * MINUTE },
      concurrency,
      reconcileEveryMs: RECONCILE_EVERY_MS,
      auditEveryMs: AUDIT_EVERY_MS,
      receiver: this.#receiver,
      pause: (what, signal) => this.#clock.sleep(this.#latencyMs(what), signal),
      fault: (what) => this.#fault(what),
      log: (what) => this.#log(what),
      arrivesLate: (polaris, notification) => this.#arrivesLate(polaris, notification),
    };
  }

  #ledger(): MemoryLedger {
    const commit = (done: () => void) => {
      if (this.#fault('commit') === 'failed') {
        this.#log('ledger fails');
        this.#ledgerFailed = true;
        const { ledger } = this.#world;
        queueMicrotask(() => ledger.fail());
      } else void this.#later(this.#latencyMs('commit'), done);
    };
    return new MemoryLedger({ schedule: commit });
  }

  #latencyMs(what: Operation): number {
    const usual = Math.floor(this.#random() * 2 * this.#paceMs);
    if (!this.#slow || this.#random() > 0.2) return usual;
    return Math.floor(this.#random() * (what === 'read' || what === 'request' ? 30_000 : 2000));
  }

  #fault(what: Operation): Fault | undefined {
    if (!this.#faulty) return undefined;
    const faults = this.#enabled[what];
    const rarity = what === 'commit' || what === 'delivery' ? this.#rarity * 20 : this.#rarity;
    if (faults.length === 0 || this.#choose(rarity) > 0) return undefined;
    const fault = faults[this.#choose(faults.length)]!;
    this.#log(`${what} ${fault}`);
    return fault;
  }

  async #spell(): Promise<void> {
    this.#slow = this.#choose(4) === 0;
    for (let steps = 3 + this.#choose(30); steps > 0; steps--) {
      this.#faulty = this.#choose(3) > 0;
      await this.#happen();
      await this.#pass();
    }
  }

  /** Hours in which nothing happens: nothing is sent, and nothing changes. */
  async #rest(): Promise<void> {
    const received = () => this.#world.targets.reduce((sum, target) => sum + target.received, 0);
    // An audit that began in time may have seen a table just before its delivery, and have it delivered once more.
    await this.#advance(MINUTE);
    await this.#settle();
    const before = received();
    await this.#advance(this.#choose(6 * HOUR));
    await this.#settle();
    if (received() > before) this.#fail(`${received() - before} needless requests`);
    this.#compare();
  }

  async #pass(): Promise<void> {
    const what = this.#choose(10);
    if (what < 5) for (let turns = this.#choose(8); turns > 0; turns--) await this.#leap();
    else if (what < 8) await this.#advance(this.#choose(50 * this.#paceMs));
    else await this.#advance(this.#choose(what === 8 ? MINUTE / 4 : 4 * MINUTE));
  }

  async #happen(): Promise<void> {
    const { hostClock, sourceClock, source, ledger, targets } = this.#world;
    const polaris = targets[this.#choose(targets.length)]!;
    switch (this.#choose(32)) {
      case 0:
      case 1:
        return this.#crash();
      case 2:
        return this.#restart();
      case 3:
        return this.#step('host', hostClock);
      case 4:
        return this.#step('source', sourceClock);
      case 5:
        source.losing = !source.losing;
        return this.#log(source.losing ? 'hints are lost' : 'hints come');
      case 6:
        polaris.down = !polaris.down;
        this.#log(`${polaris.name} ${polaris.down ? 'down' : 'up'}`);
        // Longer than anybody's patience, now and then.
        return this.#advance(this.#choose(4) === 0 ? this.#choose(HOUR / 2) : 0);
      case 7:
        polaris.trouble = polaris.trouble === undefined ? TROUBLES[this.#choose(TROUBLES.length)] : undefined;
        return this.#log(`${polaris.name} has ${polaris.trouble ?? 'no trouble'}`);
      case 8:
        return this.#flaw(polaris);
      case 9:
        polaris.taken.set(keyOf(this.#table()), this.#choose(2) === 0 ? 'View' : 'Generic table');
        this.#needsList = true;
        return;
      case 10:
        if (this.#ledgerFailed) return;
        return void ledger.submit({ kind: this.#choose(2) === 0 ? 'retry' : 'release' });
      case 11:
      case 12:
        return this.#rivals ? this.#rival(polaris) : undefined;
      default:
        return this.#change();
    }
  }

  #step(whose: string, clock: WallClock): void {
    const byMs = [-5, -3000, -HOUR, -48 * HOUR, 3000, HOUR][this.#choose(6)]! * (1 + this.#choose(2));
    clock.step(byMs);
    if (this.#choose(3) === 0) clock.drift(1 + (this.#choose(5) - 2) / 100);
    this.#log(`${whose}'s clock steps ${byMs} ms`);
  }

  #table(): TableIdentifier {
    return id(this.#names[this.#choose(this.#names.length)]!);
  }

  #change(): void {
    const { source, checker } = this.#world;
    const name = this.#names[this.#choose(this.#names.length)]!;
    const to = this.#names[this.#choose(this.#names.length)]!;
    const rowOf = (of: string) => source.rows.get(key(of));
    const row = rowOf(name);
    if (source.losing) this.#needsList = true;
    if (row === undefined) source.create(name, this.#choose(8) === 0 ? { unsupported: 'a view' } : {});
    else {
      switch (this.#choose(12)) {
        case 0:
        case 1:
          source.drop(name);
          break;
        case 2:
        case 3:
          if (rowOf(to) === undefined) source.rename(name, to);
          else if (to !== name && rowOf(SPARE) === undefined) source.swap(name, to, SPARE, this.#choose(2) === 0);
          break;
        case 4:
          source.turn(name, row.unsupported === undefined ? 'a view' : undefined);
          checker.turned.add(row.incarnation);
          break;
        case 5:
          source.cascade(this.#names.filter((other) => rowOf(other) !== undefined && this.#choose(3) > 0));
          break;
        case 6:
          source.recreate(name);
          break;
        case 7:
          if (row.unsupported === undefined) source.rollBack(name);
          break;
        default:
          if (row.unsupported === undefined) source.commit(name);
      }
    }
    const last = source.transactions.at(-1);
    for (const change of last?.changes ?? []) {
      const arrow = change.kind === 'renamed' ? ` to ${showTable(change.to)}` : '';
      this.#log(`#${last?.at} ${change.kind} ${showTable(change.table)}${arrow}`);
    }
  }

  /** A table's present metadata file turns out to be unusable for a while. */
  #flaw(polaris: SimPolaris): void {
    const { rows } = this.#world.source;
    const row = [...rows.values()][this.#choose(Math.max(1, rows.size))];
    if (row === undefined) return;
    const flaw = FLAWS[this.#choose(FLAWS.length)]!;
    polaris.flaws.set(row.location, flaw);
    this.#needsList = true;
    this.#log(`${row.location} is ${flaw}`);
  }

  /** Somebody else tells Polaris something, by a clock of their own. */
  #rival(polaris: SimPolaris): void {
    const table = this.#table();
    const of = keyOf(table);
    const held = polaris.tables.get(of);
    this.#disturb(polaris.name, of);
    const what = this.#choose(5);
    if (what === 0) polaris.tables.delete(of);
    else {
      const aheadMs = [-HOUR, 0, 5000, 20 * HOUR, 30_000 * HOUR][this.#choose(5)]!;
      const timestamp = what === 1 ? undefined : Math.max(this.#clock.now() + aheadMs, (held?.timestamp ?? 0) + 1);
      const location = this.#choose(3) === 0 && held !== undefined ? held.location : 's3://m/foreign';
      polaris.tables.set(of, { location, timestamp, incarnation: held?.incarnation });
    }
    this.#log(`somebody else ${what === 0 ? 'drops' : 'writes'} ${showTable(table)} on ${polaris.name}`);
  }

  #disturb(target: string, of: TableKey): void {
    const disturbed = this.#disturbed.get(target) ?? new Set();
    this.#disturbed.set(target, disturbed.add(of));
    this.#world.checker.meddled(target, of);
  }

  #arrivesLate(polaris: SimPolaris, notification: Notification): void {
    this.#late++;
    void this.#later(this.#choose(30_000), () => {
      this.#late--;
      this.#log(`${polaris.name} late ${notification.type} ${showTable(notification.table)}`);
      polaris.notify(notification, undefined);
      if (notification.type !== 'VALIDATE') this.#disturb(polaris.name, keyOf(notification.table));
    });
  }

  async #later(ms: number, happens: () => void): Promise<void> {
    await this.#clock.sleep(ms);
    happens();
  }

  async #crash(): Promise<void> {
    this.#log('crash');
    this.#agent.crash();
    await this.#rise();
  }

  /** Ends in an orderly way, and starts again. */
  async #restart(): Promise<void> {
    this.#log('restart');
    const agent = this.#agent;
    agent.stop();
    await this.#until(() => this.#agent !== agent || agent.outcome === 'ended', HOUR, 'the agent does not end');
    if (this.#agent !== agent) return;
    agent.crash();
    await this.#rise();
  }

  async #rise(): Promise<void> {
    this.#ledgerFailed = false;
    // Nothing else is looked at meanwhile: there is no agent.
    const endMs = this.#wakeIn(RESTART_MS);
    while (this.#clock.monotonicMs() < endMs) await this.#clock.leap();
    this.#agent = new SimAgent(this.#world);
  }

  /** The faults end: everything becomes right within bounded time, and stays so. */
  async #calm(): Promise<void> {
    const { source, targets, checker } = this.#world;
    this.#log('calm');
    this.#faulty = this.#slow = source.losing = false;
    for (const target of targets) {
      target.down = false;
      target.trouble = undefined;
      target.flaws.clear();
      target.taken.clear();
    }
    await this.#until(() => this.#agent.caughtUp, PATIENCE_MS, 'the agent does not catch up');
    await this.#settle();
    await this.#until(() => this.#late === 0, HOUR, 'late requests');
    if (this.#disturbed.size > 0) await this.#advance(1.2 * (AUDIT_EVERY_MS + RECONCILE_EVERY_MS));
    else if (this.#needsList || this.#parked().length > 0) await this.#advance(1.2 * RECONCILE_EVERY_MS);
    await this.#settle();
    await this.#operate();
    this.#compare();
    await this.#allTold();
    this.#needsList = false;
    this.#disturbed.clear();
    checker.mended();
    this.#quiet++;
    if (checker.violation !== undefined) this.#fail(checker.violation);
  }

  #settle(): Promise<void> {
    return this.#until(() => this.#agent.quiet, PATIENCE_MS, 'work is left for ever');
  }

  #parked = () =>
    this.#world.targets.flatMap(({ name }) =>
      [...this.#world.ledger.entries(name)].filter(({ parked }) => parked !== undefined),
    );

  /** What only people may do: release held DROPs, drop what others left behind, repair timestamps that are ahead. */
  async #operate(): Promise<void> {
    const { targets, ledger, source } = this.#world;
    for (const target of targets) {
      const dropped = [...(this.#disturbed.get(target.name) ?? [])].filter(
        (of) => source.rows.get(of)?.unsupported !== undefined || !source.rows.has(of),
      );
      for (const { table, parked } of ledger.entries(target.name)) {
        if (parked?.code !== 'TIMESTAMP_AHEAD') continue;
        if (!this.#rivals) this.#fail(`parked as ahead without anybody else: ${showTable(table)}`);
        dropped.push(keyOf(table));
      }
      for (const of of dropped) target.tables.delete(of);
      if (dropped.length > 0) ledger.submit({ kind: 'mend', tables: dropped.map(tableOf), target: target.name });
    }
    if (this.#disturbed.size > 0) {
      await this.#advance(1.2 * REQUESTS_EVERY_MS);
      await this.#settle();
    }
    for (let round = 0; round < 3 && this.#parked().length > 0; round++) {
      ledger.submit({ kind: 'release' });
      await this.#advance(1.2 * REQUESTS_EVERY_MS);
      await this.#settle();
    }
  }

  #compare(): void {
    const { targets, source, ledger, policy } = this.#world;
    for (const target of targets) {
      const found = differences({ source, target, ledger, keeps: policy.drops === 'never' });
      if (found.length > 0) this.#fail(found.join('\n'));
      const { pending, entries } = ledger.totals(target.name);
      const names = this.#names.length + 1;
      if (pending > 0) this.#fail(`${pending} entries are pending at a quiet moment`);
      if (entries > names) this.#fail(`${entries} entries of ${names} names`);
    }
    const parked = this.#parked().map((entry) => `${showTable(entry.table)}: ${entry.parked?.code}`);
    if (parked.length > 0) this.#fail(`parked without a reason: ${parked.join(', ')}`);
  }

  /** Of everything that Polaris admitted there was an event, or one of something newer. */
  async #allTold(): Promise<void> {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const { ledger, targets } = this.#world;
    const names = targets.map(({ name }) => name);
    const missing = () => receiver.missing(ledger, names);
    // What the lanes did last may not be durable yet.
    await this.#advance(MINUTE);
    await this.#until(() => ledger.outbox.totals(SINK).waiting === 0, PATIENCE_MS, 'events wait for ever');
    if (missing().length > 0) this.#fail(missing().join('\n'));
  }

  async #advance(ms: number): Promise<void> {
    const endMs = this.#wakeIn(ms);
    while (this.#clock.monotonicMs() < endMs) await this.#leap();
  }

  /** When it will be, and a sleeper that makes time get there. */
  #wakeIn(ms: number): number {
    void this.#clock.sleep(ms);
    return this.#clock.monotonicMs() + ms;
  }

  async #until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
    const endMs = this.#clock.monotonicMs() + withinMs;
    // The last words of this moment may make it true.
    await new Promise((resolve) => setImmediate(resolve));
    while (!condition()) {
      if (this.#clock.monotonicMs() > endMs) this.#fail(`not within ${withinMs / MINUTE} minutes: ${what}`);
      await this.#leap();
    }
  }

  async #leap(): Promise<void> {
    const { checker, clock } = this.#world;
    await this.#clock.leap();
    this.#receiver?.turn(!this.#faulty);
    // What the last leap led to is over before anything else happens.
    await new Promise((resolve) => setImmediate(resolve));
    if (checker.violation !== undefined) this.#fail(checker.violation);
    const lanes = this.#agent.drivers.reduce((sum, { active }) => sum + active, 0);
    const most = (this.#names.length + 1) * this.#world.targets.length;
    if (lanes > most) this.#fail(`${lanes} lanes of ${most} tables`);
    if (clock.sleeping > 200) this.#fail(`${clock.sleeping} timers`);
    const { outcome } = this.#agent;
    if (typeof outcome !== 'object') return;
    if (!this.#ledgerFailed || !(outcome.error instanceof PushError))
      this.#fail(`the agent ended: ${String(outcome.error)}`);
    // A service manager starts it again; the ledger holds what was durable.
    this.#log('the agent ended, as its ledger failed');
    this.#agent.crash();
    await this.#rise();
  }

  #log(what: string): void {
    this.trace.push(`${this.#clock.monotonicMs()} ${what}`);
    if (this.trace.length > 4000) this.trace.splice(0, 2000);
  }

  #fail(what: string): never {
    throw new Violation(what, this.trace);
  }
}
