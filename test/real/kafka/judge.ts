import { deepStrictEqual } from 'node:assert/strict';
import type { ConsumedRecord } from '../kafka-broker.ts';
import type { Admitted } from './agent.ts';

/** What the events of one agent have in common. */
export type Origin = { readonly uri: string; readonly catalog: string; readonly target: string };

type Event = {
  readonly id: string;
  readonly time: string;
  readonly data: {
    readonly namespace: readonly string[];
    readonly table: string;
    readonly timestamp: number;
    readonly origin: string;
    readonly 'table-uuid'?: string;
    readonly 'metadata-location'?: string;
    readonly 'commit-to-visible-ms'?: number;
  };
};

export const eventOf = ({ value }: ConsumedRecord): Event => JSON.parse(value) as Event;

export const CONTENT_TYPE = 'content-type:application/cloudevents+json; charset=utf-8';

const TYPES = { CREATE: 'created', UPDATE: 'updated', DROP: 'dropped' } as const;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The key of a table whose name has dots between its levels. */
export const keyOf = (table: string): string => JSON.stringify(table.split('.'));

/** Throws unless the record is the event of the notification, in every field and with no others. */
export function judgeRecord(record: ConsumedRecord, admitted: Admitted, { uri, catalog, target }: Origin): void {
  const event = eventOf(record);
  const { table, type, timestamp, location } = admitted;
  const levels = table.split('.');
  const { 'table-uuid': uuid, origin, 'commit-to-visible-ms': visible } = event.data;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(event.time)) throw new Error(`time is ${event.time}.`);
  if (type !== 'DROP' && !UUID.test(uuid ?? '')) throw new Error(`table-uuid is ${uuid}.`);
  if (visible !== undefined && !(Number.isInteger(visible) && visible >= 0))
    throw new Error(`commit-to-visible-ms is ${visible}.`);
  if (!origin.startsWith('hive')) throw new Error(`origin is ${origin}.`);
  deepStrictEqual(
    { key: record.key, headers: record.headers, event },
    {
      key: JSON.stringify(levels),
      headers: CONTENT_TYPE,
      event: {
        specversion: '1.0',
        id: `${target}/${timestamp}/${JSON.stringify(levels)}`,
        source: `${uri}/v1/${catalog}`,
        type: `polaris-push.table.${TYPES[type]}`,
        subject: table,
        time: event.time,
        datacontenttype: 'application/json',
        data: {
          type,
          target,
          catalog,
          namespace: levels.slice(0, -1),
          table: levels.at(-1),
          ...(type === 'DROP' ? {} : { 'metadata-location': location }),
          ...(uuid === undefined ? {} : { 'table-uuid': uuid }),
          timestamp,
          origin,
          ...(visible === undefined ? {} : { 'commit-to-visible-ms': visible }),
        },
      },
    },
  );
}

export type Arrivals = { readonly events: number; readonly doubled: number };

/** Throws unless the events of each table are in one partition and in the order of their timestamps; one may come again. */
export function judgeOrder(records: readonly ConsumedRecord[]): Arrivals {
  const partitions = new Map<string, number>();
  const last = new Map<string, number>();
  const ids = new Set<string>();
  for (const record of records) {
    const { key, partition } = record;
    if ((partitions.get(key) ?? partition) !== partition) throw new Error(`${key} is in two partitions.`);
    partitions.set(key, partition);
    const { id, data } = eventOf(record);
    const isAgain = ids.has(id);
    ids.add(id);
    const before = last.get(key) ?? 0;
    if (!isAgain && data.timestamp <= before) throw new Error(`${id} came after the event of ${before}.`);
    last.set(key, Math.max(before, data.timestamp));
  }
  return { events: ids.size, doubled: records.length - ids.size };
}

/** Throws unless the last event of every table tells what the metastore has, and that of every other table is a DROP. */
export function judgeLast(records: readonly ConsumedRecord[], truth: ReadonlyMap<string, string>): void {
  const last = new Map<string, Event>();
  for (const record of records) {
    const event = eventOf(record);
    if ((last.get(record.key)?.data.timestamp ?? 0) <= event.data.timestamp) last.set(record.key, event);
  }
  const expected = new Map([...truth].map(([table, location]) => [keyOf(table), location]));
  const told = new Map(
    [...last].flatMap(([key, { data }]) => {
      const location = data['metadata-location'];
      return location === undefined ? [] : [[key, location] as const];
    }),
  );
  deepStrictEqual(sorted(told), sorted(expected));
}

const sorted = (map: ReadonlyMap<string, string>) => [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
