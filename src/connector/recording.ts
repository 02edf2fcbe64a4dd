import { z } from 'zod';
import { keyOf, type TableKey } from '../core/table.ts';
import type { TableState } from '../core/types.ts';
import type { Connector } from './connector.ts';

const level = z.string().min(1);
const common = { table: z.array(level).min(2), as_of: z.int().min(0) };
const recordedState = z.discriminatedUnion('state', [
  z.strictObject({
    ...common,
    state: z.literal('present'),
    metadata_location: z.string().min(1),
    incarnation: z.string(),
    table_uuid: z.string().optional(),
  }),
  z.strictObject({ ...common, state: z.literal('absent') }),
]);

/** The longest line that is read: a name and a location have a few kilobytes at the most. */
export const MAX_LINE_LENGTH = 64 * 1024;

/**
 * Reads one line of a recording: `{"table":["sales","orders"],"state":"present","metadata_location":"s3://…",
 * "incarnation":"42","as_of":1700000000000}` (a namespace level or more, then the name; `as_of` in epoch ms), or
 * `"state":"absent"`. Throws a `SyntaxError` that says what is wrong.
 */
export function parseRecorded(line: string): TableState {
  if (line.length > MAX_LINE_LENGTH) throw new SyntaxError(`longer than ${MAX_LINE_LENGTH} characters`);
  let content: unknown;
  try {
    content = JSON.parse(line);
  } catch {
    throw new SyntaxError('no JSON object');
  }
  const parsed = recordedState.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new SyntaxError(
      `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a recorded state'}`.replace(/^: /, ''),
    );
  }
  const { table: levels, as_of: asOf } = parsed.data;
  const table = { namespace: levels.slice(0, -1), name: levels.at(-1) ?? '' };
  if (parsed.data.state === 'absent') return { kind: 'absent', table, asOf };
  const { metadata_location: metadataLocation, incarnation, table_uuid: tableUuid } = parsed.data;
  return { kind: 'present', table, metadataLocation, incarnation, tableUuid, asOf };
}

/** The line that `parseRecorded` reads. What isn't mirrored isn't recorded, so an `unsupported` state has none. */
export function formatRecorded(state: TableState): string | undefined {
  if (state.kind === 'unsupported') return undefined;
  const table = [...state.table.namespace, state.table.name];
  if (state.kind === 'absent') return JSON.stringify({ table, state: 'absent', as_of: state.asOf });
  const { metadataLocation, incarnation, tableUuid, asOf } = state;
  return JSON.stringify({
    table,
    state: 'present',
    metadata_location: metadataLocation,
    incarnation,
    table_uuid: tableUuid,
    as_of: asOf,
  });
}

/** A connector whose reads are written down: every state of a table that differs from the one written before. */
export function recorded(connector: Connector, write: (line: string) => void): Connector {
  const last = new Map<TableKey, string>();
  return {
    source: connector.source,
    get identity() {
      return connector.identity;
    },
    prepare: (signal) => connector.prepare(signal),
    list: (signal) => connector.list(signal),
    watch: (after, signal) => connector.watch(after, signal),
    resolve: async (tables, signal) => {
      const states = await connector.resolve(tables, signal);
      for (const state of states) {
        const line = formatRecorded(state);
        const what = formatRecorded({ ...state, asOf: 0 });
        if (line === undefined || what === undefined || last.get(keyOf(state.table)) === what) continue;
        last.set(keyOf(state.table), what);
        write(line);
      }
      return states;
    },
    measure: (signal) => connector.measure?.(signal) ?? Promise.resolve({}),
    [Symbol.asyncDispose]: () => connector[Symbol.asyncDispose](),
  };
}
