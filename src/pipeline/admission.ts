import type { Entry, EntryRecord, EpochMillis } from '../core/types.ts';
import { tableEventOf, type AdmittedNotification } from '../forward/cloud-event.ts';
import type { OutboxRecord } from '../ledger/outbox.ts';

/** That Polaris admitted a notification, whether it said so or was found to serve what was sent. */
export type Admission = {
  readonly target: string;
  readonly notification: AdmittedNotification;
  /** The driver's clock when that was known. */
  readonly at: EpochMillis;
  /** From the source's commit until then, where its time is known. */
  readonly commitToVisibleMs?: number | undefined;
};

/** The events of an admission, one for each sink; appended with its outcome. */
export type EventsOf = (admission: Admission) => readonly OutboxRecord[];

export type EventOptions = {
  /** By name; `limit` as in the outbox. */
  readonly sinks: readonly { readonly name: string; readonly limit: number }[];
  readonly targets: readonly { readonly name: string; readonly uri: string; readonly catalog: string }[];
  /** The source. */
  readonly origin: string;
};

/** Makes the events of each admission; undefined when nobody wants any. */
export function eventsFor({ sinks, targets, origin }: EventOptions): EventsOf | undefined {
  if (sinks.length === 0) return undefined;
  const byName = new Map(targets.map((target) => [target.name, target]));
  return ({ target: name, notification, at, commitToVisibleMs }) => {
    const target = byName.get(name);
    if (target === undefined) return [];
    const { table, timestamp } = notification;
    const body = JSON.stringify(tableEventOf({ target, notification, at, origin, commitToVisibleMs }));
    return sinks.map(({ name: sink, limit }) => ({
      kind: 'event',
      sink,
      target: name,
      table,
      timestamp,
      at,
      body,
      limit,
    }));
  };
}

/** The notification that these records of an entry say was admitted, if they do. */
export function admittedBy(before: Entry, records: readonly EntryRecord[]): AdmittedNotification | undefined {
  let { open } = before;
  for (const record of records) {
    if (record.kind === 'intent') open = record.notification;
    const isAdmitted = record.kind === 'outcome' && (record.outcome === 'admitted' || record.outcome === 'served');
    if (isAdmitted && open !== undefined && open.type !== 'VALIDATE') return { ...open, type: open.type };
  }
  return undefined;
}
