import { driftOf, type Drift } from '../core/audit.ts';
import { keyOf } from '../core/table.ts';
import type { Entry, TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Target } from '../polaris/target.ts';
import { Gate } from '../runtime/gate.ts';
import type { Driver } from './driver.ts';
import type { PipelineEvent } from './events.ts';
import { differs, hintOf } from './reconcile.ts';

/** What became of one table on one target. */
export type BackfillResult = {
  readonly target: string;
  readonly table: TableIdentifier;
  readonly result: 'created' | 'updated' | 'dropped' | 'unchanged' | 'already-served' | 'skipped' | 'parked';
  /** Why it was skipped or parked. */
  readonly detail?: string | undefined;
};

/** What a backfill would do with one table on one target. */
export type BackfillPlan = {
  readonly target: string;
  readonly table: TableIdentifier;
  readonly plan: 'create' | 'update' | 'unchanged' | 'already-served' | 'skip';
  readonly detail?: string | undefined;
};

export type BackfillParts = {
  readonly connector: Connector;
  readonly ledger: Ledger;
  readonly drivers: readonly Driver[];
  /** Called once per table and target, as soon as its fate is known. */
  readonly report: (result: BackfillResult) => void;
  /** Called when it is known that so many more tables have work to do. */
  readonly expect: (tables: number) => void;
};

/**
 * Pushes every table that the source lists, once. What the ledger knows as delivered costs no request; everything else
 * goes through the same lanes as in `run`, so an interrupted backfill goes on where it stopped. Give the events of the
 * drivers to `results()`. Ends when all is settled or parked, or `stop` aborts and what was under way is recorded.
 */
export async function backfill(parts: BackfillParts, stop: AbortSignal, kill: AbortSignal): Promise<void> {
  const { connector, drivers } = parts;
  const done = new AbortController();
  const until = AbortSignal.any([stop, done.signal]);
  const running = drivers.map((driver) => driver.run(until, kill));
  for (const run of running) run.catch(() => done.abort());
  try {
    for await (const page of connector.list(until)) {
      for (const driver of drivers) await hint(page, driver, parts);
    }
    await Promise.all(drivers.map((driver) => driver.settled(until)));
  } finally {
    done.abort();
    await Promise.all(running);
  }
}

async function hint(page: readonly TableState[], driver: Driver, parts: BackfillParts): Promise<void> {
  const entries = parts.ledger.lookup(
    driver.name,
    page.map((state) => state.table),
  );
  const hints = [];
  for (const [i, state] of page.entries()) {
    const { table } = state;
    if (differs(state, entries[i])) hints.push(hintOf(table, entries[i]));
    else if (state.kind === 'unsupported') {
      parts.report({ target: driver.name, table, result: 'skipped', detail: state.reason });
    } else parts.report({ target: driver.name, table, result: 'unchanged' });
  }
  parts.expect(hints.length);
  if (hints.length > 0) await driver.changed(hints);
}

const key = (target: string, table: TableIdentifier) => `${target} ${keyOf(table)}`;

/** Turns the events of the drivers into one result per table. */
export function results(report: (result: BackfillResult) => void): (event: PipelineEvent) => void {
  const done = new Map<string, 'created' | 'updated' | 'dropped' | 'already-served'>();
  return (event) => {
    switch (event.kind) {
      case 'notified': {
        const { notification, outcome } = event;
        if (outcome.kind !== 'admitted' || notification.type === 'VALIDATE') return;
        const word = { CREATE: 'created', UPDATE: 'updated', DROP: 'dropped' } as const;
        done.set(key(event.target, notification.table), word[notification.type]);
        return;
      }
      case 'adopted':
        done.set(key(event.target, event.table), 'already-served');
        return;
      case 'settled': {
        const { target, table, skipped } = event;
        const result = done.get(key(target, table)) ?? (skipped === undefined ? 'unchanged' : 'skipped');
        done.delete(key(target, table));
        return report({ target, table, result, detail: skipped });
      }
      case 'parked':
        return report({ target: event.target, table: event.table, result: 'parked', detail: event.parked.detail });
      case 'foreign-sender':
      case 'target-down':
      case 'target-up':
      case 'forwarded':
      case 'event-refused':
      case 'sink-down':
      case 'sink-up':
      case 'source-up':
      case 'source-down':
      case 'hinted':
      case 'resolved':
      case 'reconciled':
      case 'audited':
      case 'caught-up':
        return;
    }
  };
}

export type PlanParts = {
  readonly connector: Connector;
  /** Undefined: there is no ledger yet. */
  readonly ledger: Pick<Ledger, 'lookup'> | undefined;
  readonly targets: readonly Target[];
  readonly concurrency: number;
};

/** What `backfill` would do, found out without changing anything: neither ledger, nor source, nor Polaris. */
export async function* plan(parts: PlanParts, signal: AbortSignal): AsyncGenerator<readonly BackfillPlan[]> {
  const gate = new Gate(() => parts.concurrency);
  for await (const page of parts.connector.list(signal)) {
    for (const target of parts.targets) {
      const tables = page.map((state) => state.table);
      const entries = parts.ledger?.lookup(target.name, tables);
      yield await Promise.all(
        page.map(async (state, i) => {
          await gate.enter();
          try {
            return await planOf({ state, entry: entries?.[i], target }, signal);
          } finally {
            gate.leave();
          }
        }),
      );
    }
  }
}

type Planned = { readonly state: TableState; readonly entry: Entry | undefined; readonly target: Target };

async function planOf({ state, entry, target }: Planned, signal: AbortSignal): Promise<BackfillPlan> {
  const base = { target: target.name, table: state.table };
  if (state.kind !== 'present') {
    return { ...base, plan: 'skip', detail: state.kind === 'unsupported' ? state.reason : 'gone from the source' };
  }
  const drift: Drift | undefined = driftOf(state, entry);
  if (drift === undefined) return { ...base, plan: 'unchanged' };
  if (drift !== 'missing') return { ...base, plan: 'update' };
  const served = await target.serves(state.table, state.metadataLocation, signal);
  if (served === 'this') return { ...base, plan: 'already-served' };
  return { ...base, plan: served === 'nothing' ? 'create' : 'update' };
}
