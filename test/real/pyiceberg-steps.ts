import { isDeepStrictEqual } from 'node:util';
import { type ReadTable, type ReadyPython, readTables, writeTable } from './pyiceberg.ts';
import type { Compared, Session } from './session.ts';

export type Step = { readonly name: string; readonly run: () => Promise<Compared> };

/** Columns that write.py gives its table. */
const WRITTEN_COLUMNS = ['id long', 'city string', 'celsius double'];

/** PyIceberg writes through the metastore, where it can (`writes`), and reads every table through Polaris. */
export function pyIcebergSteps(session: Session, python: ReadyPython, writes: boolean): readonly Step[] {
  const written = new Map<string, readonly unknown[]>();
  const write = async () => {
    const table = 'sales.measurements';
    written.set(table, await writeTable(python, session.addresses.metastore, table));
    return session.compare({ requests: [] });
  };
  const read = async () => {
    const before = performance.now();
    const tables = await session.tables();
    const names = tables.map(({ table }) => (written.has(table) ? `${table}+` : table));
    const found = await readTables(python, session.addresses, names);
    const wrong = tables.flatMap((table) => {
      const there = found[table.table];
      return there === undefined ? [`${table.table}: not read`] : mistakes(table, there, written.get(table.table));
    });
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    return { tables: tables.length, tookMs: performance.now() - before };
  };
  return [
    ...(writes ? [{ name: 'PyIceberg creates a table and appends rows', run: write }] : []),
    { name: 'PyIceberg reads every table through Polaris', run: read },
  ];
}

function mistakes(
  source: {
    readonly table: string;
    readonly metadataLocation: string;
    readonly tableUuid: string;
    readonly columns: number;
  },
  read: ReadTable,
  rows: readonly unknown[] | undefined,
): readonly string[] {
  const expectations: readonly (readonly [string, unknown, unknown])[] = [
    ['listed', read.listed, true],
    ['exists', read.exists, true],
    ['metadata location', read.metadataLocation, source.metadataLocation],
    ['uuid', read.tableUuid, source.tableUuid],
    ['number of columns', read.columns.length, source.columns],
    ...(rows === undefined
      ? []
      : ([
          ['columns', read.columns, WRITTEN_COLUMNS],
          ['property', read.properties['written-by'], 'PyIceberg'],
          ['rows', read.rows, rows],
        ] as const)),
  ];
  return expectations
    .filter(([, found, expected]) => !isDeepStrictEqual(found, expected))
    .map(([what, found, expected]) => {
      return `${source.table}: PyIceberg finds the ${what} ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`;
    });
}
