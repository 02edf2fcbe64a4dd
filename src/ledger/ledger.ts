import type { EpochMillis, Entry, LedgerRecord, ParkCode, Position, TableIdentifier } from '../core/types.ts';
import type { Outbox, OutboxRecord } from './outbox.ts';

/** How many entries of a target are in which state. */
export type Totals = {
  readonly entries: number;
  /** Polaris is known to hold them. */
  readonly delivered: number;
  /** Hints not yet covered by a finished read, or an intent without an outcome. */
  readonly pending: number;
  readonly parked: number;
  readonly skipped: number;
};

/** The process that opened a ledger last. */
export type Owner = { readonly pid: number; readonly host: string; readonly since: EpochMillis };

/** How a standby waits for a ledger. */
export type OwnershipWait = {
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Told once, before the first pause, of the owner as far as the ledger names it. Not called if nobody owns it. */
  readonly onWait: (owner: Owner | undefined) => void;
};

/** What `append` takes. */
export type AnyRecord = LedgerRecord | OutboxRecord;

/**
 * The agent's memory. One process owns a ledger at a time. Reads see everything appended before, durable or not,
 * so the fold that a caller keeps and the one that is read back never differ.
 */
export interface Ledger extends AsyncDisposable {
  entry(target: string, table: TableIdentifier): Entry | undefined;
  /** The entries of many tables at once, in the same order. */
  lookup(target: string, tables: readonly TableIdentifier[]): readonly (Entry | undefined)[];
  /** All entries of a target, in no particular order; entries appended meanwhile may or may not be among them. */
  entries(target: string): Iterable<Entry>;
  /** Entries with work left: `settled < seen`, or an open intent. */
  unfinished(target: string): Iterable<Entry>;
  totals(target: string): Totals;
  /** Parked entries that are durable, by code; codes without any are absent. */
  parkedByCode(target: string): Readonly<Partial<Record<ParkCode, number>>>;
  /** Names of the targets that have entries. */
  targets(): readonly string[];
  position(source: string): Position | undefined;
  /** Events of admitted notifications, on their way to sinks. */
  readonly outbox: Outbox;
  /**
   * Folds the records into their entries and the outbox, in order. Resolves when all of them are durable; rejects with `PushError`
   * when none of them may be relied on, after which the ledger accepts nothing more. Concurrent calls share a commit.
   */
  append(records: readonly AnyRecord[]): Promise<void>;
}
