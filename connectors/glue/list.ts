import type { Database, Table } from '@aws-sdk/client-glue';
import type { ConnectorDeps } from '../../src/connector/connector.ts';
import type { TableState } from '../../src/core/types.ts';
import type { Aws, Page } from './aws.ts';
import { watchesDatabase, type GlueConfig } from './config.ts';
import { isDenied, isNotFound, nameOf } from './failure.ts';
import type { KnownTables } from './known.ts';
import { merged } from '../../src/runtime/merged.ts';
import type { DatabaseReasons } from './resolve.ts';
import { fingerprintOf, stateOf, whyNotDatabase } from './state.ts';
import { warnIfStripped } from './stripped.ts';

export type ListContext = {
  readonly config: GlueConfig;
  readonly deps: ConnectorDeps;
  readonly aws: Pick<Aws, 'listings' | 'meter' | 'failure'>;
  readonly known: KnownTables;
  readonly databases: DatabaseReasons;
  /** Told of the catalog's account, as Glue names it. */
  readonly onAccount: (account: string) => void;
};

/**
 * Every table of the catalog, in pages; fills `known` and `databases` once it is complete. A database that may not be read
 * is told of and left out, as the others can be listed all the same; what is missing in a list is never taken for gone.
 * Throws the abort's reason or `PushError`.
 */
export async function* listTables(
  context: ListContext,
  signal: AbortSignal,
): AsyncGenerator<readonly TableState[], void, undefined> {
  const { config, deps, known, databases } = context;
  signal.throwIfAborted();
  const before = deps.clock.monotonicMs();
  const found = await allDatabases(context, signal);
  const wanted = found.filter(({ Name = '' }) => watchesDatabase(config, Name));
  if (found.length > 0 && wanted.length === 0)
    deps.log.warn('no-database-matches', { databases: config.databases, catalog: found.length });
  const list: List = { context, signal, fill: known.fill(), denied: [], listed: 0 };
  let tables = 0;
  try {
    for await (const page of merged(
      wanted.map((database) => () => pagesOf(database, list)),
      config.concurrency.listings,
    )) {
      tables += page.length;
      yield page;
    }
    signal.throwIfAborted();
    const [first] = list.denied;
    // If no database could be read, it isn't about one of them.
    if (first !== undefined && list.listed === 0) throw first;
    list.fill.finish();
    databases.clear();
    for (const database of found) databases.set(database.Name ?? '', whyNotDatabase(database));
    const tookMs = Math.round(deps.clock.monotonicMs() - before);
    deps.log.info('listed', { databases: wanted.length, tables, ms: tookMs, ...context.aws.meter.figures() });
  } finally {
    list.fill.abandon();
  }
}

type List = {
  readonly context: ListContext;
  readonly signal: AbortSignal;
  readonly fill: ReturnType<KnownTables['fill']>;
  readonly denied: Error[];
  /** Databases of which at least one page came, or that proved to be gone. */
  listed: number;
};

async function allDatabases({ aws, onAccount }: ListContext, signal: AbortSignal): Promise<Database[]> {
  const databases: Database[] = [];
  let after: string | undefined;
  do {
    const page: Page<Database> = await aws.listings.databases(after, signal);
    databases.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  // A link may show another account's id; a database of one's own doesn't.
  const own = databases.find((database) => whyNotDatabase(database) === undefined)?.CatalogId;
  const account = /^[0-9]{12}/.exec(own ?? '')?.[0];
  if (account !== undefined) onAccount(account);
  return databases;
}

async function* pagesOf(database: Database, list: List): AsyncGenerator<readonly TableState[], void, undefined> {
  const { context, signal, fill } = list;
  const { aws, deps } = context;
  const name = database.Name ?? '';
  const reason = whyNotDatabase(database);
  let after: string | undefined;
  do {
    const asOf = deps.clock.now();
    let page: Page<Table>;
    try {
      page = await aws.listings.tables(name, after, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isNotFound(error) && reason === undefined) list.listed += 1; // deleted a moment ago
      else unreadable(error, { name, reason }, list);
      return;
    }
    if (after === undefined) list.listed += 1;
    after = page.next;
    yield page.items.map((table) => {
      const identifier = { namespace: [name], name: table.Name ?? '' };
      warnIfStripped(identifier, table, { known: context.known, log: deps.log });
      fill.read(name, identifier.name, fingerprintOf(table));
      return stateOf(identifier, table, asOf, reason);
    });
  } while (after !== undefined);
}

/** What concerns one database alone is told of; anything else ends the list. */
function unreadable(
  error: unknown,
  { name, reason }: { readonly name: string; readonly reason: string | undefined },
  list: List,
): void {
  const { aws, deps } = list.context;
  const failure = aws.failure(error, `listing database ${name}`, 'glue:GetTables');
  const isItsOwn = isDenied(error) || reason !== undefined || nameOf(error).startsWith('FederationSource');
  if (!isItsOwn) throw failure;
  // A link or a federation that is broken says nothing of the catalog itself.
  if (reason === undefined) list.denied.push(failure);
  deps.log.warn('database-not-listed', { database: name, error: failure, ...(reason === undefined ? {} : { reason }) });
}
