import { setTimeout as sleep } from 'node:timers/promises';
import type { AnsweredRequest } from '../../src/polaris/emulator/options.ts';
import type { Agent } from './agent.ts';
import { eventually, type LifeOptions, type World } from './world.ts';

export type Takeover = {
  /** From the end of the active agent, when the signal was sent, to the first notification of the standby. */
  readonly firstMs: number;
  /** From the last notification of the one to the first of the other: for so long Polaris heard nothing. */
  readonly gapMs: number;
};

export type TakeoverOptions = {
  readonly rounds: number;
  /** `kill`: SIGKILL. `stop`: SIGTERM, as in an upgrade. */
  readonly end: 'kill' | 'stop';
  readonly life?: LifeOptions | undefined;
};

/** So long an agent is active at most before it is ended, while the load is on. */
const ACTIVE_MS = 600;

/**
 * Rounds of: one agent works under load and another one waits for its ledger; the first is ended, the second takes over, a
 * third becomes the standby. Ends with both sides equal and nobody running.
 */
export async function takeovers(world: World, { rounds, end, life }: TakeoverOptions): Promise<readonly Takeover[]> {
  const start = () => world.agent({ ...life, options: ['--standby'] });
  const heard = new Heard(world);
  await using running = new AsyncDisposableStack();
  running.use(heard);
  let active = running.use(start());
  await active.caughtUp();
  const work = await world.work({ engines: 4, pauseMs: 10 });
  running.defer(() => work.stop());
  const all: Takeover[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const standby = running.use(start());
    await standby.told('standby');
    await eventually('the active agent delivers', () => heard.since(active).length > 0);
    await sleep(world.random() * ACTIVE_MS);
    active.check();
    const endedAt = performance.now();
    const ended = end === 'kill' ? active.kill() : active.stop();
    await eventually('the standby delivers', () => (standby.check(), heard.since(standby).length > 0));
    await ended;
    const first = heard.since(standby)[0]?.at ?? Number.NaN;
    const last = heard.since(active).findLast(({ at }) => at <= first)?.at ?? Number.NaN;
    all.push({ firstMs: first - endedAt, gapMs: first - last });
    active = standby;
  }
  await work.stop();
  await world.equal(active);
  return all;
}

type Notified = { readonly sender: string; readonly at: number };

/** When which agent notified. Ids of requests begin with what tells the processes apart. */
class Heard implements Disposable {
  readonly #stop: () => void;
  readonly #all: Notified[] = [];
  /** In the order in which they began. */
  readonly #senders = new Map<Agent, string>();

  constructor(world: World) {
    this.#stop = world.emulator.onRequest((request) => this.#heard(request));
  }

  /** What an agent has notified. Agents become active one after another, so one that isn't known yet is the latest sender. */
  since(agent: Agent): readonly Notified[] {
    const known = new Set(this.#senders.values());
    const sender = this.#senders.get(agent) ?? this.#all.find((one) => !known.has(one.sender))?.sender;
    if (sender === undefined) return [];
    this.#senders.set(agent, sender);
    return this.#all.filter((one) => one.sender === sender);
  }

  [Symbol.dispose](): void {
    this.#stop();
  }

  #heard({ kind, requestId }: AnsweredRequest): void {
    if (kind !== 'notification') return;
    this.#all.push({ sender: requestId.slice(0, requestId.lastIndexOf('-')), at: performance.now() });
  }
}

/** The middle and the largest of some durations, ms, for people. */
export function summary(values: readonly number[]): { readonly p50: number; readonly max: number } {
  const sorted = values.toSorted((a, b) => a - b).map(Math.round);
  return { p50: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}
