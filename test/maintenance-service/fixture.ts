import type { TableIdentifier } from '../../src/core/types.ts';
import { tableEventOf, type TableEvent } from '../../src/forward/cloud-event.ts';
import type { ApplicablePolicy } from '../../src/polaris/policies.ts';
import { parseContent, type CachedPolicy } from '../../src/polaris/policy-cache.ts';

export const ORDERS: TableIdentifier = { namespace: ['sales'], name: 'orders' };

export const never = new AbortController().signal;

/** A compaction policy as Polaris tells of it. */
export const policy = (content: string | undefined, changes: Partial<ApplicablePolicy> = {}): ApplicablePolicy => ({
  type: 'system.data-compaction',
  inheritable: true,
  name: 'small-files',
  content,
  version: 0,
  inherited: true,
  namespace: ['sales'],
  ...changes,
});

/** The same as the cache holds it. */
export function cached(content: string | undefined, changes: Partial<ApplicablePolicy> = {}): CachedPolicy {
  const applicable = policy(content, changes);
  return { ...applicable, parsed: parseContent(applicable), revision: `revision-${applicable.version}` };
}

export const enabled = (config: object = {}): string => JSON.stringify({ version: '2025-02-03', enable: true, config });

/** The event that the agent would forward. */
export function eventOf(changes: {
  readonly table?: TableIdentifier;
  readonly type?: 'CREATE' | 'UPDATE' | 'DROP';
  readonly timestamp: number;
  readonly location?: string;
  readonly target?: string;
  readonly catalog?: string;
}): TableEvent {
  const { table = ORDERS, type = 'UPDATE', timestamp, location, target = 'main', catalog = 'mirror' } = changes;
  return tableEventOf({
    target: { name: target, uri: 'http://polaris.test/api/catalog', catalog },
    notification: { type, table, timestamp, metadataLocation: location, tableUuid: undefined } as never,
    at: 1_000,
    origin: 'hive',
    commitToVisibleMs: 40,
  });
}

/** Metadata with one snapshot. */
export const metadataOf = (files: number, bytes: number, operation = 'append', properties: object = {}) => ({
  'current-snapshot-id': 7,
  properties,
  snapshots: [
    { 'snapshot-id': 6, summary: { operation: 'append', 'total-data-files': '1', 'total-files-size': '1' } },
    {
      'snapshot-id': 7,
      summary: { operation, 'total-data-files': String(files), 'total-files-size': String(bytes) },
    },
  ],
});
