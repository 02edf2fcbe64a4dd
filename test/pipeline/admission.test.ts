import { describe, expect, test } from 'vitest';
import { blank } from '../../src/core/fold.ts';
import { keyOf } from '../../src/core/table.ts';
import type { EntryRecord, Notification, OutcomeKind, Timestamp } from '../../src/core/types.ts';
import { tableEvent } from '../../src/forward/cloud-event.ts';
import { admittedBy, eventsFor } from '../../src/pipeline/admission.ts';
import { id } from './lab.ts';

const table = id('sales.orders');
const on = { target: 'main', table } as const;
const notification = (type: Notification['type'], timestamp: number): Notification => ({
  type,
  table,
  timestamp: timestamp as Timestamp,
  metadataLocation: 's3://b/1.metadata.json',
  tableUuid: '7b5b5b5e-0000-4000-8000-000000000000',
});
const outcome = (kind: OutcomeKind): EntryRecord => ({ ...on, kind: 'outcome', outcome: kind });
const open = (type: Notification['type']) => ({ ...blank('main', table), open: notification(type, 5) });

describe('What Polaris admitted', () => {
  test.for(['admitted', 'served'] as const)('is the open intent whose outcome is %s', (kind) => {
    expect(admittedBy(open('UPDATE'), [outcome(kind)])).toEqual(notification('UPDATE', 5));
  });

  test('is the intent of the same records when the table was found to be served already', () => {
    const intent: EntryRecord = { ...on, kind: 'intent', notification: notification('CREATE', 9) };
    const settled: EntryRecord = { ...on, kind: 'settled', seen: 1 };
    expect(admittedBy(blank('main', table), [intent, outcome('served'), settled])).toEqual(notification('CREATE', 9));
  });

  test.for([
    'stale',
    'lost-race',
    'name-taken',
    'refused',
    'unavailable',
    'unauthorized',
    'unknown',
    'withdrawn',
  ] as const)('is nothing when the outcome is %s', (kind) => {
    expect(admittedBy(open('UPDATE'), [outcome(kind)])).toBeUndefined();
  });

  test('is nothing without an intent, or for a VALIDATE, which changes nothing', () => {
    expect(admittedBy(blank('main', table), [outcome('admitted')])).toBeUndefined();
    expect(admittedBy(open('VALIDATE'), [outcome('admitted')])).toBeUndefined();
    expect(admittedBy(open('UPDATE'), [{ ...on, kind: 'seen', count: 1 }])).toBeUndefined();
  });
});

const admission = (type: 'CREATE' | 'UPDATE' | 'DROP') => ({
  target: 'main',
  notification: { ...notification(type, 1_764_032_000_123), type },
  at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  commitToVisibleMs: 41.6,
});

describe('The events of an admission', () => {
  const targets = [{ name: 'main', uri: 'https://polaris.example.com/api/catalog', catalog: 'hive mirror' }];
  const sinks = [
    { name: 'maintenance', limit: 0 },
    { name: 'lake', limit: 500 },
  ];

  test('are one per sink, with the same text, which is a CloudEvent', () => {
    const events = eventsFor({ sinks, targets, origin: 'hive:metastore' })?.(admission('UPDATE')) ?? [];
    expect(events).toMatchObject([
      { kind: 'event', sink: 'maintenance', target: 'main', table, timestamp: 1_764_032_000_123, limit: 0 },
      { kind: 'event', sink: 'lake', limit: 500 },
    ]);
    const bodies = events.map((event) => (event.kind === 'event' ? event.body : ''));
    expect(bodies[0]).toBe(bodies[1]);
    const event: unknown = JSON.parse(bodies[0] ?? '');
    expect(event).toEqual({
      specversion: '1.0',
      id: `main/1764032000123/${keyOf(table)}`,
      source: 'https://polaris.example.com/api/catalog/v1/hive%20mirror',
      type: 'polaris-push.table.updated',
      subject: 'sales.orders',
      time: '2026-01-02T03:04:05.006Z',
      datacontenttype: 'application/json',
      data: {
        type: 'UPDATE',
        target: 'main',
        catalog: 'hive mirror',
        namespace: ['sales'],
        table: 'orders',
        'metadata-location': 's3://b/1.metadata.json',
        'table-uuid': '7b5b5b5e-0000-4000-8000-000000000000',
        timestamp: 1_764_032_000_123,
        origin: 'hive:metastore',
        'commit-to-visible-ms': 42,
      },
    });
    expect(tableEvent.parse(event)).toEqual(event);
  });

  test('of a DROP name no metadata location, and what is not known is not told', () => {
    const { commitToVisibleMs: _, ...facts } = admission('DROP');
    const [event] = eventsFor({ sinks, targets, origin: 'o' })?.(facts) ?? [];
    const { type, data } = tableEvent.parse(JSON.parse(event?.kind === 'event' ? event.body : ''));
    expect(type).toBe('polaris-push.table.dropped');
    expect(Object.keys(data)).not.toContain('metadata-location');
    expect(Object.keys(data)).not.toContain('commit-to-visible-ms');
  });

  test('are none when nobody wants them', () => {
    expect(eventsFor({ sinks: [], targets, origin: 'o' })).toBeUndefined();
  });
});
