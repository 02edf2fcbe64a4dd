import type { Finding } from '../core/finding.ts';
import type { Notification, Outcome, Served, TableIdentifier } from '../core/types.ts';

/** One EXTERNAL catalog of one Polaris. */
export interface Target extends AsyncDisposable {
  /** The target's name in the configuration: names its entries in the ledger. */
  readonly name: string;
  /** Sends once; no retry inside but one renewal of a refused token. Every answer becomes an outcome; only an abort throws. */
  notify(notification: Notification, signal: AbortSignal): Promise<Outcome>;
  /** Whether Polaris serves this table at `metadataLocation`, by a conditional GET that reads no metadata file. Throws `PushError`. */
  serves(table: TableIdentifier, metadataLocation: string, signal: AbortSignal): Promise<Served>;
  /** Every Iceberg table of the catalog. Throws `PushError`. */
  tables(signal: AbortSignal): AsyncIterable<TableIdentifier>;
  /** Preflight: reachable, authorized, EXTERNAL, privileges, allowed locations. Changes nothing, and reports instead of throwing. */
  check(signal: AbortSignal): AsyncIterable<Finding>;
}
