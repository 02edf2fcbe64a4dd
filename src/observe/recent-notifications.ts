import { keyOf, showTable, type TableKey } from '../core/table.ts';
import type { EpochMillis, TableIdentifier } from '../core/types.ts';
import type { PipelineEvent } from '../pipeline/events.ts';
import type { NotificationAnswer } from './api-schema.ts';

type Notified = PipelineEvent & { readonly kind: 'notified' };
type Kept = { readonly key: TableKey; readonly at: EpochMillis; readonly event: Notified };

const MOST = 1_000;
/** An answer of Polaris may hold a whole stack trace. */
const MOST_DETAIL = 500;

/** The last notifications of all tables together: so many, however long the agent runs. */
export class RecentNotifications {
  readonly #ring: Kept[] = [];
  #next = 0;
  #seen = 0;

  /** Grows with every notification. */
  get seen(): number {
    return this.#seen;
  }

  add(event: Notified, at: EpochMillis): void {
    this.#ring[this.#next] = { key: keyOf(event.notification.table), at, event };
    this.#next = (this.#next + 1) % MOST;
    this.#seen++;
  }

  /** The newest first. */
  last(limit: number): NotificationAnswer[] {
    return [...this.#newestFirst()].slice(0, limit).map(answerOf);
  }

  of(table: TableIdentifier): NotificationAnswer[] {
    const key = keyOf(table);
    return [...this.#newestFirst()].filter((kept) => kept.key === key).map(answerOf);
  }

  /** Their tables, each once. */
  tables(): TableIdentifier[] {
    const tables = new Map([...this.#newestFirst()].map(({ key, event }) => [key, event.notification.table]));
    return [...tables.values()];
  }

  *#newestFirst(): Generator<Kept, void, undefined> {
    for (let back = 1; back <= this.#ring.length; back++) {
      const kept = this.#ring[(this.#next - back + MOST) % MOST];
      if (kept !== undefined) yield kept;
    }
  }
}

function answerOf({ at, event }: Kept): NotificationAnswer {
  const { target, notification, outcome, tookMs, commitToVisibleMs } = event;
  const { type, table, timestamp, metadataLocation } = notification;
  return {
    at: new Date(at).toISOString(),
    target,
    table: showTable(table),
    type,
    outcome: outcome.kind,
    ...('reason' in outcome ? { reason: outcome.reason } : {}),
    ...('message' in outcome ? { detail: outcome.message.slice(0, MOST_DETAIL) } : {}),
    timestamp,
    ...(metadataLocation === undefined ? {} : { metadata_location: metadataLocation }),
    ms: rounded(tookMs),
    ...(commitToVisibleMs === undefined ? {} : { commit_to_visible_ms: rounded(commitToVisibleMs) }),
  };
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10;
