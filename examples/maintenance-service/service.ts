import { keyOf, showTable, type TableKey } from '../../src/core/table.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { TableEvent } from '../../src/forward/cloud-event.ts';
import type { PolicyClient } from '../../src/polaris/policies.ts';
import type { CachedPolicy, PolicyCache } from '../../src/polaris/policy-cache.ts';
import { currentSnapshot, planCompaction, type CompactionPlan } from './compaction-plan.ts';
import { DATA_COMPACTION, readCompactionPolicy } from './compaction-policy.ts';

/** Why an event leads to no plan. */
export type SkipReason =
  /** Neither the table nor the policy has changed since it was planned for. */
  | 'unchanged'
  /** The table has moved on by nothing but a rewrite, such as the compaction that was planned. */
  | 'rewritten'
  /** A later event of the table was handled before. */
  | 'overtaken'
  | 'no-data'
  /** The policy wants it sorted, and neither says how. */
  | 'no-sort-order'
  | 'no-policy'
  | 'policy-disabled'
  | 'policy-unreadable'
  | 'table-dropped'
  | 'other-catalog';

export type Decision =
  | { readonly kind: 'plan'; readonly plan: CompactionPlan }
  | { readonly kind: 'skip'; readonly reason: SkipReason; readonly detail: string };

export type Handled = {
  readonly event: TableEvent;
  readonly decision: Decision;
  /** Epoch ms: when the event was here, when its policies were known, when it was decided on. */
  readonly receivedAt: number;
  readonly policiesAt: number | undefined;
  readonly decidedAt: number;
};

export type ServiceParts = {
  /** Whose events it handles: the target's name in the agent's configuration, and its catalog in Polaris. */
  readonly target: string;
  readonly catalog: string;
  readonly policies: PolicyCache;
  readonly client: Pick<PolicyClient, 'loadTable'>;
  readonly sparkCatalog: string;
  /** Epoch ms, for the times of the hops. */
  readonly now?: (() => number) | undefined;
  /** Tables remembered; those without events for the longest go first and are planned anew at their next event. */
  readonly maxTables?: number | undefined;
};

/** What a table was planned for. */
type Remembered = {
  /** The greatest of its events. */
  timestamp: number;
  planned?: { readonly metadataLocation: string; readonly revision: string } | undefined;
};

const MAX_TABLES = 100_000;

/**
 * Decides what an event of a table calls for, by the policies that apply to it. Events of one table are handled in turn,
 * those of different tables side by side. An event may come twice and is nothing new then, so whoever delivers it is
 * answered only when it is decided on.
 */
