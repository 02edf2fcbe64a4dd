import { maxLsn, type Lsn } from './lsn.ts';

/**
 * More reply requests than this within a second, while we can confirm nothing new, come from a server that wants to stop:
 * PostgreSQL's fast shutdown waits until a subscriber has confirmed everything, asking again at every answer (27,000 times
 * a second were seen). Otherwise it asks twice per wal_sender_timeout.
 */
const FLOOD = { requests: 100, withinMs: 1_000 } as const;

/** One delivery that the consumer has and may acknowledge. */
export type Ticket = { readonly end: Lsn; acked: boolean };

/**
 * What may be confirmed to PostgreSQL. While hints are on their way to the consumer that is the end of the last transaction
 * whose hints are durable. Once everything received is durable, it is the server's own position, as the keepalive tells it:
 * only so the log of other databases doesn't pile up, and only so a server stops at once that waits for its subscribers.
 */
export class Feedback {
  #flushed: Lsn;
  #received: Lsn;
  #inTransaction = false;
  #pending = false;
  #tickets: Ticket[] = [];
  #flood = { flush: 0n, sinceMs: 0, requests: 0 };

  constructor(start: Lsn) {
    this.#flushed = start;
    this.#received = start;
  }

  begin(): void {
    this.#inTransaction = true;
  }

  /** `hints`: the transaction ending at `end` gave any. */
  commit(end: Lsn, hints: boolean): void {
    this.#inTransaction = false;
    this.#received = maxLsn(this.#received, end);
    this.#pending ||= hints;
  }

  keepalive(lsn: Lsn): void {
    this.#received = maxLsn(this.#received, lsn);
  }

  /** All pending hints, up to the transaction that ended at `end`, go to the consumer. */
  delivered(end: Lsn): Ticket {
    this.#pending = false;
    const ticket = { end, acked: false };
    this.#tickets.push(ticket);
    return ticket;
  }

  acknowledged(ticket: Ticket): void {
    ticket.acked = true;
    while (this.#tickets[0]?.acked === true) this.#flushed = maxLsn(this.#flushed, this.#tickets.shift()?.end ?? 0n);
  }

  /** True while anything received isn't durable yet. */
  get holding(): boolean {
    return this.#inTransaction || this.#pending || this.#tickets.length > 0;
  }

  /** The LSN to confirm now. */
  get flush(): Lsn {
    return this.holding ? this.#flushed : maxLsn(this.#flushed, this.#received);
  }

  /** Called at every reply request: true if the server is stopping and would never get the answer that it waits for. */
  flooded(nowMs: number): boolean {
    const { flush } = this;
    if (!this.holding || flush !== this.#flood.flush || nowMs - this.#flood.sinceMs > FLOOD.withinMs)
      this.#flood = { flush, sinceMs: nowMs, requests: 0 };
    this.#flood.requests += 1;
    return this.#flood.requests > FLOOD.requests;
  }
}
