import type { TableKey } from '../core/table.ts';

/** An event on its way out: what the outbox holds of it. */
export type OutgoingEvent = {
  /** The event's own id, the same at every delivery: receivers that must not act twice remember it. */
  readonly id: string;
  readonly table: TableKey;
  /** The event as structured CloudEvents JSON, the same text at every delivery. */
  readonly body: string;
};

/** What became of one event. */
export type SinkAnswer =
  | { readonly kind: 'accepted' }
  /** Not now, or not by this receiver as it is configured: the same event may be accepted later. */
  | { readonly kind: 'failed'; readonly detail: string; readonly retryAfterMs?: number | undefined }
  /** This event never will be, however often it is sent. */
  | { readonly kind: 'refused'; readonly detail: string };

/** Where events of admitted notifications go. */
export interface Sink extends AsyncDisposable {
  readonly name: string;
  /** Events that one `send` takes, at most. */
  readonly batch: number;
  /** Calls of `send` under way at once, at most. */
  readonly concurrency: number;
  /**
   * Delivers events of different tables; one answer per event, in the same order. An event counts as accepted when the
   * receiver answers for having it. What it rejects with counts as the failure of all; `signal` ends it at once. Details
   * hold no secrets.
   */
  send(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<readonly SinkAnswer[]>;
}
