import type { Drift } from '../core/audit.ts';
import type { Change, Notification, Outcome, Parked, Served, TableIdentifier, Timestamp } from '../core/types.ts';

/** What the pipeline tells its observers. Every event is also countable: nothing is skipped, held or parked in silence. */
export type PipelineEvent =
  | {
      readonly kind: 'notified';
      readonly target: string;
      readonly notification: Notification;
      readonly outcome: Outcome;
      /** From sending to the answer. */
      readonly tookMs: number;
      /** From the source's commit to Polaris's answer, for an admitted notification whose commit time is known. */
      readonly commitToVisibleMs?: number | undefined;
    }
  /** Polaris already served what was to be sent. */
  | { readonly kind: 'adopted'; readonly target: string; readonly table: TableIdentifier }
  /** All hints are covered; `skipped` says why the source's table is not mirrored, if it isn't. */
  | {
      readonly kind: 'settled';
      readonly target: string;
      readonly table: TableIdentifier;
      readonly skipped?: string | undefined;
    }
  /**
   * Polaris refused `timestamp` as old, although this agent never used a newer one for the table: somebody else sends
   * notifications for it, or an earlier ledger of this agent was lost. `served`: what Polaris holds, compared with ours.
   */
  | {
      readonly kind: 'foreign-sender';
      readonly target: string;
      readonly table: TableIdentifier;
      readonly timestamp: Timestamp;
      readonly served: Served;
    }
  | { readonly kind: 'parked'; readonly target: string; readonly table: TableIdentifier; readonly parked: Parked }
  | { readonly kind: 'target-down'; readonly target: string; readonly detail: string }
  | { readonly kind: 'target-up'; readonly target: string }
  /** A sink took events of admitted notifications. */
  | { readonly kind: 'forwarded'; readonly sink: string; readonly events: number; readonly tookMs: number }
  /** A sink will never take this event, so it was put aside for people. */
  | {
      readonly kind: 'event-refused';
      readonly sink: string;
      readonly target: string;
      readonly table: TableIdentifier;
      readonly detail: string;
    }
  /** A sink takes nothing now; its events wait. */
  | { readonly kind: 'sink-down'; readonly sink: string; readonly detail: string }
  | { readonly kind: 'sink-up'; readonly sink: string }
  /** The source is followed from here on. */
  | { readonly kind: 'source-up' }
  /** The source could be followed no longer, or still can't; it is tried again. Comes at every try that fails. */
  | { readonly kind: 'source-down'; readonly detail: string }
  /** So many changes, by kind, that the source told of are recorded. Lists are told of by `reconciled`. */
  | { readonly kind: 'hinted'; readonly changes: Readonly<Partial<Record<Change['kind'], number>>> }
  /** The source was asked what it holds under so many names; `failed`: it didn't say. */
  | {
      readonly kind: 'resolved';
      readonly target: string;
      readonly tables: number;
      readonly failed: boolean;
      readonly tookMs: number;
    }
  | { readonly kind: 'reconciled'; readonly tables: number; readonly hints: number; readonly tookMs: number }
  /** Polaris was asked for every table; `drift` counts what differed. */
  | {
      readonly kind: 'audited';
      readonly target: string;
      readonly tables: number;
      readonly drift: Readonly<Partial<Record<Drift, number>>>;
      readonly tookMs: number;
    }
  | { readonly kind: 'caught-up'; readonly tables: number; readonly tookMs: number };

export type Emit = (event: PipelineEvent) => void;
