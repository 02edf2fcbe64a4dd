import type { ConnectorDeps } from '../../src/connector/connector.ts';
import { keyOf, showTable, type TableKey } from '../../src/core/table.ts';
import type { EpochMillis, TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { RestCatalog } from './catalog.ts';
import { isDenial } from './failure.ts';
import type { TableReader } from './reader.ts';
import { stateOf, unreadableState, viewState } from './state.ts';

export type ResolveContext = {
  readonly deps: ConnectorDeps;
  readonly catalog: Pick<RestCatalog, 'tables' | 'children' | 'view'>;
  readonly reader: TableReader;
  readonly views: Map<TableKey, string>;
};

/** An answer about one table: a state, or that it wasn't told, which never means that the table is gone. */
type Answer =
  | { readonly kind: 'state'; readonly state: TableState }
  | { readonly kind: 'refused'; readonly error: PushError; readonly asOf: EpochMillis }
  /** 404: what that means, the listing of its namespace tells. */
  | { readonly kind: 'not-found'; readonly message: string; readonly asOf: EpochMillis };

type Missing = Extract<Answer, { readonly kind: 'not-found' }>;

/**
 * Asks the catalog what it holds under some names: one state for each, in order. A 404 alone is no absence, as catalogs
 * answer so to whom they deny a table: a table is absent if, after that, the complete listing of its namespace lacks it,
 * or that of the namespace's parent lacks the namespace, and no view has its name. A table that may not be read is
 * `unsupported` and says so, where others of the same question were read; if none was, the error is thrown.
 */
export async function resolveTables(
  context: ResolveContext,
  tables: readonly TableIdentifier[],
  signal: AbortSignal,
): Promise<readonly TableState[]> {
  signal.throwIfAborted();
  const asked = new Map(tables.map((table) => [keyOf(table), table]));
  const answers = new Map<TableKey, Answer>();
  const missing = new Map<TableKey, Missing>();
  const ask = async ([key, table]: readonly [TableKey, TableIdentifier], until: AbortSignal): Promise<void> => {
    const answer = await read(context, table, until);
    if (answer.kind === 'not-found') missing.set(key, answer);
    else answers.set(key, answer);
  };
  await each([...asked], ask, signal);
  const byNamespace = Map.groupBy(missing.keys(), (key) => JSON.stringify(asked.get(key)?.namespace));
  const vouch = async (keys: readonly TableKey[], until: AbortSignal): Promise<void> => {
    const some = keys.flatMap((key) => asked.get(key) ?? []);
    const [namespace = []] = some.map((table) => table.namespace);
    const listed = await namesIn(context, namespace, until);
    const judgeOne = async (table: TableIdentifier, still: AbortSignal): Promise<void> => {
      const found = missing.get(keyOf(table));
      if (found !== undefined) answers.set(keyOf(table), await judge(context, table, { found, listed }, still));
    };
    await each(some, judgeOne, until);
  };
  await each([...byNamespace.values()], vouch, signal);
  const refused = [...answers.values()].filter((answer) => answer.kind === 'refused');
  const [first] = refused;
  // If nothing could be read, it isn't about one table.
  if (first !== undefined && refused.length === answers.size) throw first.error;
  return tables.map((table) => {
    const answer = answers.get(keyOf(table));
    if (answer?.kind === 'state') return answer.state;
    if (answer?.kind === 'refused') return unreadableState(table, answer.error, answer.asOf);
    throw new PushError('REST_FAILED', `${showTable(table)} was not told.`);
  });
}

/**
 * All at the same time, as far as the budget allows. The first failure ends the others: a catalog that is down would
 * otherwise be asked for each of them, again and again.
 */
async function each<Item>(
  items: readonly Item[],
  work: (item: Item, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const abandoned = new AbortController();
  const either = AbortSignal.any([signal, abandoned.signal]);
  let failure: { readonly error: unknown } | undefined;
  const worked = items.map(async (item) => {
    try {
      await work(item, either);
    } catch (error) {
      failure ??= { error };
      abandoned.abort(new Error('Another question failed.'));
    }
  });
  await Promise.all(worked);
  if (failure !== undefined) throw failure.error;
}

async function read(context: ResolveContext, table: TableIdentifier, signal: AbortSignal): Promise<Answer> {
  const { asOf } = context.reader.now();
  try {
    const answer = await context.reader.read(table, { urgent: true }, signal);
    if (answer.kind === 'found') return { kind: 'state', state: stateOf(answer.found) };
    return { kind: 'not-found', message: answer.message, asOf: answer.time.asOf };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PushError && error.code === 'REST_NAME_NOT_ADDRESSABLE')
      return { kind: 'state', state: { kind: 'unsupported', table, reason: error.message, asOf } };
    if (isDenial(error)) return { kind: 'refused', error, asOf };
    throw error;
  }
}

/** The names of all tables in a namespace: none, by the word of its parent, if there is no such namespace. Throws if neither tells. */
async function namesIn(
  { catalog }: ResolveContext,
  namespace: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const page of catalog.tables(namespace, signal, { urgent: true })) {
    if (page === undefined) {
      await assertNoNamespace(catalog, namespace, signal);
      return new Set();
    }
    for (const { name } of page) names.add(name);
  }
  return names;
}

/** Throws unless the catalog lists a parent of the namespace that lacks it. */
async function assertNoNamespace(
  catalog: ResolveContext['catalog'],
  namespace: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const [parent, shown] = [namespace.slice(0, -1), JSON.stringify(namespace)];
  const children = await catalog.children(parent, signal, { urgent: true });
  if (children === undefined) {
    if (parent.length === 0)
      throw new PushError('REST_WAREHOUSE_UNKNOWN', 'The catalog says that its root does not exist.');
    return await assertNoNamespace(catalog, parent, signal);
  }
  if (children.some((child) => child.at(-1) === namespace.at(-1)))
    throw new PushError('REST_FORBIDDEN', `The catalog lists the namespace ${shown}, but says that it does not exist.`);
}

/** What a 404 meant, as the names of the namespace are known. */
async function judge(
  context: ResolveContext,
  table: TableIdentifier,
  { found, listed }: { readonly found: Missing; readonly listed: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<Answer> {
  const { catalog, views } = context;
  const { asOf } = found;
  try {
    if (listed.has(table.name)) {
      // It may have been made in between.
      const again = await read(context, table, signal);
      if (again.kind !== 'not-found') return again;
      const detail = `${showTable(table)} is listed, but loading it says: ${again.message}.`;
      return { kind: 'refused', error: new PushError('REST_TABLE_HIDDEN', detail), asOf };
    }
    const uuid = await catalog.view(table, signal);
    if (uuid === undefined) {
      views.delete(keyOf(table));
      return { kind: 'state', state: { kind: 'absent', table, asOf } };
    }
    views.set(keyOf(table), uuid);
    return { kind: 'state', state: viewState(table, uuid, asOf) };
  } catch (error) {
    signal.throwIfAborted();
    if (isDenial(error)) return { kind: 'refused', error, asOf };
    throw error;
  }
}
