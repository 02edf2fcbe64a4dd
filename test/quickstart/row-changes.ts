import { PgoutputPlugin } from 'pg-logical-replication';
import type pg from 'pg';

type Row = Readonly<Record<string, string | number | boolean | null | undefined>>;
/** A message as `PgoutputPlugin` parses it; a recording keeps the relation's name in its place. */
type Message = {
  readonly tag: string;
  readonly relation?: string | { readonly name: string };
  readonly new?: Row;
  readonly key?: Row | null;
};

/** One transaction: its row changes in order, one line each. */
export type RowChanges = readonly string[];

/**
 * Row changes as lines that are equal exactly when two metastores did the same: operation, table, and all columns, with
 * times, random ids and this machine's names replaced by placeholders. Ids from sequences stay: they must match, too.
 */
export function rowChanges(messages: Iterable<Message>): RowChanges[] {
  const transactions: string[][] = [];
  let current: string[] = [];
  for (const message of messages) {
    if (message.tag === 'begin') current = [];
    else if (message.tag === 'commit' && current.length > 0) transactions.push(ordered(current));
    else if (['insert', 'update', 'delete'].includes(message.tag)) current.push(line(message));
  }
  return transactions.map(shortened);
}

/** Takes everything that the slot holds and moves it on. */
export async function drain(client: pg.Client, slot: string, publication: string): Promise<RowChanges[]> {
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] });
  const { rows } = await client.query<{ data: Buffer }>(
    `SELECT data FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)`,
    [slot, publication],
  );
  return rowChanges(rows.map((row) => plugin.parse(row.data) as unknown as Message));
}

function line(message: Message): string {
  const table = typeof message.relation === 'string' ? message.relation : (message.relation?.name ?? '');
  const row = Object.entries(message.new ?? message.key ?? {});
  const parameter = (message.new ?? message.key)?.['PARAM_KEY'];
  const columns = row.map(([column, value]) => `${column}=${placeholder(column, value, parameter)}`);
  if (message.tag === 'update' && message.key) {
    columns.unshift(
      ...Object.entries(message.key).map(([column, value]) => `old ${column}=${placeholder(column, value)}`),
    );
  }
  return `${message.tag.charAt(0).toUpperCase()} ${table} ${columns.join(' ')}`;
}

const TIMES = ['CREATE_TIME', 'EVENT_TIME', 'HL_LAST_HEARTBEAT', 'HL_ACQUIRED_AT', 'LAST_ACCESS_TIME'];
const PEOPLE = ['OWNER', 'OWNER_NAME', 'HL_USER', 'HL_HOST'];
const PARAMETER_TIMES = ['transient_lastDdlTime', 'current-snapshot-timestamp-ms'];
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

function placeholder(column: string, value: Row[string], parameter?: Row[string]): string {
  if (value === null || value === undefined) return 'null';
  const text = String(value);
  if (TIMES.includes(column)) return text === '0' ? '0' : '<time>';
  if (PEOPLE.includes(column)) return '<name>';
  if (column === 'MESSAGE') return '<message>';
  if (column === 'HL_LOCK_EXT_ID' && Math.abs(Number(text)) > 1e6) return '<temporary>';
  if (column === 'PARAM_VALUE') {
    if (PARAMETER_TIMES.includes(String(parameter))) return '<time>';
    if (parameter === 'current-snapshot-id') return '<id>';
    if (parameter === 'totalSize' && Number(text) > 1000) return '<bytes>';
    if (parameter === 'current-snapshot-summary') return text.replace(/,"iceberg-version":"[^"]*"/, '');
    if (text.length > 2000) return `<${text.length} characters>`;
  }
  return text.replaceAll(UUID, '<uuid>').replace(/^file:.*?(?=\/\w+\.db\b)/, '<warehouse>');
}

/** Operation and table of a line. */
const kindOf = (text: string | undefined) => text?.split(' ', 2).join(' ');

/** The order of a table's parameters is a hash map's in Hive; only a compare-and-set before them has its place. */
function ordered(lines: readonly string[]): string[] {
  const result: string[] = [];
  for (let start = 0; start < lines.length;) {
    let end = start;
    while (end < lines.length && kindOf(lines[end])?.endsWith(' TABLE_PARAMS') === true) end += 1;
    const run = lines.slice(start, Math.max(end, start + 1));
    start += run.length;
    const [first, ...rest] = run;
    result.push(...(first !== undefined && rest.includes(first) ? [first, ...rest.toSorted()] : run.toSorted()));
  }
  return result;
}

/** A table of 300 columns need not fill pages: of each run of one operation on COLUMNS_V2 the ends and the number are kept. */
function shortened(lines: readonly string[]): string[] {
  const result: string[] = [];
  for (let start = 0; start < lines.length;) {
    let end = start + 1;
    while (end < lines.length && kindOf(lines[end]) === kindOf(lines[start])) end += 1;
    const run = lines.slice(start, end);
    start = end;
    const long = kindOf(run[0])?.endsWith(' COLUMNS_V2') === true && run.length > 6;
    result.push(...(long ? [run[0] ?? '', `... ${run.length - 2} more ...`, run.at(-1) ?? ''] : run));
  }
  return result;
}
