import type { SourceTable } from './driver.ts';
import type { ServedTable } from './polaris.ts';

/** What is compared of a table that both have. */
export const FIELDS = ['metadataLocation', 'tableUuid', 'snapshotId', 'columns'] as const;
export type ComparedField = (typeof FIELDS)[number];

/**
 * What keeps Polaris from being equal to the metastore, one line a difference; empty when they are equal. Tables that
 * are `kept` may be in Polaris although Iceberg doesn't list them in the metastore any more, and must be.
 */
export function differences(
  source: readonly SourceTable[],
  served: ReadonlyMap<string, ServedTable>,
  kept: readonly string[],
  fields: readonly ComparedField[] = FIELDS,
): readonly string[] {
  const expected = new Map(source.map((table) => [table.table, table]));
  const found: string[] = [];
  for (const [name, table] of expected) {
    const there = served.get(name);
    if (there === undefined) found.push(`${name}: in the metastore, missing in Polaris`);
    else found.push(...fieldDifferences(name, table, there, fields));
  }
  for (const name of kept) if (!served.has(name)) found.push(`${name}: must be kept, missing in Polaris`);
  for (const name of served.keys()) {
    if (!expected.has(name) && !kept.includes(name)) found.push(`${name}: in Polaris, not in the metastore`);
  }
  return found;
}

function fieldDifferences(
  name: string,
  source: SourceTable,
  served: ServedTable,
  fields: readonly ComparedField[],
): readonly string[] {
  return fields
    .filter((field) => source[field] !== served[field])
    .map((field) => `${name}: ${field} is ${source[field]} in the metastore, ${served[field]} in Polaris`);
}
