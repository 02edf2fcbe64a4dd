import { toPolaris } from '../../src/connector/mapping.ts';
import { inScope } from '../../src/connector/scope.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { keyOf, showTable, tableOf, type TableKey } from '../../src/core/table.ts';
import type { EpochMillis, TableIdentifier, TableState } from '../../src/core/types.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import { deliverStateless, type Fate, type StatelessParts, type TimeLimit } from '../../src/pipeline/stateless.ts';
import type { LambdaAgent } from './lambda-agent.ts';
import type { Message } from './lambda-events.ts';

/** Requests under way together at first; the throttle learns from there. */
const INITIAL_CONCURRENCY = 8;
/** Times in events have whole seconds, so what happened did so up to a second later. */
const SECOND_MS = 1000;

/** How a read says that this table alone was refused to the reader. */
const UNREADABLE = /^can't be read: /;

/** A table that could not be delivered, and why. */
export type Failure = {
  readonly target: string;
  readonly table: TableIdentifier;
  readonly fate: Exclude<Fate, { kind: 'settled' }>;
};

/** Messages that are not done with, by their ids, and what is wrong with their tables. */
export type Delivered = { readonly failed: ReadonlySet<string>; readonly failures: readonly Failure[] };

/** What a message is about, in Polaris's names. */
type Wanted = { readonly id: string; readonly keys: readonly TableKey[] };

/** The parts of a delivery to one target. `emit` is told what is sent. */
export function statelessParts(
  agent: LambdaAgent,
  index: number,
  more: Partial<Pick<StatelessParts, 'connector' | 'emit'>> = {},
): StatelessParts {
  const { config, clock, random, log, connector } = agent;
  const target = agent.targets[index];
  if (target === undefined) throw new RangeError(`There is no target ${index}.`);
  const { mode, budget } = config.drops;
  return {
    target,
    connector,
    openLedger: () => new MemoryLedger(),
    clock,
    random,
    log,
    policy: { ...DEFAULT_POLICY, prechecks: config.prechecks, drops: mode },
    concurrency: {
      min: 1,
      max: config.targets[index]?.concurrency.max ?? INITIAL_CONCURRENCY,
      initial: INITIAL_CONCURRENCY,
    },
    // Nobody remembers the drops of earlier invocations, so a share of the tables or a time can't be kept.
    maxDrops: mode === 'report' ? 0 : budget?.floor,
    emit: () => {},
    ...more,
  };
}

/** Delivers what some messages tell of to every target. A message has failed if any of its tables has, on any target. */
export async function deliverMessages(
  agent: LambdaAgent,
  messages: readonly Message[],
  time: TimeLimit,
): Promise<Delivered> {
  const fresh = freshUpserts(agent, messages);
  const deleted = new Set(messages.flatMap(({ databases }) => databases));
  const wanted = messages
    .filter(({ unreadable }) => unreadable === undefined)
    .map(({ id, tables }): Wanted => ({ id, keys: tables.flatMap(({ table }) => polarisKeys(agent, table)) }));
  const results = await Promise.all(
    agent.targets.map(async (_, index) => {
      const ofDatabases = await tablesOf(agent, index, deleted, time);
      const keys = new Set([...wanted.flatMap((message) => message.keys), ...ofDatabases.keys]);
      return { ...ofDatabases, fates: await deliverTo(agent, index, { keys, fresh }, time) };
    }),
  );
  const failed = new Set(messages.flatMap(({ id, unreadable }) => (unreadable === undefined ? [] : [id])));
  const failures: Failure[] = [];
  for (const [index, { fates, keys, problem }] of results.entries()) {
    const target = agent.targets[index]?.name ?? '';
    const bad = new Set<TableKey>();
    for (const [key, fate] of fates) {
      if (fate.kind === 'settled') continue;
      bad.add(key);
      failures.push({ target, table: tableOf(key), fate });
    }
    for (const message of wanted) if (message.keys.some((key) => bad.has(key))) failed.add(message.id);
    const deletionFailed = problem || keys.some((key) => bad.has(key));
    for (const { id, databases } of messages) if (deletionFailed && databases.length > 0) failed.add(id);
  }
  return { failed, failures };
}

const polarisKeys = ({ config }: LambdaAgent, source: TableIdentifier): readonly TableKey[] =>
  inScope(config.tables, source) ? [keyOf(toPolaris(config.tables.namespace, source))] : [];

/** Until when, by events, a read may not show yet what became of a table; by its Polaris name. */
type Fresh = ReadonlyMap<TableKey, EpochMillis>;

/**
 * AWS says nothing on how soon a read shows what an event has told. So what an event of this moment says is there is not
 * taken for gone or unchanged before the delays of `confirm_after` are over.
 */
