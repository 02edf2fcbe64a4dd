import { keyOf, sameTable, showTable, type TableKey } from '../core/table.ts';
import type { Change, EpochMillis, Position, TableIdentifier, TableState } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Connector, Delivery } from './connector.ts';
import type { SourceFigures } from './figures.ts';
import { isLossy, SourceNames } from './mapping.ts';
import { matches } from './pattern.ts';
import type { Scope } from './scope-config.ts';

/**
 * A connector that speaks Polaris's names: it lets through what is in scope, maps names, and rewrites locations.
 *
 * Two source tables on one Polaris name are `unsupported` with a reason that names both. What is out of scope is
 * `unsupported` too. Neither has an incarnation, so neither can ever lead to a DROP or to the wrong table's UPDATE.
 */
export function scoped(connector: Connector, scope: Scope, deps: { readonly clock: Clock }): Connector {
  return new ScopedConnector(connector, scope, deps.clock);
}

/** Whether a table, by its name in the source, is mirrored. */
export const inScope = (scope: Scope, source: TableIdentifier): boolean =>
  scope.include.some((pattern) => matches(pattern, source)) &&
  !scope.exclude.some((pattern) => matches(pattern, source));

/** The longest matching prefix is replaced, once. */
export function rewriteLocation(rules: Scope['locations'], location: string): string {
  let best: Scope['locations'][number] | undefined;
  for (const rule of rules)
    if (location.startsWith(rule.from) && rule.from.length > (best?.from.length ?? 0)) best = rule;
  return best === undefined ? location : best.to + location.slice(best.from.length);
}

const EXCLUDED = 'excluded by tables.include/exclude';
const UNMAPPED = 'no table of the source has this name under tables.namespace';

class ScopedConnector implements Connector {
  readonly #connector: Connector;
  readonly #scope: Scope;
  readonly #clock: Clock;
  readonly #names: SourceNames;

  constructor(connector: Connector, scope: Scope, clock: Clock) {
    this.#connector = connector;
    this.#scope = scope;
    this.#clock = clock;
    this.#names = new SourceNames(scope.namespace);
  }

  get identity(): string | undefined {
    return this.#connector.identity;
  }

  get source(): string {
    return this.#connector.source;
  }

  prepare(signal: AbortSignal): Promise<void> {
    return this.#connector.prepare(signal);
  }

  async *list(signal: AbortSignal): AsyncIterable<readonly TableState[]> {
    const end = this.#names.beginList();
    /** Polaris name → the first state listed for it; only needed where names can meet. */
    const listed = new Map<TableKey, TableState>();
    for await (const page of this.#connector.list(signal)) {
      const states = page
        .filter((state) => inScope(this.#scope, state.table))
        .map((state) => this.#listedState(state, listed));
      if (states.length > 0) yield states;
    }
    // An aborted list may end early without a throw; what it lacks is not known to be gone.
    if (!signal.aborted) end();
  }

  async *watch(after: Position | undefined, signal: AbortSignal): AsyncIterable<Delivery> {
    for await (const delivery of this.#connector.watch(after, signal)) {
      const changes = delivery.changes.flatMap((change) => this.#change(change));
      // A delivery without a change of ours is passed on too, as its position moves the source's cursor.
      yield { ...delivery, changes, ack: () => delivery.ack() };
    }
  }

  async resolve(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<readonly TableState[]> {
    const asked = tables.map((table) => {
      const candidates = this.#names.candidates(table);
      return { table, candidates, wanted: candidates.filter((source) => inScope(this.#scope, source)) };
    });
    const sources = new Map(asked.flatMap(({ wanted }) => wanted.map((source) => [keyOf(source), source])));
    const states = await this.#resolveSources([...sources.values()], signal);
    return asked.map(({ table, candidates, wanted }) => {
      const asOf = this.#clock.now();
      if (candidates.length === 0) return { kind: 'unsupported', table, reason: UNMAPPED, asOf };
      if (wanted.length === 0) return { kind: 'unsupported', table, reason: EXCLUDED, asOf };
      return this.#settle(
        table,
        wanted.map((source) => states.get(keyOf(source))).filter((state) => state !== undefined),
      );
    });
  }

  measure(signal: AbortSignal): Promise<SourceFigures> {
    return this.#connector.measure?.(signal) ?? Promise.resolve({});
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#connector[Symbol.asyncDispose]();
  }

  async #resolveSources(sources: readonly TableIdentifier[], signal: AbortSignal) {
    const states = sources.length === 0 ? [] : await this.#connector.resolve(sources, signal);
    return new Map(states.map((state, index) => [keyOf(sources[index] ?? state.table), state]));
  }

  /** One state of the Polaris name `table` from the states of every source name that may stand behind it. */
  #settle(table: TableIdentifier, states: readonly TableState[]): TableState {
    const present = states.filter((state) => state.kind === 'present');
    const [one, other] = present;
    if (one !== undefined) return other === undefined ? this.#toPolaris(one, table) : collision(table, present);
    const unsupported = states.find((state) => state.kind === 'unsupported');
    if (unsupported !== undefined) return this.#toPolaris(unsupported, table);
    // Before the first complete list another source table may be mapped to this name without our knowledge.
    if (!this.#names.complete)
      throw new PushError('SOURCE_NOT_LISTED', `Table: ${showTable(table)}, as Polaris names it.`);
    return { kind: 'absent', table, asOf: earliest(states) };
  }

  #listedState(state: TableState, listed: Map<TableKey, TableState>): TableState {
    const table = this.#names.learn(state.table);
    if (state.kind !== 'present' || !isLossy(this.#scope.namespace)) return this.#toPolaris(state, table);
    const first = listed.get(keyOf(table)) ?? state;
    listed.set(keyOf(table), first);
    return sameTable(first.table, state.table) ? this.#toPolaris(state, table) : collision(table, [first, state]);
  }

  #toPolaris(state: TableState, table: TableIdentifier): TableState {
    if (state.kind !== 'present') return { ...state, table };
    return { ...state, table, metadataLocation: rewriteLocation(this.#scope.locations, state.metadataLocation) };
  }

  /** A rename over the edge of the scope is seen from the side that is inside. */
  #change(change: Change): readonly Change[] {
    const table = this.#mapped(change.table);
    if (change.kind !== 'renamed') return table === undefined ? [] : [{ kind: change.kind, table }];
    const to = this.#mapped(change.to);
    if (table === undefined) return to === undefined ? [] : [{ kind: 'upserted', table: to }];
    if (to === undefined) return [{ kind: 'dropped', table }];
    return keyOf(table) === keyOf(to) ? [{ kind: 'upserted', table }] : [{ kind: 'renamed', table, to }];
  }

  #mapped(source: TableIdentifier): TableIdentifier | undefined {
    return inScope(this.#scope, source) ? this.#names.learn(source) : undefined;
  }
}

const collision = (table: TableIdentifier, states: readonly TableState[]): TableState => ({
  kind: 'unsupported',
  table,
  reason: `${states
    .map((state) => showTable(state.table))
    .toSorted()
    .join(' and ')} of the source have the same name in Polaris; change tables.namespace or exclude one of them`,
  asOf: earliest(states),
});

const earliest = (states: readonly TableState[]): EpochMillis => Math.min(...states.map((state) => state.asOf));