export class MaintenanceService {
  readonly #parts: ServiceParts;
  readonly #now: () => number;
  /** In the order of their latest events, the longest ago first. */
  readonly #tables = new Map<TableKey, Remembered>();
  readonly #turns = new Map<TableKey, Promise<unknown>>();

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.timeOrigin + performance.now());
  }

  /** Throws `PushError` when Polaris can't be asked or refuses to answer: the same event is to be delivered again then. */
  async handle(event: TableEvent, signal: AbortSignal): Promise<Handled> {
    const receivedAt = this.#now();
    const { namespace, table: name, target, catalog } = event.data;
    if (target !== this.#parts.target || catalog !== this.#parts.catalog) {
      const decision = skip('other-catalog', `it is of catalog ${catalog} on ${target}`);
      return { event, decision, receivedAt, policiesAt: undefined, decidedAt: this.#now() };
    }
    const table = { namespace, name };
    const key = keyOf(table);
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(() => this.#decide(event, table, signal));
    const settled = turn.then(noop, noop);
    this.#turns.set(key, settled);
    try {
      return { event, ...(await turn), receivedAt, decidedAt: this.#now() };
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    }
  }

  async #decide(event: TableEvent, table: TableIdentifier, signal: AbortSignal): Promise<Decided> {
    const { type, timestamp } = event.data;
    const remembered = this.#recall(table);
    if (timestamp < remembered.timestamp) return unasked('overtaken', 'a later event of the table was handled before');
    if (type === 'DROP') {
      // With the table go the mappings of its own policies, whatever takes its name.
      this.#parts.policies.forget(table);
      Object.assign(remembered, { timestamp, planned: undefined });
      return unasked('table-dropped', 'it is no longer in the catalog');
    }
    try {
      const decided = await this.#look(event, table, signal);
      // Not before: an event that failed comes again.
      remembered.timestamp = timestamp;
      return decided;
    } catch (error) {
      if (!(error instanceof PushError) || error.code !== 'POLARIS_NO_SUCH_TABLE') throw error;
      return unasked('table-dropped', error.message);
    }
  }

  async #look(event: TableEvent, table: TableIdentifier, signal: AbortSignal): Promise<Decided> {
    const { policies, client, sparkCatalog } = this.#parts;
    const [policy] = await policies.get(table, { type: DATA_COMPACTION }, signal);
    const policiesAt = this.#now();
    const told = (decision: Decision): Decided => ({ decision, policiesAt });
    if (policy === undefined) return told(skip('no-policy', `no ${DATA_COMPACTION} applies to it`));
    const read = readCompactionPolicy(policy);
    if (read.kind === 'disabled') return told(skip('policy-disabled', `${nameOf(policy)} has enable: false`));
    if (read.kind === 'unreadable') return told(skip('policy-unreadable', `${nameOf(policy)}: ${read.problem}`));
    const remembered = this.#recall(table);
    const { planned } = remembered;
    const isOf = (metadataLocation: string | undefined) =>
      planned?.revision === policy.revision && planned.metadataLocation === metadataLocation;
    const unchanged = () => told(skip('unchanged', `it was planned for at this location, by ${nameOf(policy)}`));
    if (isOf(event.data['metadata-location'])) return unchanged();
    // The event says that the table has changed; what it is now, Polaris knows.
    const loaded = await client.loadTable(table, {}, signal);
    const { metadataLocation } = loaded;
    if (isOf(metadataLocation)) return unchanged();
    const snapshot = currentSnapshot(loaded);
    if (snapshot === undefined || snapshot.files === 0) return told(skip('no-data', 'it has no data files'));
    if (snapshot.operation === 'replace' && planned?.revision === policy.revision) {
      remembered.planned = { metadataLocation, revision: policy.revision };
      return told(skip('rewritten', 'its last commit only rewrote files'));
    }
    const { strategy, sortOrder } = read.compaction;
    if (strategy === 'sort' && sortOrder === undefined && loaded.metadata['default-sort-order-id'] === 0)
      return told(skip('no-sort-order', `${nameOf(policy)} sorts, but neither it nor the table says by what`));
    const plan = planCompaction({ table, loaded, policy, compaction: read.compaction, sparkCatalog });
    remembered.planned = { metadataLocation, revision: policy.revision };
    return told({ kind: 'plan', plan });
  }

  #recall(table: TableIdentifier): Remembered {
    const key = keyOf(table);
    const remembered = this.#tables.get(key) ?? { timestamp: 0 };
    this.#tables.delete(key);
    this.#tables.set(key, remembered);
    const [oldest] = this.#tables.keys();
    if (this.#tables.size > (this.#parts.maxTables ?? MAX_TABLES) && oldest !== undefined) this.#tables.delete(oldest);
    return remembered;
  }
}

type Decided = Pick<Handled, 'decision' | 'policiesAt'>;

const noop = () => {};

const skip = (reason: SkipReason, detail: string): Decision => ({ kind: 'skip', reason, detail });

const unasked = (reason: SkipReason, detail: string): Decided => ({
  decision: skip(reason, detail),
  policiesAt: undefined,
});

const nameOf = ({ namespace, name, version }: CachedPolicy): string =>
  `policy ${showTable({ namespace, name })}, version ${version}`;
