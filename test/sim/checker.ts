import { keyOf, showTable, tableOf, type TableKey } from '../../src/core/table.ts';
import type { Change, LedgerRecord, Notification, TableIdentifier, TableState } from '../../src/core/types.ts';
import { hintsOf } from '../../src/pipeline/intake.ts';
import type { SimPolaris } from './polaris.ts';
import type { SimSource } from './source.ts';

/** What the simulated agent knows in one life: a crash takes it. */
export class Life {
  /** Transactions that were handed over. */
  readonly told = new Set<number>();
  /** Per target and table: the last read, until something is sent on its strength. */
  readonly reads = new Map<string, TableState>();
  /** Requests under way, by target and table. */
  readonly underWay = new Map<string, number>();
}

export type CheckerOptions = {
  readonly source: SimSource;
  /** Re-created tables are dropped first. */
  readonly replace: boolean;
  /** Polaris must get a table's new name before it loses the old one: true where hints come in order. */
  readonly orderedRenames: boolean;
  readonly prechecks: boolean;
  /** Requests to one target that may be under way together. */
  readonly concurrency: number;
};

const at = (target: string, table: TableKey): string => `${target} ${table}`;

/**
 * What must hold of every single step, whatever goes wrong. It only looks; the history that runs it stops at the first
 * violation. What must hold of source and Polaris at quiet moments is compared elsewhere.
 */
export class Checker {
  readonly #options: CheckerOptions;
  readonly #lastSent = new Map<string, number>();
  readonly #validated = new Map<string, string | undefined>();
  readonly #everSent = new Set<string>();
  /** The incarnation that Polaris was told of last, whether it took it or not. */
  readonly #lastTold = new Map<string, string | undefined>();
  /** Hints appended to the ledger in all, and how many of them are durable. */
  readonly #appended = new Map<string, number>();
  readonly #durable = new Map<string, number>();
  /** Incarnations that have not been tables all the time: their renames can't be seamless. */
  readonly turned = new Set<string>();
  /** The last transaction before a table was last parked. */
  readonly #parkedAfter = new Map<string, number>();
  /** Where somebody else meddled lately: what became of a name there is no doing of ours. */
  readonly #meddled = new Set<string>();
  violation: string | undefined;

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  meddled(target: string, table: TableKey): void {
    this.#meddled.add(at(target, table));
  }

  /** Whatever somebody else did is mended. */
  mended(): void {
    this.#meddled.clear();
  }

  violate(what: string): void {
    this.violation ??= what;
  }

  /** A read was handed to the lane of this target. */
  read(life: Life, target: string, states: readonly TableState[]): void {
    for (const state of states) life.reads.set(at(target, keyOf(state.table)), state);
  }

  sends(life: Life, polaris: SimPolaris, notification: Notification): void {
    const place = at(polaris.name, keyOf(notification.table));
    this.begins(life, polaris.name, notification.table);
    if (life.underWay.size > this.#options.concurrency * 2) this.violate('more requests under way than allowed');
    if (notification.type === 'VALIDATE') {
      this.#validated.set(place, notification.metadataLocation);
      return;
    }
    this.#checkTimestamp(place, notification);
    this.#checkFact(life, place, notification);
    if (notification.type === 'DROP') this.#checkDrop(life, polaris, notification.table);
    else {
      this.#checkPrecheck(place, notification);
      this.#lastTold.set(place, notification.incarnation);
    }
    this.#everSent.add(place);
  }

  begins(life: Life, target: string, table: TableIdentifier): void {
    const place = at(target, keyOf(table));
    if (life.underWay.has(place))
      this.violate(`two requests for ${showTable(table)} at once: the lane overtakes itself`);
    life.underWay.set(place, 1);
  }

  ends(life: Life, target: string, table: TableIdentifier): void {
    life.underWay.delete(at(target, keyOf(table)));
  }

  #checkTimestamp(place: string, { table, type, timestamp }: Notification): void {
    const last = this.#lastSent.get(place) ?? -1;
    if (timestamp <= last) this.violate(`${type} ${showTable(table)}: timestamp ${timestamp} is not above ${last}`);
    this.#lastSent.set(place, timestamp);
  }

