import { keyOf } from '../../src/core/table.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { openMirrorWorld, type MirrorWorld } from '../connectors/glue/agent.ts';

export type LossOptions = {
  readonly seed: number;
  readonly tables: number;
  readonly databases: number;
  readonly commits: number;
  /** Of all operations, the share that is a drop, a rename, and a creation. */
  readonly churn: number;
  readonly loss: number;
  readonly duplication: number;
  /** Events held back, out of which a random one goes each time: none keeps its place. */
  readonly shuffle: number;
  readonly reconcileEveryMs: number;
  /** Reads show what was true so many ms ago; none unless told. */
  readonly readLagMs?: number | undefined;
  /** See `source.confirm_after`; its default unless told. */
  readonly confirmAfter?: readonly string[] | undefined;
  /** How soon after the last operation they must be equal; one reconcile interval and what its list takes unless told. */
  readonly withinMs?: number | undefined;
  readonly onProgress?: ((operations: number) => void) | undefined;
};

export type LossResult = {
  readonly operations: number;
  readonly events: {
    readonly made: number;
    readonly lost: number;
    readonly duplicated: number;
    readonly delivered: number;
  };
  /** Of Glue, as the service counted them. */
  readonly calls: Readonly<Record<string, number>>;
  readonly notifications: Readonly<Record<string, number>>;
  readonly tables: number;
  /** From the last operation until source and Polaris were equal. */
  readonly equalAfterMs: number;
  /** How much of it was due to events alone: tables that differed right after the queue was empty. */
  readonly differentWithoutReconcile: number;
  /** Tables that were dropped in Polaris although they had been there since before the read. Must be empty. */
  readonly livingDropped: readonly string[];
  readonly ranMs: number;
};

/**
 * A busy Glue whose events are lost, doubled and shuffled, and an agent that mirrors it. Rejects if source and Polaris
 * are not equal within one reconcile interval (and what its list takes) after the last operation.
 */
export async function runLoss(options: LossOptions): Promise<LossResult> {
  const { loss, duplication, shuffle, readLagMs } = options;
  await using world = await openMirrorWorld({ stub: { readLagMs, events: { loss, duplication, shuffle } } });
  const { stub } = world;
  const operator = new Operator(world.writer, options);
  operator.createAll();
  const livingDropped: string[] = [];
  const notifications: Record<string, number> = {};
  await using agent = await world.startAgent({
    source: options.confirmAfter === undefined ? {} : { confirm_after: options.confirmAfter },
    sections: { reconcile: { every: `${options.reconcileEveryMs}ms` }, drops: { budget: 'off' } },
    onEvent: (event) => {
      if (event.kind !== 'notified' || event.outcome.kind !== 'admitted') return;
      const { type, table, timestamp } = event.notification;
      notifications[type] = (notifications[type] ?? 0) + 1;
      if (type === 'DROP' && operator.livedBefore(keyOf(table), timestamp)) livingDropped.push(keyOf(table));
    },
  });
  await agent.caughtUp();
  const before = performance.now();
  const calls = new Map(stub.requests);
  for (let i = 0; i < options.commits; i++) {
    operator.operate();
    if (i % 50 === 49) await backlogBelow(world, MOST_WAITING);
    if (i % 1_000 === 999) options.onProgress?.(i + 1);
  }
  const ended = performance.now();
  await stub.events.flush();
  await backlogBelow(world, 1);
  const differentWithoutReconcile = world.differences().length;
  // The interval is stretched by up to a tenth, so that agents don't list together; the list and its work come on top.
  const deadline = ended + (options.withinMs ?? options.reconcileEveryMs * 1.1 + 15_000);
  while (world.differences().length > 0) {
    if (performance.now() > deadline)
      throw new Error(`Not equal in time:\n${world.differences().slice(0, 20).join('\n')}`);
    await systemClock.sleep(20);
  }
  return {
    operations: operator.operations,
    events: stub.events.counts,
    calls: Object.fromEntries([...stub.requests].map(([name, count]) => [name, count - (calls.get(name) ?? 0)])),
    notifications,
    tables: stub.truth().size,
    equalAfterMs: performance.now() - ended,
    differentWithoutReconcile,
    livingDropped,
    ranMs: performance.now() - before,
  };
}

/** Messages in the queue at which the writers wait: traffic that the agent can bear, as they share its process. */
const MOST_WAITING = 2_000;

async function backlogBelow(world: MirrorWorld, messages: number): Promise<void> {
  do await systemClock.sleep(0);
  while (world.counts().visible + world.counts().hidden >= messages);
}

type Writer = MirrorWorld['writer'];
type Name = readonly [database: string, table: string];

/** Picks what happens next in the catalog: most commits go to few tables, as in real ones. */
class Operator {
  readonly #writer: Writer;
  readonly #options: LossOptions;
  readonly #random: () => number;
  readonly #names: Name[] = [];
  readonly #dropped: Name[] = [];
  /** When each name came to be what it is. */
  readonly #since = new Map<string, number>();
  #count = 0;
  operations = 0;

  constructor(writer: Writer, options: LossOptions) {
    this.#writer = writer;
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  createAll(): void {
    for (let d = 0; d < this.#options.databases; d++) this.#writer.createDatabase(`db${d}`);
    for (let i = 0; i < this.#options.tables; i++) this.#create(this.#newName());
  }

  /** Whether a table has been there since before a time, by the same clock. */
  livedBefore(key: string, ms: number): boolean {
    // Two operations and a read can fall into the same few milliseconds.
    return (this.#since.get(key) ?? Infinity) + 50 < ms;
  }

  operate(): void {
    const { churn } = this.#options;
    const draw = this.#random();
    this.operations += 1;
    if (draw < churn / 3) return this.#drop();
    if (draw < (2 * churn) / 3) return this.#rename();
    if (draw < churn) return this.#create(this.#reusedName());
    const at = Math.floor(this.#random() ** 3 * this.#names.length);
    const name = this.#names[at];
    if (name !== undefined) this.#writer.commit(...name);
  }

  #newName(): Name {
    return [`db${Math.floor(this.#random() * this.#options.databases)}`, `t${this.#count++}`];
  }

  /** Half of the time a name that was dropped before: a table that comes back. */
  #reusedName(): Name {
    const [name] = this.#random() < 0.5 ? this.#dropped.splice(0, 1) : [];
    return name ?? this.#newName();
  }

  #create(name: Name): void {
    this.#writer.create(...name);
    this.#came(name);
  }

  #drop(): void {
    const name = this.#pick();
    if (name === undefined) return;
    this.#since.delete(keyOf({ namespace: [name[0]], name: name[1] }));
    this.#writer.drop(...name);
    this.#dropped.push(name);
  }

  #rename(): void {
    const from = this.#pick();
    if (from === undefined) return;
    const to = this.#reusedName();
    this.#since.delete(keyOf({ namespace: [from[0]], name: from[1] }));
    this.#writer.rename(from, to);
    this.#came(to);
    this.#dropped.push(from);
  }

  #came(name: Name): void {
    this.#names.push(name);
    this.#since.set(keyOf({ namespace: [name[0]], name: name[1] }), Date.now());
  }

  #pick(): Name | undefined {
    const [name] = this.#names.splice(Math.floor(this.#random() * this.#names.length), 1);
    return name;
  }
}
