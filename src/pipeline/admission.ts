import type { Entry, EntryRecord, EpochMillis, Notification } from '../core/types.ts';
import type { OutboxRecord } from '../ledger/outbox.ts';

export type AdmittedNotification = Notification & { readonly type: 'CREATE' | 'UPDATE' | 'DROP' };

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
