/**
 * How a source and the way to it stand, as far as a connector can tell. What it can't tell is left out: an absent figure
 * means "not known", never zero. Counts are since the connector was opened.
 */
export type SourceFigures = {
  /**
   * How long changes have been waiting at the source that are not recorded here yet, ms; 0: none is known. What only the
   * source's log position tells is found from one look to the next, so it may be low by the time between them.
   */
  readonly lagMs?: number | undefined;
  /** Bytes of the source's log that are not recorded here yet. What others write into the same log counts, too. */
  readonly lagBytes?: number | undefined;
  readonly slot?: SlotFigures | undefined;
  readonly queue?: QueueFigures | undefined;
  readonly polls?: PollFigures | undefined;
  /** Requests to the source by what for, from a set that the connector's code fixes; every attempt counts. */
  readonly requests?: Readonly<Record<string, number>> | undefined;
  /** Requests that the source refused as too many. */
  readonly throttled?: number | undefined;
  /** How far the source's clock is ahead of ours, ms. */
  readonly clockSkewMs?: number | undefined;
};

/** PostgreSQL's `wal_status` of a slot, or `missing`. From `unreserved` on WAL that it needs may be removed; `lost`: it is. */
export const SLOT_STATES = ['reserved', 'extended', 'unreserved', 'lost', 'missing'] as const;
export type SlotState = (typeof SLOT_STATES)[number];

/** A logical replication slot. */
export type SlotFigures = {
  readonly state: SlotState;
  /** Somebody streams from it. */
  readonly active: boolean;
  /** WAL that the server keeps for it. */
  readonly retainedBytes?: number | undefined;
  /** WAL that may yet be written before the slot is in danger of losing some; undefined: the server sets no limit. */
  readonly safeBytes?: number | undefined;
};

/** A queue of changes, in messages. All numbers are the queue's own estimates. */
export type QueueFigures = {
  /** Waiting to be received. */
  readonly visible: number;
  /** Received, and not deleted yet. */
  readonly inFlight: number;
  /** Not yet to be received. */
  readonly delayed: number;
};

/** Polls of a source that can't tell what changed. */
export type PollFigures = {
  /** Tables that are polled in turn. */
  readonly tables: number;
  /** Requests a second that the source may be asked. */
  readonly budgetPerSecond: number;
};
