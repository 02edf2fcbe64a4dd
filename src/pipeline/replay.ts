import { keyOf, type TableKey } from '../core/table.ts';
import type { TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Driver } from './driver.ts';

/** States delivered together, at most; two of one table never are. */
const BATCH = 1000;

/** The source of a replay: each table is as the recording says at this point of it. */
export class Recording implements Pick<Connector, 'resolve'> {
  readonly #current = new Map<TableKey, TableState>();

  set(state: TableState): void {
    this.#current.set(keyOf(state.table), state);
  }

  resolve(tables: readonly TableIdentifier[]): Promise<readonly TableState[]> {
    const reason = 'not in the recording';
    return Promise.resolve(
      tables.map((table) => this.#current.get(keyOf(table)) ?? { kind: 'unsupported', table, reason, asOf: 0 }),
    );
  }
}

export type ReplayParts = {
  readonly states: AsyncIterable<TableState>;
  /** What the drivers resolve from. */
  readonly recording: Recording;
  readonly ledger: Ledger;
  readonly drivers: readonly Driver[];
  /** Called for a state that is older than what a target was told already. */
  readonly older: (target: string, state: TableState) => void;
  /** Called for every state that was taken up. */
  readonly taken: () => void;
};

/**
 * Pushes recorded states in their order and with their times, so that Polaris itself refuses to go backwards. Tables go
 * side by side, the states of one table one after the other. Ends when all is settled or parked, or `stop` aborts.
 */
export async function replay(parts: ReplayParts, stop: AbortSignal, kill: AbortSignal): Promise<void> {
  const done = new AbortController();
  const until = AbortSignal.any([stop, done.signal]);
  const running = parts.drivers.map((driver) => driver.run(until, kill));
  for (const run of running) run.catch(() => done.abort());
  try {
    let batch = new Map<TableKey, TableState>();
    for await (const state of parts.states) {
      if (until.aborted) break;
      if (batch.size >= BATCH || batch.has(keyOf(state.table))) {
        await push(batch.values(), parts, until);
        batch = new Map();
      }
      batch.set(keyOf(state.table), state);
      parts.taken();
    }
    await push(batch.values(), parts, until);
  } finally {
    done.abort();
    await Promise.all(running);
  }
}

async function push(batch: Iterable<TableState>, parts: ReplayParts, until: AbortSignal): Promise<void> {
  const states = [...batch];
  for (const state of states) parts.recording.set(state);
  await Promise.all(
    parts.drivers.map(async (driver) => {
      const fresh = states.filter((state) => isNewer(state, driver, parts));
      if (fresh.length > 0) await driver.changed(fresh.map(({ table }) => ({ table })));
      await driver.settled(until);
    }),
  );
}

function isNewer(state: TableState, { name }: Driver, { ledger, older }: ReplayParts): boolean {
  const last = ledger.entry(name, state.table)?.lastTimestamp;
  if (last === undefined || state.asOf > last) return true;
  older(name, state);
  return false;
}
