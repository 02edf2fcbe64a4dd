import { driftOf, type Drift } from '../core/audit.ts';
import { keyOf, tableOf, type TableKey } from '../core/table.ts';
import type { Entry, TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Target } from '../polaris/target.ts';
import { Gate } from '../runtime/gate.ts';

/** Tables per `resolve` call. */
const RESOLVE_BATCH = 200;

/** One difference between source, ledger and Polaris. */
export type Difference = {
  readonly target: string;
  readonly table: TableIdentifier;
  readonly drift: Drift;
  /** The source's metadata location, where it has the table. */
  readonly metadataLocation?: string | undefined;
};

export type DiffParts = {
  readonly connector: Pick<Connector, 'list' | 'resolve'>;
  /** Undefined: there is no ledger, so nothing is known to be ours. */
  readonly ledger: Pick<Ledger, 'lookup'> | undefined;
  readonly target: Target;
  /** Conditional GETs under way together. */
  readonly concurrency: number;
  /** Called for each table that was compared. */
  readonly compared?: (() => void) | undefined;
};

/**
 * Compares the whole source with the whole of a target. Equal tables cost one conditional GET each, which reads no
 * metadata file. What the list lacks is asked for by name before it is called an orphan or foreign. Changes nothing.
 */
export async function* diff(parts: DiffParts, signal: AbortSignal): AsyncGenerator<Difference> {
  const { connector, target } = parts;
  const unseen = new Set<TableKey>();
  for await (const table of target.tables(signal)) unseen.add(keyOf(table));
  const gate = new Gate(() => parts.concurrency);
  for await (const page of connector.list(signal)) {
    const served = page.map((state) => unseen.delete(keyOf(state.table)));
    yield* await compare({ states: page, served }, parts, gate, signal);
  }
  signal.throwIfAborted();
  for (const keys of batches([...unseen], RESOLVE_BATCH)) {
    const states = await connector.resolve(keys.map(tableOf), signal);
    yield* await compare({ states, served: states.map(() => true) }, parts, gate, signal);
  }
}

type Side = {
  readonly states: readonly TableState[];
  /** Whether Polaris lists the table, by the same index. */
  readonly served: readonly boolean[];
};

async function compare(side: Side, parts: DiffParts, gate: Gate, signal: AbortSignal): Promise<Difference[]> {
  const { ledger, target } = parts;
  const tables = side.states.map((state) => state.table);
  const entries = ledger?.lookup(target.name, tables);
  const found = await Promise.all(
    side.states.map(async (state, i) => {
      await gate.enter();
      try {
        return await differenceOf({ state, listed: side.served[i] === true, entry: entries?.[i] }, target, signal);
      } finally {
        gate.leave();
        parts.compared?.();
      }
    }),
  );
  return found.filter((difference) => difference !== undefined);
}

type Both = { readonly state: TableState; readonly listed: boolean; readonly entry: Entry | undefined };

async function differenceOf({ state, listed, entry }: Both, target: Target, signal: AbortSignal) {
  const { table } = state;
  const difference = (drift: Drift): Difference => ({
    target: target.name,
    table,
    drift,
    metadataLocation: state.kind === 'present' ? state.metadataLocation : undefined,
  });
  if (state.kind !== 'present') {
    if (!listed) return undefined;
    const drift = driftOf(state, entry, 'other');
    return drift === undefined ? undefined : difference(drift);
  }
  if (!listed) return difference('missing');
  const served = await target.serves(table, state.metadataLocation, signal);
  if (served === 'this') return undefined;
  if (served === 'nothing') return difference('missing');
  return difference(entry?.parked?.code === 'TIMESTAMP_AHEAD' ? 'ahead' : 'stale');
}

function* batches<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size);
}
