import assert from 'node:assert/strict';
import { keyOf, tableOf, type TableKey } from '../../src/core/table.ts';
import type { Change, TableIdentifier, TableState } from '../../src/core/types.ts';
import { id, key } from './names.ts';

export type Row = {
  readonly incarnation: string;
  readonly location: string;
  readonly previous?: string | undefined;
  readonly unsupported?: string | undefined;
};

/** What became visible together. */
export type Transaction = { readonly at: number; readonly changes: readonly Change[]; readonly lost: boolean };

/**
 * A source catalog in memory and its log. It outlives the agents that follow it. A `log` is read in order and forgotten
 * up to a position, like a WAL; a `queue` gives its messages out in any order, again and again until each is deleted.
 */
export class SimSource {
  readonly kind: 'log' | 'queue';
  readonly rows = new Map<TableKey, Row>();
  readonly transactions: Transaction[] = [];
  /** What the source must still tell: neither lost nor acknowledged. */
  readonly untold = new Set<number>();
  /** The last transaction that touched a name. */
  readonly lastOf = new Map<TableKey, Transaction>();
  /** Names that ever were. */
  readonly names = new Set<TableKey>();
  /** Hints of what happens now are lost. */
  losing = false;
  #versions = 0;
  readonly #wake = new Set<() => void>();

  constructor(kind: 'log' | 'queue' = 'log') {
    this.kind = kind;
  }

  create(name: string, row: Partial<Row> = {}): void {
    this.#create(name, row);
    this.#tell({ kind: 'upserted', table: id(name) });
  }

  commit(name: string): void {
    const row = this.#row(name);
    this.#set(name, { ...row, location: this.#location(name), previous: row.location });
    this.#tell({ kind: 'upserted', table: id(name) });
  }

  /** The table is what it was before its last commit. */
  rollBack(name: string): void {
    const row = this.#row(name);
    this.#set(name, { ...row, location: row.previous ?? row.location, previous: row.location });
    this.#tell({ kind: 'upserted', table: id(name) });
  }

  /** The same table is something else now, or an Iceberg table again. */
  turn(name: string, unsupported: string | undefined): void {
    this.#set(name, { ...this.#row(name), unsupported });
    this.#tell({ kind: 'upserted', table: id(name) });
  }

  drop(name: string): void {
    this.rows.delete(key(name));
    this.#tell({ kind: 'dropped', table: id(name) });
  }

  /** A namespace goes with all its tables. */
  cascade(names: readonly string[]): void {
    for (const name of names) this.rows.delete(key(name));
    this.#tell(...names.map((name): Change => ({ kind: 'dropped', table: id(name) })));
  }

  /** Dropped and created anew in one transaction, as a nightly job does it. */
  recreate(name: string): void {
    this.#create(name, {});
    this.#tell({ kind: 'dropped', table: id(name) }, { kind: 'upserted', table: id(name) });
  }

  rename(from: string, to: string): void {
    this.#tell(this.#move(from, to));
  }

  /** a becomes b, and b a, by way of a third name, in one transaction or three. */
  swap(a: string, b: string, by: string, together: boolean): void {
    const steps = [
      [a, by],
      [b, a],
      [by, b],
    ] as const;
    if (together) this.#tell(...steps.map(([from, to]) => this.#move(from, to)));
    else for (const [from, to] of steps) this.rename(from, to);
  }

  state(table: TableIdentifier, asOf: number): TableState {
    const row = this.rows.get(keyOf(table));
    if (row === undefined) return { kind: 'absent', table, asOf };
    const { incarnation, location, unsupported } = row;
    if (unsupported !== undefined) return { kind: 'unsupported', table, reason: unsupported, incarnation, asOf };
    return { kind: 'present', table, metadataLocation: location, incarnation, asOf };
  }

  list(asOf: number): TableState[] {
    return [...this.rows.keys()].map((of) => this.state(tableOf(of), asOf));
  }

  /** Calls back whenever there is more to tell; the result ends that. */
  onMore(wake: () => void): () => void {
    this.#wake.add(wake);
    return () => this.#wake.delete(wake);
  }

  acknowledge(told: readonly Transaction[]): void {
    const upTo = Math.max(...told.map(({ at }) => at));
    for (const { at } of told) this.untold.delete(at);
    if (this.kind === 'log') for (const at of this.untold) if (at <= upTo) this.untold.delete(at);
  }

  /** By the name that a table has now. */
  nameOf(incarnation: string): TableKey | undefined {
    for (const [name, row] of this.rows) if (row.incarnation === incarnation) return name;
    return undefined;
  }

  #row(name: string): Row {
    const row = this.rows.get(key(name));
    assert.ok(row, `the source has no ${name}`);
    return row;
  }

  #location = (name: string): string => `s3://m/${name}/${++this.#versions}`;

  #create(name: string, row: Partial<Row>): void {
    this.#set(name, { incarnation: `i${++this.#versions}`, location: this.#location(name), ...row });
  }

  #set(name: string, row: Row): void {
    this.rows.set(key(name), row);
    this.names.add(key(name));
  }

  #move(from: string, to: string): Change {
    const row = this.#row(from);
    assert.ok(!this.rows.has(key(to)), `${to} is taken`);
    this.rows.delete(key(from));
    this.#set(to, row);
    return { kind: 'renamed', table: id(from), to: id(to) };
  }

  #tell(...changes: readonly Change[]): void {
    const transaction = { at: this.transactions.length, changes, lost: this.losing };
    this.transactions.push(transaction);
    for (const change of changes) {
      this.lastOf.set(keyOf(change.table), transaction);
      if (change.kind === 'renamed') this.lastOf.set(keyOf(change.to), transaction);
    }
    if (transaction.lost) return;
    this.untold.add(transaction.at);
    for (const wake of this.#wake) wake();
  }
}
