import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { EpochMillis, TableIdentifier } from '../../src/core/types.ts';

/** What the catalog said of a table when it was last read. */
export type KnownTable = {
  readonly table: TableIdentifier;
  /** Undefined for a server that doesn't expose it. */
  readonly metadataLocation: string | undefined;
  readonly tableUuid: string | undefined;
  /** For the next conditional load. */
  readonly etag: string | undefined;
  /** Our clock, before the request. */
  readonly asOf: EpochMillis;
  /** The monotonic clock at the same moment: the order of reads, and the table's age. */
  readonly readAtMs: number;
};

/** The time of a read: taken before its request, by both clocks. */
export type ReadTime = Pick<KnownTable, 'asOf' | 'readAtMs'>;

/**
 * What was last read of every table, by lists, resolves and polls alike. Reads of one table that overlap end in any
 * order: the one that began later counts. Its size is that of the catalog.
 */
export class KnownTables implements Iterable<KnownTable> {
  readonly #tables = new Map<TableKey, KnownTable>();
  readonly #told = new Map<TableKey, KnownTable>();

  get size(): number {
    return this.#tables.size;
  }

  get(table: TableIdentifier): KnownTable | undefined {
    return this.#tables.get(keyOf(table));
  }

  /** A load answered with the table. */
  read(found: KnownTable): void {
    const key = keyOf(found.table);
    const before = this.#tables.get(key);
    if (before === undefined || before.readAtMs <= found.readAtMs) this.#tables.set(key, found);
  }

  /** A load answered that the table is still what the etag of `known` stands for: it is as fresh as that load. */
  confirm(known: KnownTable, time: ReadTime): KnownTable {
    const fresh = { ...known, asOf: time.asOf, readAtMs: time.readAtMs };
    this.read(fresh);
    return fresh;
  }

  /** The catalog doesn't have it any more, or won't show it. */
  forget(table: TableIdentifier, time: Pick<ReadTime, 'readAtMs'>): void {
    const key = keyOf(table);
    const before = this.#tables.get(key);
    if (before !== undefined && before.readAtMs <= time.readAtMs) this.#tables.delete(key);
  }

  /**
   * What all who follow the catalog were told of a table last, by a list or by a hint. A read that one of them asked for
   * tells the others nothing.
   */
  told(key: TableKey): KnownTable | undefined {
    return this.#told.get(key);
  }

  /** What they were told of all tables, those included that are forgotten since. */
  get allTold(): Iterable<KnownTable> {
    return this.#told.values();
  }

  tell(found: KnownTable): void {
    this.#told.set(keyOf(found.table), found);
  }

  /** They are told that it is gone, or may be. */
  tellGone(key: TableKey): void {
    this.#told.delete(key);
  }

  /** In the order in which they became known. A table that is forgotten meanwhile may or may not be among them. */
  [Symbol.iterator](): Iterator<KnownTable> {
    return this.#tables.values();
  }
}
