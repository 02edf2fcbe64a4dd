import { keyOf, type TableKey } from '../core/table.ts';
import type { Change, TableIdentifier } from '../core/types.ts';
import type { Connector, Delivery } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Driver, Hint } from './driver.ts';
import type { Emit } from './events.ts';

/** One hint per table, the latest winning. The new name of a renamed table comes with the old one, whose DROP waits for it. */
export function hintsOf(changes: readonly Change[]): Hint[] {
  const hints = new Map<TableKey, Hint>();
  const put = (hint: Hint) => hints.set(keyOf(hint.table), hint);
  for (const change of changes) {
    switch (change.kind) {
      case 'upserted':
      case 'dropped':
        put({ table: change.table });
        break;
      case 'renamed':
        put({ table: change.to });
        put({ table: change.table, after: change.to });
        break;
    }
  }
  return [...hints.values()].map(({ table, after }) => ({ table, after: lastName(after, hints) }));
}

/** Where a table ended that was renamed more than once. Each rename undoes what was known of its new name, so no circle. */
function lastName(name: TableIdentifier | undefined, hints: ReadonlyMap<TableKey, Hint>): TableIdentifier | undefined {
  for (let last = name; ;) {
    const next = last && hints.get(keyOf(last))?.after;
    if (next === undefined) return last;
    last = next;
  }
}

export type IntakeParts = {
  readonly connector: Connector;
  readonly ledger: Ledger;
  readonly drivers: readonly Driver[];
  readonly emit: Emit;
};

/**
 * Records what the source hints at, and only then lets the source forget it. Delivery comes later, so an outage of
 * Polaris holds back neither WAL nor queue. Ends when `signal` aborts, and throws when the stream ends before.
 */
export async function intake({ connector, ledger, drivers, emit }: IntakeParts, signal: AbortSignal): Promise<void> {
  for await (const delivery of connector.watch(undefined, signal)) {
    await Promise.all([...record(delivery, drivers), ...recordPosition(delivery, connector.source, ledger)]);
    if (delivery.changes.length > 0) emit({ kind: 'hinted', changes: byKind(delivery.changes) });
    await delivery.ack();
  }
  if (!signal.aborted) throw new Error('The stream of changes ended by itself.');
}

function byKind(changes: readonly Change[]): Partial<Record<Change['kind'], number>> {
  const counts: Partial<Record<Change['kind'], number>> = {};
  for (const { kind } of changes) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

const record = ({ changes, committedAt }: Delivery, drivers: readonly Driver[]): Promise<void>[] => {
  const hints = hintsOf(changes);
  return drivers.map((driver) => driver.changed(hints, committedAt));
};

/** Appended after the hints, in the same turn: it is durable only when they are. */
const recordPosition = ({ position }: Delivery, source: string, ledger: Ledger): Promise<void>[] =>
  position === undefined ? [] : [ledger.append([{ kind: 'position', source, position }])];
