import { exhaust, exhaustAsync } from './choices.ts';
import { DEEDS, ShortHistory, type ShortOptions } from './short-history.ts';
import { World, type WorldOptions } from './world.ts';

/** A set of short histories, all of which are run. */
export type HistorySet = {
  readonly title: string;
  /** So many there are at least: fewer would mean that the set has lost some. */
  readonly atLeast: number;
  /** Runs them all and returns how many they were. Throws at the first violation. */
  readonly run: () => number | Promise<number>;
};

const lanes = (title: string, atLeast: number, options: WorldOptions): HistorySet => ({
  title,
  atLeast,
  run: () => exhaust((choose) => new World(choose, options).run()),
});

const agents = (title: string, atLeast: number, options: ShortOptions): HistorySet => ({
  title,
  atLeast,
  run: () => exhaustAsync((choose) => new ShortHistory(choose, options).run()),
});

/** The lanes of the core alone: fast enough for every place of every fault. */
export const LANE_SETS: readonly HistorySet[] = [
  lanes('two changes of one table and one fault', 10_000, { names: ['a'], changes: 2, faults: 1, rivals: true }),
  lanes('one change of one table and three faults', 5_000, { names: ['a'], changes: 1, faults: 3, rivals: true }),
  lanes('three changes with re-created tables replaced', 5_000, {
    names: ['a'],
    changes: 3,
    faults: 0,
    policy: { recreate: 'replace' },
  }),
  lanes('two changes and one fault where Polaris is asked first', 10_000, {
    names: ['a'],
    changes: 2,
    faults: 1,
    policy: { adopt: true },
  }),
  lanes('two changes with renames between two names', 100_000, { names: ['a', 'b'], changes: 2, faults: 0 }),
];

const { create, commit, rollBack, drop, recreate, turn, view, rename, back, swap, commitOther, createOther } = DEEDS;
const before = [create];
const crash = { crash: ['crash'] } as const;
const anything = {
  ...crash,
  prepare: ['failed'],
  list: ['partial', 'failed'],
  delivery: ['broken'],
  ack: ['forgotten'],
  read: ['failed'],
  commit: ['failed'],
  request: ['lost', 'unanswered', 'conflict', 'create race', 'token', 'overloaded'],
} as const;
const restInOrder = true;

/** The whole agent: pipeline, drivers, core and ledger. */
export const AGENT_SETS: readonly HistorySet[] = [
  agents('a CREATE and any fault', 50, { deeds: [create], faults: 1, kinds: anything, restInOrder }),
  agents('a commit and any fault', 50, { before, deeds: [commit], faults: 1, kinds: anything, restInOrder }),
  agents('a DROP and any fault', 50, { before, deeds: [drop], faults: 1, kinds: anything, restInOrder }),
  agents('a re-creation and any fault', 50, { before, deeds: [recreate], faults: 1, kinds: anything, restInOrder }),
  agents('a table that becomes a view and any fault', 10, {
    before,
    deeds: [turn],
    faults: 1,
    kinds: anything,
    restInOrder,
  }),
  agents('a commit that is rolled back, and two lost or refused requests', 300, {
    before,
    deeds: [commit, rollBack],
    faults: 2,
    kinds: { request: ['lost', 'unanswered', 'token'] },
    restInOrder,
  }),
  agents('a rename and any fault', 150, { before, deeds: [rename], faults: 1, kinds: anything, restInOrder }),
  agents('a swap and any fault', 1000, {
    before: [create, createOther],
    deeds: [swap],
    faults: 1,
    kinds: anything,
    restInOrder,
  }),
  agents('a CREATE and a commit, in all interleavings', 500, { deeds: [create, commit], faults: 0 }),
  agents('a commit and a DROP, in all interleavings', 300, { before, deeds: [commit, drop], faults: 0 }),
  agents('a DROP and a CREATE, in all interleavings', 300, { before, deeds: [drop, create], faults: 0 }),
  agents('a DROP and a view of that name, in all interleavings', 300, { before, deeds: [drop, view], faults: 0 }),
  agents('a DROP, a CREATE and a crash', 3000, { before, deeds: [drop, create], faults: 1, kinds: crash, restInOrder }),
  agents('a DROP, a CREATE and a commit', 1000, { before, deeds: [drop, create, commit], faults: 0, restInOrder }),
  agents('a rename there and back', 10, { before, deeds: [rename, back], faults: 0, restInOrder }),
  agents('a rename and a CREATE of the old name', 10, { before, deeds: [rename, create], faults: 0, restInOrder }),
  agents('a DROP that waits for another table, and a CREATE', 300, {
    before: [create, createOther],
    deeds: [commitOther, drop, create],
    faults: 0,
    restInOrder,
    concurrency: 1,
  }),
  agents('a re-creation that is replaced, and a crash', 50, {
    before,
    deeds: [recreate],
    faults: 1,
    kinds: crash,
    restInOrder,
    policy: { recreate: 'replace' },
  }),
];

/** Too many for every run of the tests. */
export const NIGHTLY_SETS: readonly HistorySet[] = [
  lanes('three changes of one table and one fault', 50_000, { names: ['a'], changes: 3, faults: 1, rivals: true }),
  lanes('two changes of one table and two faults', 50_000, { names: ['a'], changes: 2, faults: 2, rivals: true }),
  agents('a DROP and two crashes', 2000, { before, deeds: [drop], faults: 2, kinds: crash, restInOrder }),
  agents('a commit and two crashes', 3000, { before, deeds: [commit], faults: 2, kinds: crash, restInOrder }),
  agents('a DROP, a CREATE and any fault', 5000, {
    before,
    deeds: [drop, create],
    faults: 1,
    kinds: anything,
    restInOrder,
  }),
  agents('a rename, a CREATE of the old name and a crash, each at any moment', 400, {
    before,
    deeds: [rename, create],
    faults: 1,
    kinds: crash,
    inOrder: true,
  }),
  agents('a rename there and back and two crashes, each at any moment', 10_000, {
    before,
    deeds: [rename, back],
    faults: 2,
    kinds: crash,
    inOrder: true,
  }),
];