function freshUpserts(agent: LambdaAgent, messages: readonly Message[]): Fresh {
  const { clock, glue } = agent;
  const windowMs = glue.confirmAfterMs.reduce((sum, ms) => sum + ms, 0);
  const fresh = new Map<TableKey, EpochMillis>();
  if (windowMs === 0) return fresh;
  const now = clock.now();
  const told = messages.flatMap(({ tables }) => tables).map((of) => ({ ...of, at: Math.min(of.at ?? now, now) }));
  const dropped = new Map<TableKey, EpochMillis>();
  for (const { table, kind, at } of told)
    if (kind === 'dropped') dropped.set(keyOf(table), Math.max(at, dropped.get(keyOf(table)) ?? at));
  for (const { table, kind, at } of told) {
    const untilMs = at + SECOND_MS + windowMs;
    // A later drop explains it that the table is missing.
    if (kind !== 'upserted' || untilMs <= now || (dropped.get(keyOf(table)) ?? at) > at) continue;
    for (const key of polarisKeys(agent, table)) fresh.set(key, Math.max(untilMs, fresh.get(key) ?? 0));
  }
  return fresh;
}

type Task = { readonly keys: Iterable<TableKey>; readonly fresh: Fresh };

async function deliverTo(
  agent: LambdaAgent,
  index: number,
  { keys, fresh }: Task,
  time: TimeLimit,
): Promise<ReadonlyMap<TableKey, Fate>> {
  const sent = new Set<TableKey>();
  /** Tables that could not be read when they were read last, and why. */
  const denied = new Map<TableKey, string>();
  const parts = statelessParts(agent, index, {
    connector: {
      resolve: async (tables, signal) => {
        const states = await resolveConfirmed(agent, tables, fresh, signal);
        for (const state of states) {
          if (state.kind === 'unsupported' && UNREADABLE.test(state.reason))
            denied.set(keyOf(state.table), state.reason);
          else denied.delete(keyOf(state.table));
        }
        return states;
      },
    },
    emit: (event) => {
      if (event.kind !== 'notified') return;
      const { notification, outcome, tookMs } = event;
      agent.log.debug('notified', {
        target: event.target,
        type: notification.type,
        table: showTable(notification.table),
        outcome: outcome.kind,
        ms: Math.round(tookMs),
      });
      if (outcome.kind === 'admitted' && notification.type !== 'VALIDATE') sent.add(keyOf(notification.table));
    },
  });
  const fates = new Map(await deliverStateless([...keys].map(tableOf), parts, time));
  // An event has told of a change, and nothing was to be sent: perhaps the read did not show it yet.
  const unchanged = [...fates].filter(([key, { kind }]) => kind === 'settled' && fresh.has(key) && !sent.has(key));
  const untilMs = Math.max(0, ...unchanged.map(([key]) => fresh.get(key) ?? 0));
  if (untilMs > agent.clock.now()) {
    await agent.clock.sleep(untilMs - agent.clock.now(), time.stop);
    const again = unchanged.map(([key]) => tableOf(key));
    for (const [key, fate] of await deliverStateless(again, parts, time)) fates.set(key, fate);
  }
  // `run` lists such a table as skipped until it can be read; here its messages must not be gone by then.
  for (const [key, detail] of denied)
    if (fates.get(key)?.kind === 'settled') fates.set(key, { kind: 'unfinished', detail });
  return fates;
}

/** Reads again what is missing although a fresh event says that it is there. */
async function resolveConfirmed(
  { connector, glue, clock }: LambdaAgent,
  tables: readonly TableIdentifier[],
  fresh: Fresh,
  signal: AbortSignal,
): Promise<readonly TableState[]> {
  const states = [...(await connector.resolve(tables, signal))];
  for (const delayMs of glue.confirmAfterMs) {
    const doubtful = [...states.entries()].filter(
      ([, { kind, table }]) => kind === 'absent' && clock.now() < (fresh.get(keyOf(table)) ?? 0),
    );
    if (doubtful.length === 0) break;
    await clock.sleep(delayMs, signal);
    signal.throwIfAborted();
    const again = await connector.resolve(
      doubtful.map(([, { table }]) => table),
      signal,
    );
    for (const [i, [position]] of doubtful.entries()) {
      const state = again[i];
      if (state !== undefined) states[position] = state;
    }
  }
  return states;
}

/** The tables of deleted databases that a target holds; `problem`: it couldn't say. */
async function tablesOf(
  { config, targets, log }: LambdaAgent,
  index: number,
  databases: ReadonlySet<string>,
  { kill }: TimeLimit,
): Promise<{ readonly keys: readonly TableKey[]; readonly problem: boolean }> {
  const target = targets[index];
  if (databases.size === 0 || target === undefined) return { keys: [], problem: false };
  const namespaces = new Set(
    [...databases].map((name) => namespaceKey(toPolaris(config.tables.namespace, { namespace: [name], name: '' }))),
  );
  const keys: TableKey[] = [];
  try {
    for await (const table of target.tables(kill)) if (namespaces.has(namespaceKey(table))) keys.push(keyOf(table));
  } catch (error) {
    log.warn('tables-not-listed', { target: target.name, error });
    return { keys: [], problem: true };
  }
  return { keys, problem: false };
}

const namespaceKey = ({ namespace }: TableIdentifier): string => JSON.stringify(namespace);
