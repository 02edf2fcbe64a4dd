import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLedgerReader } from '../../src/ledger/reader.ts';
import type { EventReceiver } from './event-receiver.ts';
import { killRounds, type Round } from './kill.ts';
import type { World } from './world.ts';

/** Both kinds: one that gets each event, one that gets the last of each table. */
export const SINKS = ['each', 'last'] as const;

/** What came of the notifications that Polaris admitted, for one sink. */
export type Forwarded = {
  readonly sink: string;
  readonly admitted: number;
  /** Events that came, each counted once. */
  readonly events: number;
  /** How often an event came again. */
  readonly doubled: number;
  /**
   * Admitted ones without an event of their own: a later one of the table took their place, because it was faster or the
   * agent was killed before it had the answer.
   */
  readonly superseded: number;
  /** Tables whose last admitted notification has neither its event nor a later one's. */
  readonly lost: readonly string[];
};

export type ForwardRound = Round & { readonly forwarded: readonly Forwarded[] };

export type ForwardKillOptions = {
  readonly world: World;
  readonly receiver: EventReceiver;
  readonly rounds: number;
  readonly onRound: (round: ForwardRound) => void;
};

/** Longer than the agent's longest backoff of an event. */
const PATIENCE_MS = 40_000;

/**
 * Rounds of `kill -9` under load, as in kill.ts, with an agent that forwards. After each round, once all is delivered and
 * the outbox is empty, nothing may be missing.
 */
export async function forwardKillRounds({ world, receiver, rounds, onRound }: ForwardKillOptions): Promise<void> {
  const forward = [receiver.sink('each', { coalesce: false }), receiver.sink('last', {})];
  await killRounds(world, {
    rounds,
    life: { config: { forward } },
    // The agent is still running.
    onRound: async (round) => {
      await drained(world, receiver);
      onRound({ ...round, forwarded: SINKS.map((sink) => judge(world, receiver, sink)) });
    },
  });
}

/** Resolves when nothing waits and nothing is missing, or when that takes too long. */
async function drained(world: World, receiver: EventReceiver): Promise<void> {
  using ledger = openLedgerReader(join(world.folder, 'polaris_push', 'ledger.db'));
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const isEmpty = SINKS.every((sink) => ledger.outbox.totals(sink).waiting === 0);
    if (isEmpty && SINKS.every((sink) => judge(world, receiver, sink).lost.length === 0)) return;
    await sleep(50);
  }
}

function judge(world: World, receiver: EventReceiver, sink: string): Forwarded {
  const received = receiver.of(sink);
  const told = new Set([...received.events.values()].map(({ event }) => placeOf(event.data)));
  const admitted = world.witness.notifications.filter(({ status }) => status === 204);
  const last = new Map(admitted.map((notification) => [notification.table, notification]));
  const lost = [...last.values()].filter(
    ({ table, timestamp }) => BigInt(received.last.get(table)?.data.timestamp ?? 0) < timestamp,
  );
  return {
    sink,
    admitted: admitted.length,
    events: received.events.size,
    doubled: received.doubled,
    superseded: admitted.filter(({ table, timestamp }) => !told.has(`${table} ${timestamp}`)).length,
    lost: lost.map(({ table, type, timestamp }) => `${type} ${table} ${timestamp}`),
  };
}

const placeOf = (data: {
  readonly namespace: readonly string[];
  readonly table: string;
  readonly timestamp: number;
}): string => `${[...data.namespace, data.table].join('.')} ${data.timestamp}`;
