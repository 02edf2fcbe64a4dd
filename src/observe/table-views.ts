import { keyOf, showTable } from '../core/table.ts';
import type { Entry, Notification, Parked, TableIdentifier } from '../core/types.ts';
import { PARKED } from '../errors/parked.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { ParkedAnswer, SearchAnswer, TableAnswer, TablesAnswer } from './api-schema.ts';

/** The ledger as it is read for people: apart from the owner's connection, so that a walk holds nothing up. */
export type TableLedger = Pick<Ledger, 'entries' | 'unfinished' | 'lookup'> & {
  /** Parked entries of a target. */
  parked(target: string): Iterable<Entry>;
};

export type TableState = 'parked' | 'held' | 'pending' | 'attention';

export type TablesQuery = {
  readonly state: TableState;
  readonly targets: readonly string[];
  readonly limit: number;
};

/** Entries of one listing that are read, at some microseconds each. */
const MOST_READ = 5_000;
/** Entries of one search that are looked at, and after how many of them others get their turn. */
const MOST_SEARCHED = 200_000;
const SEARCHED_AT_ONCE = 500;
const MOST_FOUND = 20;

/** By target; of each those that wait longest first, as far as they were read. */
export function listTables(ledger: TableLedger, { state, targets, limit }: TablesQuery): TablesAnswer {
  const tables: TablesAnswer['tables'] = [];
  let complete = true;
  let read = 0;
  for (const target of targets) {
    const found: { readonly since: number; readonly table: TablesAnswer['tables'][number] }[] = [];
    for (const entry of state === 'pending' ? ledger.unfinished(target) : ledger.parked(target)) {
      if (read++ >= MOST_READ) {
        complete = false;
        break;
      }
      const table = listed(entry, state);
      if (table !== undefined) found.push({ since: entry.parked?.since ?? 0, table });
    }
    tables.push(...found.toSorted((a, b) => a.since - b.since).map(({ table }) => table));
  }
  return { tables: tables.slice(0, limit), complete: complete && tables.length <= limit };
}

function listed(entry: Entry, state: TableState): TablesAnswer['tables'][number] | undefined {
  const { target, parked, open } = entry;
  const table = showTable(entry.table);
  if (state === 'pending') {
    const hints = Math.max(0, entry.seen - entry.settled);
    return { target, table, state, hints, ...(open === undefined ? {} : { open: open.type }) };
  }
  if (parked === undefined) return undefined;
  const answer = parkedAnswer(parked);
  if (state !== 'attention' && state !== answer.state) return undefined;
  return { target, table, state: answer.state, parked: answer };
}

/** All tables that `retry` or `release` would be about, each once; so many at most. */
export function waitingTables(
  ledger: TableLedger,
  state: 'parked' | 'held',
  { targets, most }: { readonly targets: readonly string[]; readonly most: number },
): readonly TableIdentifier[] {
  const found = new Map<string, TableIdentifier>();
  for (const target of targets) {
    for (const entry of ledger.parked(target)) {
      if (found.size >= most) return [...found.values()];
      if (waitsAs(entry, state)) found.set(keyOf(entry.table), entry.table);
    }
  }
  return [...found.values()];
}

/** Whether a table is parked, or its DROP held, on one of the targets. */
export const isWaiting = (
  ledger: TableLedger,
  state: 'parked' | 'held',
  { table, targets }: { readonly table: TableIdentifier; readonly targets: readonly string[] },
): boolean =>
  targets.some((target) => {
    const entry = ledger.lookup(target, [table])[0];
    return entry !== undefined && waitsAs(entry, state);
  });

const waitsAs = ({ parked }: Entry, state: 'parked' | 'held'): boolean =>
  parked !== undefined && (parked.code === 'DROP_HELD') === (state === 'held');

/**
 * Tables whose names hold `text`, in any case: those of `first`, then those of the ledger. The event loop gets its turn
 * all along.
 */
export async function searchTables(
  ledger: TableLedger,
  text: string,
  { targets, first, signal }: SearchOptions,
): Promise<SearchAnswer> {
  const wanted = text.toLowerCase();
  const found = new Map<string, string>();
  const look = (table: TableIdentifier) => {
    const name = showTable(table);
    if (name.toLowerCase().includes(wanted)) found.set(keyOf(table), name);
  };
  for (const table of first) look(table);
  let looked = 0;
  for (const target of targets) {
    for (const { table } of ledger.entries(target)) {
      look(table);
      if (found.size > MOST_FOUND || looked++ >= MOST_SEARCHED || signal.aborted) return few(found, false);
      if (looked % SEARCHED_AT_ONCE === 0) await turn();
    }
  }
  return few(found, found.size <= MOST_FOUND);
}

type SearchOptions = {
  readonly targets: readonly string[];
  readonly first: readonly TableIdentifier[];
  readonly signal: AbortSignal;
};

const few = (found: ReadonlyMap<string, string>, complete: boolean): SearchAnswer => ({
  tables: [...found.values()].slice(0, MOST_FOUND).toSorted(),
  complete,
});

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** What the ledger knows of a table, on the targets that know it. */
export const tableOnTargets = (
  ledger: TableLedger,
  table: TableIdentifier,
  targets: readonly string[],
): TableAnswer['targets'] =>
  targets.flatMap((target) => {
    const entry = ledger.lookup(target, [table])[0];
    return entry === undefined ? [] : [onTarget(entry)];
  });

function onTarget(entry: Entry): TableAnswer['targets'][number] {
  const { target, seen, settled, delivered, open, parked, skipped } = entry;
  return {
    target,
    state: stateOf(entry),
    hints: Math.max(0, seen - settled),
    ...(delivered === undefined ? {} : { delivered: sent(delivered) }),
    ...(open === undefined ? {} : { open: sent(open) }),
    ...(parked === undefined ? {} : { parked: parkedAnswer(parked) }),
    ...(skipped === undefined ? {} : { skipped }),
  };
}

/** What matters most about it. */
function stateOf({ parked, seen, settled, open, skipped, delivered }: Entry): TableAnswer['targets'][number]['state'] {
  if (parked !== undefined) return parked.code === 'DROP_HELD' ? 'held' : 'parked';
  if (settled < seen || open !== undefined) return 'pending';
  if (skipped !== undefined) return 'skipped';
  if (delivered === undefined) return 'known';
  return delivered.type === 'DROP' ? 'dropped' : 'delivered';
}

const sent = ({
  type,
  timestamp,
  metadataLocation,
}: Pick<Notification, 'type' | 'timestamp' | 'metadataLocation'>): NonNullable<
  TableAnswer['targets'][number]['open']
> => ({ type, timestamp, ...(metadataLocation === undefined ? {} : { metadata_location: metadataLocation }) });

const parkedAnswer = ({ code, detail, since, type }: Parked): ParkedAnswer => ({
  state: code === 'DROP_HELD' ? 'held' : 'parked',
  code,
  summary: PARKED[code].summary,
  detail,
  fix: PARKED[code].fix,
  since: new Date(since).toISOString(),
  type,
});
