import { z } from 'zod';
import { keyOf, showTable, type TableKey } from '../core/table.ts';
import type { EpochMillis, Notification } from '../core/types.ts';

/** The media type of an event in CloudEvents' structured JSON. */
export const CLOUD_EVENT = 'application/cloudevents+json';

const TYPES = {
  CREATE: 'polaris-push.table.created',
  UPDATE: 'polaris-push.table.updated',
  DROP: 'polaris-push.table.dropped',
} as const;

const data = z.object({
  type: z.enum(['CREATE', 'UPDATE', 'DROP']).describe('The notification that Polaris admitted.'),
  target: z.string().describe("The target's name in the agent's configuration."),
  catalog: z.string().describe('The EXTERNAL catalog in Polaris.'),
  namespace: z.array(z.string()).min(1).describe('The levels of the namespace as Polaris names them.'),
  table: z.string().describe("The table's name in Polaris."),
  'metadata-location': z.string().optional().describe('What Polaris serves now; absent for a table that was dropped.'),
  'table-uuid': z.string().optional().describe('As the source told it, if it did.'),
  timestamp: z.int().describe("The notification's timestamp, epoch ms; grows with each event of a table on a target."),
  origin: z.string().describe('The source that the table came from.'),
  'commit-to-visible-ms': z
    .number()
    .min(0)
    .optional()
    .describe("From the commit in the source to Polaris's answer, where the time of the commit is known."),
});

/**
 * The event that follows an admitted notification: CloudEvents 1.0 in structured JSON mode. For receivers, too, which
 * should go by the last `timestamp` of a table: an event may come twice, and after a retry by hand late.
 */
export const tableEvent = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1).describe('Of this event, the same at every delivery: target, timestamp and table.'),
  source: z.string().min(1).describe('The catalog in Polaris, as the address of its REST API.'),
  type: z.enum(TYPES),
  subject: z.string().describe('The table for people; programs go by `data`.'),
  time: z.iso.datetime().describe('When the agent learned that the notification was admitted.'),
  datacontenttype: z.literal('application/json'),
  data,
});

export type TableEvent = z.output<typeof tableEvent>;

export type AdmittedNotification = Notification & { readonly type: 'CREATE' | 'UPDATE' | 'DROP' };

/** An admitted notification, and what else its event tells. */
export type EventFacts = {
  readonly target: { readonly name: string; readonly uri: string; readonly catalog: string };
  readonly notification: AdmittedNotification;
  /** When that was known. */
  readonly at: EpochMillis;
  readonly origin: string;
  readonly commitToVisibleMs?: number | undefined;
};

/** The same for the same notification, however often its event is sent. */
export const eventIdOf = (target: string, timestamp: number, table: TableKey): string =>
  `${target}/${timestamp}/${table}`;

export function tableEventOf({ target, notification, at, origin, commitToVisibleMs }: EventFacts): TableEvent {
  const { type, table, timestamp, metadataLocation, tableUuid } = notification;
  return {
    specversion: '1.0',
    id: eventIdOf(target.name, timestamp, keyOf(table)),
    source: `${target.uri}/v1/${encodeURIComponent(target.catalog)}`,
    type: TYPES[type],
    subject: showTable(table),
    time: new Date(at).toISOString(),
    datacontenttype: 'application/json',
    data: {
      type,
      target: target.name,
      catalog: target.catalog,
      namespace: [...table.namespace],
      table: table.name,
      ...(type === 'DROP' || metadataLocation === undefined ? {} : { 'metadata-location': metadataLocation }),
      ...(tableUuid === undefined ? {} : { 'table-uuid': tableUuid }),
      timestamp,
      origin,
      ...(commitToVisibleMs === undefined ? {} : { 'commit-to-visible-ms': Math.round(commitToVisibleMs) }),
    },
  };
}
