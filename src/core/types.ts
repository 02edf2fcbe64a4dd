/** A table as Polaris names it: namespace levels from the top, then the name. */
export type TableIdentifier = { readonly namespace: readonly string[]; readonly name: string };

/** Milliseconds since the Unix epoch, from some clock. */
export type EpochMillis = number;

declare const timestamp: unique symbol;
/** A notification's `timestamp`, epoch ms. Made by `nextTimestamp()` alone, so it can only grow. A safe integer. */
export type Timestamp = EpochMillis & { readonly [timestamp]: true };

/** Where a source's log stands. Opaque; two positions of one source compare with `<`. */
export type Position = string;

/** A hint that a table may have changed. It holds no state: what to send is read from the source later. */
export type Change =
  | { readonly kind: 'upserted'; readonly table: TableIdentifier }
  | { readonly kind: 'dropped'; readonly table: TableIdentifier }
  | { readonly kind: 'renamed'; readonly table: TableIdentifier; readonly to: TableIdentifier };

/**
 * What the source said about one table. `absent` is the source's own word: a failed or denied read throws instead.
 * `asOf` is the source's clock, taken before the read. `incarnation` tells a re-created table from its predecessor.
 */
export type TableState =
  | {
      readonly kind: 'present';
      readonly table: TableIdentifier;
      readonly metadataLocation: string;
      readonly tableUuid?: string | undefined;
      readonly incarnation: string;
      readonly asOf: EpochMillis;
    }
  | { readonly kind: 'absent'; readonly table: TableIdentifier; readonly asOf: EpochMillis }
  | {
      readonly kind: 'unsupported';
      readonly table: TableIdentifier;
      /** For people: why it can't be mirrored, e.g. `an Iceberg view`. */
      readonly reason: string;
      readonly incarnation?: string | undefined;
      readonly asOf: EpochMillis;
    };

export type NotificationType = 'CREATE' | 'UPDATE' | 'DROP' | 'VALIDATE';

/** What goes on the wire, and the incarnation of the table that it speaks of (which doesn't). */
export type Notification = {
  readonly type: NotificationType;
  readonly table: TableIdentifier;
  readonly timestamp: Timestamp;
  readonly metadataLocation?: string | undefined;
  readonly tableUuid?: string | undefined;
  readonly incarnation?: string | undefined;
};

/** Why Polaris refused a notification; `REFUSALS` in refusal.ts says what each means for the agent. */
export type RefusalReason =
  | 'metadata-missing'
  | 'metadata-unreadable'
  | 'metadata-invalid'
  | 'location-not-allowed'
  | 'name-not-addressable'
  | 'not-authorized'
  | 'internal-catalog'
  | 'no-such-catalog'
  | 'no-such-realm'
  | 'unrecognized';

/** What one answer of Polaris means. `message` is Polaris's own text, without secrets. */
export type Outcome =
  | { readonly kind: 'admitted' }
  /** A notification with this or a newer timestamp was processed before. */
  | { readonly kind: 'stale'; readonly message: string }
  /** Another writer was faster; the same notification may be admitted a moment later. */
  | { readonly kind: 'lost-race'; readonly message: string }
  | { readonly kind: 'name-taken'; readonly by: 'view' | 'generic table'; readonly message: string }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly status: number; readonly message: string }
  | { readonly kind: 'unavailable'; readonly retryAfterMs?: number | undefined; readonly message: string }
  | { readonly kind: 'unauthorized'; readonly message: string }
  /** No answer: it may or may not have been applied. */
  | { readonly kind: 'unknown'; readonly message: string };

/** What Polaris serves under a name, compared with an expected metadata location. */
export type Served = 'this' | 'other' | 'nothing';

/** Why an entry waits for something outside the agent. Each is explained in the error catalogue. */
export type ParkCode =
  | 'METADATA_MISSING'
  | 'METADATA_UNREADABLE'
  | 'METADATA_INVALID'
  | 'LOCATION_NOT_ALLOWED'
  | 'NAME_NOT_ADDRESSABLE'
  | 'NAME_TAKEN'
  | 'TIMESTAMP_AHEAD'
  | 'DROP_HELD'
  | 'REFUSED';

export type Parked = {
  readonly code: ParkCode;
  readonly detail: string;
  /** The driver's clock when it was parked. */
  readonly since: EpochMillis;
  /** The notification that could not be delivered. */
  readonly type: NotificationType;
};

/** The last notification that Polaris is known to have admitted. */
export type Delivered = {
  readonly type: 'CREATE' | 'UPDATE' | 'DROP';
  readonly timestamp: Timestamp;
  readonly metadataLocation?: string | undefined;
  readonly incarnation?: string | undefined;
};

/** The ledger's row of one table on one target: the fold of its records. */
export type Entry = {
  readonly target: string;
  readonly table: TableIdentifier;
  /** Hints recorded, ever. */
  readonly seen: number;
  /** How many of them a finished read is known to cover. Work is left while `settled < seen`. */
  readonly settled: number;
  /** The new name of a renamed table: this name's DROP waits until that one has settled. */
  readonly after?: TableIdentifier | undefined;
  /** The greatest timestamp ever used for this table on this target; survives DROP and re-creation. */
  readonly lastTimestamp?: Timestamp | undefined;
  readonly delivered?: Delivered | undefined;
  /** An intent without a recorded outcome: it may have been applied. */
  readonly open?: Notification | undefined;
  /** Polaris may serve something else than `delivered` says, so nothing is skipped on its strength. */
  readonly doubt: boolean;
  readonly parked?: Parked | undefined;
  /** Why the source's table is not mirrored, when it is not. */
  readonly skipped?: string | undefined;
};

/** One durable line of the ledger. Records of one entry are folded in the order in which they were appended. */
export type LedgerRecord =
  | EntryRecord
  | { readonly kind: 'position'; readonly source: string; readonly position: Position };

export type EntryRecord = { readonly target: string; readonly table: TableIdentifier } &
  /** `doubt`: Polaris was seen to serve something else than the ledger says. */
  (
    | {
        readonly kind: 'seen';
        readonly count: number;
        readonly after?: TableIdentifier | undefined;
        readonly doubt?: true | undefined;
      }
    | { readonly kind: 'intent'; readonly notification: Notification }
    | { readonly kind: 'outcome'; readonly outcome: OutcomeKind }
    /** `seen` hints are covered by a finished read; `skipped` says why nothing was to be sent, if that was so. */
    | { readonly kind: 'settled'; readonly seen: number; readonly skipped?: string | undefined }
    | { readonly kind: 'parked'; readonly seen: number; readonly parked: Parked }
  );

/**
 * What an outcome means for an entry; `served` is an admitted notification found out by asking, `withdrawn` one that was
 * never sent.
 */
export type OutcomeKind = Outcome['kind'] | 'served' | 'withdrawn';
