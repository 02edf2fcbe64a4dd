import { keyOf, type TableKey } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';
import { OutboxListeners } from './outbox-listeners.ts';
import type { BuriedEvent, EventHead, Outbox, OutboxEvent, OutboxRecord, OutboxTotals } from './outbox.ts';

export type StoredEvent = OutboxEvent & {
  readonly sink: string;
  readonly buried?: { readonly since: number; readonly reason: string } | undefined;
};

/** The outbox of a ledger in memory: holds what is durable, so a crash takes nothing from it. */
export class MemoryOutbox implements Outbox {
  /** In the order of their places. */
  #events: readonly StoredEvent[];
  #lastId: number;
  readonly #listeners = new OutboxListeners();
  readonly #requireOpen: () => void;

  constructor(events: readonly StoredEvent[], requireOpen: () => void) {
    this.#events = events;
    this.#lastId = events.at(-1)?.id ?? 0;
    this.#requireOpen = requireOpen;
  }

  get durable(): readonly StoredEvent[] {
    return this.#events;
  }

  /** Makes the records of one commit durable. */
  commit(records: readonly OutboxRecord[]): void {
    const ready = new Map<string, EventHead[]>();
    for (const record of records) {
      const heads = this.#apply(record);
      ready.set(record.sink, [...(ready.get(record.sink) ?? []), ...heads]);
    }
    this.#listeners.tell(ready);
  }

  sinks(): readonly string[] {
    this.#requireOpen();
    return [...new Set(this.#events.map(({ sink }) => sink))].toSorted();
  }

  totals(sink: string): OutboxTotals {
    const waiting = this.#of(sink).filter(({ buried }) => buried === undefined);
    const [first] = waiting;
    return {
      waiting: waiting.length,
      buried: this.#of(sink).length - waiting.length,
      ...(first === undefined ? {} : { oldest: first.at }),
    };
  }

  waiting(sink: string, after: number, limit: number): readonly EventHead[] {
    const behind = this.#of(sink).filter(({ id, buried }) => id > after && buried === undefined);
    return behind.slice(0, limit).map(headOf);
  }

  next(sink: string, target: string, table: TableKey): OutboxEvent | undefined {
    const found = this.#of(sink).find(
      (event) => event.target === target && event.table === table && event.buried === undefined,
    );
    return found === undefined ? undefined : eventOf(found);
  }

  *buried(sink: string): Iterable<BuriedEvent> {
    for (const event of this.#of(sink)) if (event.buried !== undefined) yield { ...eventOf(event), ...event.buried };
  }

  follow(sink: string, listener: (ready: readonly EventHead[]) => void): Disposable {
    return this.#listeners.add(sink, listener);
  }

  #of(sink: string): readonly StoredEvent[] {
    this.#requireOpen();
    return this.#events.filter((event) => event.sink === sink);
  }

  /** What became ready to leave. */
  #apply(record: OutboxRecord): readonly EventHead[] {
    switch (record.kind) {
      case 'event':
        return [this.#add(record)];
      case 'forwarded':
        this.#events = this.#events.filter((event) => !isMeant(event, record));
        return [];
      case 'buried': {
        const buried = { since: record.at, reason: record.reason };
        this.#events = this.#events.map((event) => (isMeant(event, record) ? { ...event, buried } : event));
        return [];
      }
      case 'revived': {
        const revived = this.#events.filter((event) => event.buried !== undefined && isOf(event, record));
        this.#events = this.#events.map((event) => (revived.includes(event) ? { ...event, buried: undefined } : event));
        return revived.map(headOf);
      }
      case 'discarded':
        this.#events = this.#events.filter(
          (event) => !isOf(event, record) || (event.buried === undefined && record.waiting !== true),
        );
        return [];
    }
  }

  #add({ sink, target, table, timestamp, at, body, limit }: OutboxRecord & { kind: 'event' }): EventHead {
    const key = keyOf(table);
    const fields = { sink, target, table: key, timestamp, at, body };
    const ofSink = this.#events.filter((event) => event.sink === sink);
    const newest = ofSink.findLast((event) => event.target === target && event.table === key);
    if (ofSink.length >= limit && newest !== undefined) {
      const replaced: StoredEvent = { ...fields, id: newest.id };
      this.#events = this.#events.map((event) => (event === newest ? replaced : event));
      return headOf(replaced);
    }
    const added: StoredEvent = { ...fields, id: ++this.#lastId };
    this.#events = [...this.#events, added];
    return headOf(added);
  }
}

const headOf = ({ id, target, table }: EventHead): EventHead => ({ id, target, table });

const eventOf = ({ id, target, table, timestamp, at, body }: OutboxEvent): OutboxEvent => ({
  id,
  target,
  table,
  timestamp,
  at,
  body,
});

const isMeant = (event: StoredEvent, record: { readonly id: number; readonly timestamp: number }): boolean =>
  event.id === record.id && event.timestamp === record.timestamp && event.buried === undefined;

const isOf = (
  event: StoredEvent,
  { sink, tables }: { readonly sink: string; readonly tables?: readonly TableIdentifier[] | undefined },
): boolean => event.sink === sink && (tables === undefined || tables.some((table) => keyOf(table) === event.table));
