import type { EpochMillis, TableIdentifier } from '../core/types.ts';

/** What an operator asks of the running agent from another process. */
export type RequestOrder = {
  /**
   * `retry`: put parked tables back to work. `release`: let held drops through. `mend`: deliver these tables anew, as
   * Polaris was seen to hold something else than the ledger says. `resend`, `discard`: events that their sink refused.
   */
  readonly kind: 'retry' | 'release' | 'mend' | 'resend' | 'discard';
  /** Which tables; all that the kind applies to when left out (none, for `mend`). */
  readonly tables?: readonly TableIdentifier[] | undefined;
  /** On which target; on all of them when left out. */
  readonly target?: string | undefined;
  /** Events of which sink; of all of them when left out. */
  readonly sink?: string | undefined;
  /** Also events that weren't refused. */
  readonly waiting?: boolean | undefined;
};

export type Request = RequestOrder & {
  /** Grows with every request, never used twice. */
  readonly id: number;
  /** The submitter's clock. */
  readonly submittedAt: EpochMillis;
};

/** The owner's end of a ledger that takes requests. */
export interface RequestInbox {
  /**
   * Requests submitted since the last call, oldest first; cheap enough to poll each second. A taken request is gone
   * from the ledger with the commit of what is appended in the same turn of the event loop, so one that was taken but
   * not yet acted upon at a crash comes again. Throws `PushError` when the ledger has failed.
   */
  takeRequests(): readonly Request[];
}

/** The submitter's end, for a process that doesn't own the ledger. */
export interface RequestOutbox extends Disposable {
  /** Durable when it returns; the request's id. Waits for the owner's next poll or start. Throws `PushError`. */
  submit(order: RequestOrder): number;
  /** Whether the owner has not yet acted on the request. */
  isWaiting(id: number): boolean;
}
