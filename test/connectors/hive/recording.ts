import { readFileSync } from 'node:fs';
import { TransactionDecoder, type RowMessage } from '../../../connectors/hive/decode.ts';
import type { Id, NameMap } from '../../../connectors/hive/names.ts';
import { textOf } from './metastore.ts';

type Line = {
  readonly operation: string;
  readonly tag: 'begin' | 'insert' | 'update' | 'delete' | 'commit';
  readonly relation?: string;
  readonly [part: string]: unknown;
};

/**
 * What PostgreSQL sent while Iceberg's HiveCatalog worked on a Hive Metastore 4.2.0 (REPLICA IDENTITY DEFAULT), one message a
 * line. Long values are cut, and rows of tables that nobody reads are empty. `publication-hms_cdc` came through a narrow
 * publication, all others through one of all columns of 16 tables.
 */
export function recordedOperations(): ReadonlyMap<string, readonly Line[]> {
  const text = readFileSync(new URL('../../fixtures/hive/recorded-streams.jsonl', import.meta.url), 'utf8');
  const lines = text.trim().split('\n').map(parseLine);
  return Map.groupBy(lines, ({ operation }) => operation);
}

/** JSON has no `undefined`, which is how the parser gives a value that PostgreSQL didn't send as it is unchanged. */
function parseLine(text: string): Line {
  return JSON.parse(text, (_, value: unknown) => (value === '<<undefined>>' ? undefined : value)) as Line;
}

/** The hints of each transaction that gave any, as text; `?33` is an id without a known name. */
export function decodeAll(lines: readonly Line[], names: NameMap, catalog = 'hive'): string[][] {
  const transactions: string[][] = [];
  let decoder = new TransactionDecoder('public');
  for (const line of lines) {
    if (line.tag === 'begin') decoder = new TransactionDecoder('public');
    else if (line.tag === 'commit') transactions.push(hintsOf(decoder, names, catalog));
    else decoder.add({ ...line, relation: { schema: 'public', name: line.relation } } as unknown as RowMessage);
  }
  return transactions.filter((hints) => hints.length > 0);
}

export function hintsOf(decoder: TransactionDecoder, names: NameMap, catalog = 'hive'): string[] {
  const { changes, unknown } = decoder.commit(names, catalog);
  return [...changes.map(textOf), ...unknown.map((id: Id) => `?${id}`)];
}
