import type { TableKey } from '../core/table.ts';
import type { EpochMillis, TableIdentifier, Timestamp } from '../core/types.ts';

/** What becomes of events on their way to a sink. An event is appended together with the outcome that it tells of. */
export type OutboxRecord = { readonly sink: string } & (
  | {
      readonly kind: 'event';
      readonly target: string;
      readonly table: TableIdentifier;
      /** Of the admitted notification; grows with each event of a table on a target. */
      readonly timestamp: Timestamp;
      /** The driver's clock when the notification was known to be admitted. */
      readonly at: EpochMillis;
      readonly body: string;
      /**
       * Events that the sink may have here at once. From there on an event takes the place of the newest one of its table,
       * if there is any: so at most this many and one per table are kept, and the last event of a table always is.
       */
      readonly limit: number;
    }
  /** The sink has it. Of no effect when a newer event has taken its place meanwhile, like the next one. */
  | ({ readonly kind: 'forwarded' } & EventRef)
  /** The sink will never take it: it is kept for people to look at. */
  | ({ readonly kind: 'buried'; readonly reason: string; readonly at: EpochMillis } & EventRef)
  /** People want buried events sent again: all, or those of some tables. */
  | { readonly kind: 'revived'; readonly tables?: readonly TableIdentifier[] | undefined }
  /** People don't want buried events any more; with `waiting` no other ones either. */
  | {
      readonly kind: 'discarded';
      readonly tables?: readonly TableIdentifier[] | undefined;
      readonly waiting?: boolean | undefined;
    }
);

/** Which event: one that took the place of another has another timestamp. */
export type EventRef = { readonly id: number; readonly timestamp: Timestamp };

/** Whose event it is. Events of one table leave in the order of their ids, which are their places. */
export type EventHead = { readonly id: number; readonly target: string; readonly table: TableKey };

/** An event that waits for its sink. */
export type OutboxEvent = EventHead & EventRef & { readonly at: EpochMillis; readonly body: string };

/** An event that its sink will never take. */
export type BuriedEvent = OutboxEvent & { readonly since: EpochMillis; readonly reason: string };

export type OutboxTotals = {
  readonly waiting: number;
  readonly buried: number;
  /** When the oldest one that waits was recorded. */
  readonly oldest?: EpochMillis | undefined;
};

/** Events on their way out. What is read is durable: nothing leaves whose admission may yet be forgotten. */
export interface OutboxReader {
  /** Names of the sinks that there are events for, buried ones too; sorted. */
  sinks(): readonly string[];
  totals(sink: string): OutboxTotals;
  /** The first `limit` of the sink's events behind the place `after` that aren't buried, in the order of their places. */
  waiting(sink: string, after: number, limit: number): readonly EventHead[];
  /** The event of a table that leaves first. */
  next(sink: string, target: string, table: TableKey): OutboxEvent | undefined;
  /** In the order of their places. */
  buried(sink: string): Iterable<BuriedEvent>;
}

/** The owner's outbox. */
export interface Outbox extends OutboxReader {
  /** Calls `listener` after each commit that made events of this sink ready to leave. It must not throw. */
  follow(sink: string, listener: (ready: readonly EventHead[]) => void): Disposable;
}

export const isOutboxRecord = (record: { readonly kind: string }): record is OutboxRecord => KINDS.has(record.kind);

const KINDS: ReadonlySet<string> = new Set([
  'event',
  'forwarded',
  'buried',
  'revived',
  'discarded',
] satisfies OutboxRecord['kind'][]);
