import type { Policy } from '../../src/core/policy.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { VirtualClock } from '../pipeline/virtual-clock.ts';
import { SimAgent, type Circumstances } from './agent.ts';
import { Checker } from './checker.ts';
import { chosenBySeed } from './choices.ts';
import { differences } from './differences.ts';
import { SimPolaris } from './polaris.ts';
import { SimSource } from './source.ts';
import { Violation } from './violation.ts';
import { WallClock } from './wall-clock.ts';

export type CalmOptions = {
  readonly clock?: VirtualClock;
  readonly polaris?: SimPolaris;
  readonly seed?: number;
  /** The source's clock, ms ahead. */
  readonly aheadMs?: number;
  readonly policy?: Partial<Policy>;
};

/** One agent with its own source and ledger, in which nothing goes wrong but what a test does. */
export class CalmWorld {
  readonly clock: VirtualClock;
  readonly source = new SimSource();
  readonly polaris: SimPolaris;
  readonly world: Circumstances;
  readonly agent: SimAgent;

  constructor({ clock, polaris, seed = 1, aheadMs = 0, policy = {} }: CalmOptions = {}) {
    this.clock = clock ?? new VirtualClock();
    this.polaris = polaris ?? new SimPolaris('main');
    const random = seededRandom(seed);
    const { source } = this;
    const sleep = () => this.clock.sleep(Math.floor(random() * 20));
    const sourceClock = new WallClock(this.clock);
    sourceClock.step(aheadMs);
    this.world = {
      clock: this.clock,
      hostClock: new WallClock(this.clock),
      sourceClock,
      source,
      targets: [this.polaris],
      ledger: new MemoryLedger({
        schedule: (commit) => {
          void sleep().then(commit);
        },
      }),
      checker: new Checker({
        source,
        replace: false,
        prechecks: false,
        orderedRenames: true,
        concurrency: 4,
      }),
      random,
      choose: chosenBySeed(seed),
      policy,
      budget: undefined,
      concurrency: 4,
      reconcileEveryMs: 900_000,
      auditEveryMs: 3_600_000,
      pause: (_what, signal) => this.clock.sleep(Math.floor(random() * 20), signal),
      fault: () => undefined,
      log: () => {},
      arrivesLate: () => {},
    };
    this.agent = new SimAgent(this.world);
  }

  /** What the ledger says of a table that it gave up. */
  get parked(): (string | undefined)[] {
    return [...this.world.ledger.entries('main')]
      .map(({ parked }) => parked?.code)
      .filter((code) => code !== undefined);
  }

  get differences(): string[] {
    return differences({ source: this.source, target: this.polaris, ledger: this.world.ledger, keeps: false });
  }

  /** Lets time pass until all that is known is delivered or given up; throws what was violated meanwhile. */
  async settle(): Promise<void> {
    await this.clock.until(() => this.agent.quiet && this.agent.caughtUp, 900_000);
    const { violation } = this.world.checker;
    if (violation !== undefined) throw new Violation(violation, []);
  }
}
