import type { Table } from '@aws-sdk/client-glue';
import type { ConnectorDeps } from '../../src/connector/connector.ts';
import { keyOf, showTable, type TableKey } from '../../src/core/table.ts';
import type { EpochMillis, TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import { Gate } from '../../src/runtime/gate.ts';
import type { Announced } from './announced.ts';
import type { Aws } from './aws.ts';
import { watchesDatabase, type GlueConfig } from './config.ts';
import { isNotFound, isOfOneTable } from './failure.ts';
import type { KnownTables } from './known.ts';
import { fingerprintOf, stateOf, whyNotDatabase } from './state.ts';
import { warnIfStripped } from './stripped.ts';

export type ResolveContext = {
  readonly config: GlueConfig;
  readonly deps: ConnectorDeps;
  readonly aws: Pick<Aws, 'events' | 'meter' | 'failure'>;
  readonly known: KnownTables;
  readonly databases: DatabaseReasons;
  readonly announced: Announced;
};

/** Databases that were looked at, and why their tables can't be mirrored; undefined: they can. */
export type DatabaseReasons = Map<string, string | undefined>;

/** What Glue said of one table. */
type Answer =
  | { readonly kind: 'found'; readonly table: Table; readonly asOf: EpochMillis }
  | { readonly kind: 'missing'; readonly asOf: EpochMillis }
  /** It wasn't told: an answer about this table alone, which never means that the table is gone. */
  | { readonly kind: 'refused'; readonly error: PushError; readonly asOf: EpochMillis };

/** A page of GetTables has up to so many. */
const PAGE = 100;

/** How long a look at a database counts for tables that are missing in it. */
const VOUCHED_MS = 10_000;

/** Asks Glue what it holds under some names. */
export class Resolver {
  readonly #context: ResolveContext;
  readonly #gate: Gate;
  readonly #vouchedUntilMs = new Map<string, number>();

  constructor(context: ResolveContext) {
    this.#context = context;
    this.#gate = new Gate(() => context.config.concurrency.events);
  }

  /**
   * One state for each table, in order. Only Glue's word that the table itself doesn't exist is `absent`. A table that may
   * not be read is `unsupported` and says so, where others of the same question were read; if none was, the error is thrown.
   */
  async resolve(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<readonly TableState[]> {
    signal.throwIfAborted();
    const asked = new Map(
      tables.filter((table) => this.#whyNot(table) === undefined).map((table) => [keyOf(table), table]),
    );
    const answers = await this.#settled([...asked.values()], signal);
    const found = [...asked].filter(([key]) => answers.get(key)?.kind === 'found').map(([, table]) => table);
    await this.#learnDatabases(found, signal);
    return tables.map((table) => {
      const reason = this.#whyNot(table);
      const answer = answers.get(keyOf(table));
      if (reason !== undefined || answer === undefined)
        return { kind: 'unsupported', table, reason: reason ?? '', asOf: this.#context.deps.clock.now() };
      return this.#stateOf(table, answer);
    });
  }

  /** Why a name can't be one of ours, whatever Glue holds. */
  #whyNot({ namespace }: TableIdentifier): string | undefined {
    const [database] = namespace;
    if (database === undefined || namespace.length !== 1) return 'Glue has no databases within databases';
    if (!watchesDatabase(this.#context.config, database)) return 'its database is left out by source.databases';
    return undefined;
  }

  /** Reads, and reads again what contradicts a fresh event, until that counts. */
  async #settled(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<Map<TableKey, Answer>> {
    const { announced, deps, aws } = this.#context;
    const answers = await this.#readAll(tables, signal);
    let doubtful = tables.filter((table) => this.#isDoubtful(table, answers.get(keyOf(table))));
    for (const delayMs of announced.delaysMs) {
      if (doubtful.length === 0) break;
      aws.meter.add('reread', doubtful.length);
      await deps.clock.sleep(delayMs, signal);
      signal.throwIfAborted();
      const again = await this.#readAll(doubtful, signal);
      for (const [key, answer] of again) answers.set(key, answer);
      doubtful = doubtful.filter((table) => this.#isDoubtful(table, again.get(keyOf(table))));
    }
    for (const table of doubtful) announced.settled(table);
    return answers;
  }

  #isDoubtful(table: TableIdentifier, answer: Answer | undefined): boolean {
    if (answer === undefined || answer.kind === 'refused') return false;
    const { announced, aws } = this.#context;
    const fingerprint = answer.kind === 'found' ? fingerprintOf(answer.table) : undefined;
    return announced.judge(table, fingerprint, aws.meter.awsTime(answer.asOf)) === 'doubtful';
  }

  async #readAll(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<Map<TableKey, Answer>> {
    const byDatabase = Map.groupBy(tables, ({ namespace }) => namespace[0] ?? '');
    const answers = await Promise.all(
      [...byDatabase].map(([database, wanted]) => this.#readDatabase(database, wanted, signal)),
    );
    const all = new Map(answers.flatMap((some) => [...some]));
    const refused = [...all.values()].filter((answer) => answer.kind === 'refused');
    // If nothing could be read, it isn't about one table.
    const [first] = refused;
    if (first !== undefined && refused.length === all.size) throw first.error;
    return all;
  }

  async #readDatabase(
    database: string,
    tables: readonly TableIdentifier[],
    signal: AbortSignal,
  ): Promise<Map<TableKey, Answer>> {
    const answers = new Map<TableKey, Answer>();
    if (this.#isBurst(database, tables.length)) await this.#readPages(database, answers, signal);
    const wanted = new Map(tables.map((table) => [keyOf(table), table]));
    for (const key of answers.keys()) if (!wanted.has(key)) answers.delete(key);
    // What a list lacks isn't gone for that: it is asked for by its name.
    const rest = tables.filter((table) => !answers.has(keyOf(table)));
    const found = await Promise.all(rest.map((table) => this.#read(table, signal)));
    for (const [i, table] of rest.entries()) {
      const answer = found[i];
      if (answer !== undefined) answers.set(keyOf(table), answer);
    }
    await this.#vouch(database, answers, signal);
    return answers;
  }

  /** Whether listing the database takes fewer calls than asking for each table. */
  #isBurst(database: string, tables: number): boolean {
    const pages = Math.ceil(this.#context.known.count(database) / PAGE);
    return tables >= this.#context.config.burst && pages <= tables / 2;
  }

  async #readPages(database: string, answers: Map<TableKey, Answer>, signal: AbortSignal): Promise<void> {
    const { aws, deps } = this.#context;
    let after: string | undefined;
    try {
      do {
        const asOf = deps.clock.now();
        const { items, next } = await aws.events.tables(database, after, signal);
        for (const table of items) {
          const key = keyOf({ namespace: [database], name: table.Name ?? '' });
          answers.set(key, { kind: 'found', table, asOf });
        }
        after = next;
      } while (after !== undefined);
    } catch (error) {
      signal.throwIfAborted();
      // Whatever this means for one table, asking for it by name will tell.
      if (!isNotFound(error) && !isOfOneTable(error))
        throw aws.failure(error, `reading the tables of database ${database}`, 'glue:GetTables');
    }
  }

  async #read(table: TableIdentifier, signal: AbortSignal): Promise<Answer> {
    const { aws, deps } = this.#context;
    await this.#gate.enter();
    const asOf = deps.clock.now();
    try {
      signal.throwIfAborted();
      return { kind: 'found', table: await aws.events.table(table.namespace[0] ?? '', table.name, signal), asOf };
    } catch (error) {
      signal.throwIfAborted();
      const failure = aws.failure(error, `reading table ${showTable(table)}`, 'glue:GetTable');
      // Only Glue itself, not a source behind it, can say that a table of Glue doesn't exist.
      if (isNotFound(error) && failure.code !== 'GLUE_FEDERATION') return { kind: 'missing', asOf };
      if (isOfOneTable(error) || isNotFound(error)) return { kind: 'refused', error: failure, asOf };
      throw failure;
    } finally {
      this.#gate.leave();
    }
  }

  /**
   * A missing table, a missing database and a missing catalog are the same error. A missing database makes its tables
   * absent; a missing catalog, or a database that may not be read, proves nothing, and throws. One look does for all
   * tables that are found missing within some seconds, and a table that was found vouches for its database, too.
   */
  async #vouch(database: string, answers: ReadonlyMap<TableKey, Answer>, signal: AbortSignal): Promise<void> {
    const { aws, deps } = this.#context;
    const kinds = new Set([...answers.values()].map(({ kind }) => kind));
    if (!kinds.has('missing') || kinds.has('found')) return;
    const nowMs = deps.clock.monotonicMs();
    if (nowMs < (this.#vouchedUntilMs.get(database) ?? 0)) return;
    await aws.events.database(database, signal);
    this.#vouchedUntilMs.delete(database);
    this.#vouchedUntilMs.set(database, nowMs + VOUCHED_MS);
    for (const [name, untilMs] of this.#vouchedUntilMs) if (untilMs <= nowMs) this.#vouchedUntilMs.delete(name);
  }

  /**
   * Tables of a resource link or a federated database carry no sign of it, so a database that came after the last list is
   * looked at once.
   */
  async #learnDatabases(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<void> {
    const { aws, databases } = this.#context;
    const names = new Set(tables.map(({ namespace }) => namespace[0] ?? '').filter((name) => !databases.has(name)));
    await Promise.all(
      [...names].map(async (name) => {
        try {
          const database = await aws.events.database(name, signal);
          if (database !== undefined) databases.set(name, whyNotDatabase(database));
        } catch (error) {
          // Its tables could be read, and the next list will tell.
          if (!(error instanceof PushError && error.code === 'GLUE_ACCESS_DENIED')) throw error;
        }
      }),
    );
  }

  #stateOf(table: TableIdentifier, answer: Answer): TableState {
    const { known, databases } = this.#context;
    const [database = ''] = table.namespace;
    switch (answer.kind) {
      case 'missing':
        known.forget(database, table.name);
        return { kind: 'absent', table, asOf: answer.asOf };
      case 'refused': {
        const { code, message } = answer.error;
        return { kind: 'unsupported', table, reason: `can't be read: [${code}] ${message}`, asOf: answer.asOf };
      }
      case 'found': {
        warnIfStripped(table, answer.table, { known, log: this.#context.deps.log });
        if (answer.table.Name === table.name) known.read(database, table.name, fingerprintOf(answer.table));
        return stateOf(table, answer.table, answer.asOf, databases.get(database));
      }
    }
  }
}
