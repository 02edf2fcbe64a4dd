import type { Connector, Delivery } from '../../src/connector/connector.ts';
import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { Change, TableIdentifier, TableState } from '../../src/core/types.ts';

/** `sales.eu.orders` as an identifier; no level here holds a dot. */
export const id = (text: string): TableIdentifier => {
  const levels = text.split('.');
  return { namespace: levels.slice(0, -1), name: levels.at(-1) ?? '' };
};

/** A source in memory: what `put` holds is what it lists and resolves. Its clock says 1000 for every read. */
export class FakeSource implements Connector {
  readonly source = 'fake';
  readonly tables = new Map<TableKey, TableState>();
  readonly acked: string[] = [];
  readonly asked: TableIdentifier[] = [];
  changes: readonly Change[][] = [];
  pageSize = 2;

  put(...names: string[]): this {
    for (const name of names)
      this.putState({
        kind: 'present',
        table: id(name),
        metadataLocation: `s3a://lake/${name}`,
        incarnation: name,
        asOf: 1000,
      });
    return this;
  }

  putState(state: TableState): this {
    this.tables.set(keyOf(state.table), state);
    return this;
  }

  remove(name: string): this {
    this.tables.delete(keyOf(id(name)));
    return this;
  }

  async prepare(): Promise<void> {}

  async *list(): AsyncIterable<readonly TableState[]> {
    const all = [...this.tables.values()];
    for (let start = 0; start < all.length; start += this.pageSize) yield all.slice(start, start + this.pageSize);
  }

  async *watch(): AsyncIterable<Delivery> {
    for (const [index, changes] of this.changes.entries())
      yield {
        changes,
        position: `${index}`,
        ack: async () => {
          this.acked.push(`${index}`);
        },
      };
  }

  async resolve(tables: readonly TableIdentifier[]): Promise<readonly TableState[]> {
    this.asked.push(...tables);
    return tables.map((table) => this.tables.get(keyOf(table)) ?? { kind: 'absent', table, asOf: 1000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