  /** Only what was read from the source is a fact, and it is read anew for every try. */
  #checkFact(life: Life, place: string, { type, table, metadataLocation }: Notification): void {
    const state = life.reads.get(place);
    life.reads.delete(place);
    const what = `${type} ${showTable(table)}`;
    if (state === undefined) return this.violate(`${what} without a read of its own`);
    if (type !== 'DROP') {
      if (state.kind !== 'present' || state.metadataLocation !== metadataLocation)
        this.violate(`${what} ${metadataLocation ?? ''} is not what was read: ${JSON.stringify(state)}`);
    } else if (state.kind === 'present' && !this.#options.replace) {
      this.violate(`${what} although the source said that it has the table`);
    }
  }

  #checkPrecheck(place: string, { type, table, metadataLocation }: Notification): void {
    const { prechecks } = this.#options;
    if (prechecks && !this.#everSent.has(place) && this.#validated.get(place) !== metadataLocation)
      this.violate(`the first ${type} of ${showTable(table)} was not validated`);
  }

  /** A change that the agent was told of before is always heeded; what it can't know yet may cross the DROP. */
  #checkDrop(life: Life, polaris: SimPolaris, table: TableIdentifier): void {
    const { source, replace, orderedRenames } = this.#options;
    const of = keyOf(table);
    const transaction = source.lastOf.get(of);
    if (replace || transaction === undefined || transaction.lost) return;
    if (source.untold.has(transaction.at) && !life.told.has(transaction.at)) return;
    const row = source.rows.get(of);
    if (row !== undefined && row.unsupported === undefined)
      return this.violate(`DROP of ${showTable(table)}, which the source has`);
    const incarnation = polaris.tables.get(of)?.incarnation;
    if (
      row !== undefined &&
      row.incarnation === incarnation &&
      this.#lastTold.get(at(polaris.name, of)) === incarnation
    )
      return this.violate(`DROP of ${showTable(table)}, which became something else in the source, but is there`);
    // A view that took the name is no reason to wait.
    if (row !== undefined || !orderedRenames || incarnation === undefined || this.turned.has(incarnation)) return;
    if (!transaction.changes.some((change) => change.kind === 'renamed' && keyOf(change.table) === of)) return;
    const now = source.nameOf(incarnation);
    const told = now === undefined ? undefined : source.lastOf.get(now);
    // Renamed once more, which the agent need not know yet; or undeliverable under its new name.
    if (now === undefined || told?.at !== transaction.at) return;
    if ((this.#parkedAfter.get(at(polaris.name, now)) ?? -1) >= transaction.at) return;
    if (this.#meddled.has(at(polaris.name, now))) return;
    if (!polaris.tables.has(now)) this.violate(`${showTable(table)} goes before ${showTable(tableOf(now))} has come`);
  }

  /** Follows the hints that were appended, until they are durable. */
  appends(records: readonly LedgerRecord[], durable: Promise<void>): void {
    const counts: (readonly [place: string, upTo: number])[] = [];
    for (const record of records) {
      if (record.kind === 'position') continue;
      const place = at(record.target, keyOf(record.table));
      if (record.kind === 'parked') this.#parkedAfter.set(place, this.#options.source.transactions.length - 1);
      if (record.kind !== 'seen') continue;
      const upTo = (this.#appended.get(place) ?? 0) + record.count;
      this.#appended.set(place, upTo);
      counts.push([place, upTo]);
    }
    if (counts.length === 0) return;
    durable.then(
      () => counts.forEach(([place, upTo]) => this.#durable.set(place, upTo)),
      () => {},
    );
  }

  /** The process died: what wasn't durable is gone. */
  crashed(): void {
    this.#appended.clear();
    for (const [place, count] of this.#durable) this.#appended.set(place, count);
    // The ledger may hold the intent of a CREATE that was validated and never left.
    for (const place of this.#validated.keys()) this.#everSent.add(place);
  }

  /** What the ledger must hold before these changes may be acknowledged. Called when they are handed over. */
  handedOver(changes: readonly Change[], targets: readonly SimPolaris[]): () => void {
    const needed = hintsOf(changes).flatMap(({ table }) =>
      targets.map(({ name }) => {
        const place = at(name, keyOf(table));
        return [place, (this.#appended.get(place) ?? 0) + 1] as const;
      }),
    );
    return () => {
      for (const [place, count] of needed) {
        if ((this.#durable.get(place) ?? 0) < count) this.violate(`acknowledged, but not durable: ${place}`);
      }
    };
  }
}
