import type { ConnectorDeps } from '../../src/connector/connector.ts';
import { keyOf, showTable, type TableKey } from '../../src/core/table.ts';
import type { TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { merged } from '../../src/runtime/merged.ts';
import type { RestConfig } from './config.ts';
import { isDenial, isOfOneTable } from './failure.ts';
import type { ListedCatalog } from './http-catalog.ts';
import type { KnownTable, KnownTables } from './known.ts';
import type { TableReader } from './reader.ts';
import { stateOf, unreadableState, viewState } from './state.ts';

export type ListContext = {
  readonly config: RestConfig;
  readonly deps: ConnectorDeps;
  readonly catalog: ListedCatalog;
  readonly known: KnownTables;
  readonly reader: TableReader;
  /** The uuids of views that were loaded before: a listing tells only their names. */
  readonly views: Map<TableKey, string>;
  /** Whether a watch keeps fresh what is known. */
  readonly isPolled: () => boolean;
};

/** Tables that are loaded together and yielded as one page. */
const PAGE = 100;
/** Namespaces listed at the same time. */
const CONCURRENCY = 4;

type Run = {
  readonly context: ListContext;
  readonly signal: AbortSignal;
  /** What could not be read although others could. */
  readonly refused: PushError[];
  /** Tables and views that could be. */
  read: number;
};

/**
 * Every table and view of the catalog, in pages. The names are always the catalog's own of now. What a watch polls is told
 * as it was last read; everything else is loaded. What can't be read is told of, as unsupported if it is denied; what is
 * missing in a list is never taken for gone. Throws the abort's reason or `PushError`, also if nothing could be read at all.
 */
export async function* listTables(
  context: ListContext,
  signal: AbortSignal,
): AsyncGenerator<readonly TableState[], void, undefined> {
  signal.throwIfAborted();
  const { catalog, deps } = context;
  const abandoned = new AbortController();
  const run: Run = { context, signal: AbortSignal.any([signal, abandoned.signal]), refused: [], read: 0 };
  const before = deps.clock.monotonicMs();
  try {
    const namespaces: (readonly string[])[] = [];
    for await (const namespace of catalog.namespaces(run.signal)) namespaces.push(namespace);
    const sources = namespaces.map((namespace) => () => namespaceStates(namespace, run));
    yield* merged(sources, CONCURRENCY);
  } finally {
    // What is still under way when a part failed, or the consumer had enough, must not use up the budget.
    abandoned.abort(new Error('The list is not wanted any more.'));
  }
  // If nothing could be read, it isn't about one table.
  const [first] = run.refused;
  if (first !== undefined && run.read === 0) throw first;
  const ms = Math.round(deps.clock.monotonicMs() - before);
  deps.log.debug('source-listed', { tables: run.read, refused: run.refused.length, ms });
}

/** The tables and views of one namespace. That it may not be listed concerns it alone. */
async function* namespaceStates(
  namespace: readonly string[],
  run: Run,
): AsyncGenerator<readonly TableState[], void, undefined> {
  const { context, signal } = run;
  const { catalog } = context;
  try {
    for await (const names of catalog.tables(namespace, signal))
      // Undefined: dropped since it was listed.
      yield* inPages(names ?? [], (table) => tableState(table, run));
    for await (const names of catalog.views(namespace, signal)) yield* inPages(names, (view) => viewOf(view, run));
  } catch (error) {
    signal.throwIfAborted();
    const isItsOwn = isDenial(error) || (error instanceof PushError && error.code === 'REST_NAME_NOT_ADDRESSABLE');
    if (!isItsOwn) throw error;
    run.refused.push(error);
    context.deps.log.warn('namespace-not-listed', { namespace, error });
  }
}

async function* inPages(
  names: readonly TableIdentifier[],
  read: (table: TableIdentifier) => Promise<TableState | undefined>,
): AsyncGenerator<readonly TableState[], void, undefined> {
  for (let start = 0; start < names.length; start += PAGE) {
    const states = await Promise.all(names.slice(start, start + PAGE).map(read));
    const found = states.filter((state) => state !== undefined);
    if (found.length > 0) yield found;
  }
}

/** Undefined for one that was dropped meanwhile, or whose trouble may pass: whoever misses it asks for it by name. */
async function tableState(table: TableIdentifier, run: Run): Promise<TableState | undefined> {
  const { context, signal } = run;
  const { known, reader, isPolled, deps, config } = context;
  const before = known.get(table);
  const isFresh = before !== undefined && deps.clock.monotonicMs() - before.readAtMs <= config.poll.maxAgeMs;
  if (isFresh && isPolled()) return told(before, run);
  const { asOf } = reader.now();
  try {
    const read = await reader.read(table, {}, signal);
    return read.kind === 'found' ? told(read.found, run) : undefined;
  } catch (error) {
    return unlessItsOwn(error, table, { run, asOf });
  }
}

async function viewOf(view: TableIdentifier, run: Run): Promise<TableState | undefined> {
  const { context, signal } = run;
  const { asOf } = context.reader.now();
  try {
    const uuid = context.views.get(keyOf(view)) ?? (await context.catalog.view(view, signal));
    if (uuid === undefined) return undefined;
    context.views.set(keyOf(view), uuid);
    return counted(viewState(view, uuid, asOf), run);
  } catch (error) {
    return unlessItsOwn(error, view, { run, asOf });
  }
}

function told(found: KnownTable, run: Run): TableState {
  run.context.known.tell(found);
  return counted(stateOf(found), run);
}

function counted(state: TableState, run: Run): TableState {
  run.read++;
  return state;
}

/** What concerns one table alone is told of; anything else ends the list. */
function unlessItsOwn(
  error: unknown,
  table: TableIdentifier,
  { run, asOf }: { readonly run: Run; readonly asOf: number },
): TableState | undefined {
  run.signal.throwIfAborted();
  if (!isOfOneTable(error)) throw error;
  run.refused.push(error);
  run.context.deps.log.warn('table-not-read', { table: showTable(table), error });
  return isDenial(error) ? unreadableState(table, error, asOf) : undefined;
}
