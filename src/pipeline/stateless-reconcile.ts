import { keyOf, tableOf, type TableKey } from '../core/table.ts';
import type { TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Target } from '../polaris/target.ts';
import { Gate } from '../runtime/gate.ts';
import { deliverStateless, type Fate, type StatelessParts, type TimeLimit } from './stateless.ts';

export type StatelessReconcileParts = {
  readonly connector: Pick<Connector, 'list'>;
  readonly targets: readonly StatelessParts[];
  /**
   * What to do about tables that a target holds and the source doesn't list. Without a memory nobody can say whether they
   * are ours: `drop` asks the source for each and drops those that it says are absent, `report` only counts them.
   */
  readonly unlisted: 'drop' | 'report';
};

/** What a reconciliation found and did on one target. */
export type Reconciled = {
  readonly target: string;
  /** Tables that the target didn't serve as the list had them, and unlisted ones if they are to be dropped. */
  readonly fates: ReadonlyMap<TableKey, Fate>;
  readonly unlisted: readonly TableIdentifier[];
};

/** Whether the whole source was listed and compared, before the time was up. */
export type StatelessReconciliation = {
  readonly complete: boolean;
  readonly tables: number;
  readonly targets: readonly Reconciled[];
};

/**
 * Lists the source, asks each target for every table whether it serves what the list says, and delivers those that it
 * doesn't. Costs one conditional GET per table and target. Throws what the list or a target's own list throws.
 */
export async function reconcileStateless(
  { connector, targets, unlisted }: StatelessReconcileParts,
  time: TimeLimit,
): Promise<StatelessReconciliation> {
  const listed = new Set<TableKey>();
  const fates = targets.map(() => new Map<TableKey, Fate>());
  const deliver = async (tables: readonly TableIdentifier[], index: number) => {
    const parts = targets[index];
    if (parts === undefined || tables.length === 0) return;
    for (const [key, fate] of await deliverStateless(tables, parts, time)) fates[index]?.set(key, fate);
  };
  for await (const page of connector.list(time.stop)) {
    for (const state of page) listed.add(keyOf(state.table));
    await Promise.all(targets.map(async (parts, index) => deliver(await differing(page, parts, time), index)));
    if (time.stop.aborted) break;
  }
  const found: Reconciled[] = [];
  for (const [index, { target }] of targets.entries()) {
    // A list that ended early says nothing of what it lacks.
    const extra = time.stop.aborted ? [] : await unlistedOf(target, listed, time);
    if (unlisted === 'drop') await deliver(extra, index);
    found.push({ target: target.name, fates: fates[index] ?? new Map<TableKey, Fate>(), unlisted: extra });
  }
  return { complete: !time.stop.aborted, tables: listed.size, targets: found };
}

/** Tables of a page that the target doesn't serve at the location that was listed; also those that it couldn't say of. */
async function differing(
  page: readonly TableState[],
  { target, concurrency, log }: StatelessParts,
  { stop, kill }: TimeLimit,
): Promise<readonly TableIdentifier[]> {
  const gate = new Gate(() => concurrency.initial);
  const found = await Promise.all(
    page.map(async (state) => {
      if (state.kind !== 'present') return [];
      await gate.enter();
      try {
        if (stop.aborted) return [];
        const served = await target.serves(state.table, state.metadataLocation, kill);
        return served === 'this' ? [] : [state.table];
      } catch (error) {
        if (kill.aborted) return [];
        log.warn('probe-failed', { target: target.name, error });
        return [state.table];
      } finally {
        gate.leave();
      }
    }),
  );
  return found.flat();
}

async function unlistedOf(
  target: Target,
  listed: ReadonlySet<TableKey>,
  { kill }: TimeLimit,
): Promise<readonly TableIdentifier[]> {
  const extra = new Set<TableKey>();
  for await (const table of target.tables(kill)) if (!listed.has(keyOf(table))) extra.add(keyOf(table));
  return [...extra].map(tableOf);
}
