/** A table's fingerprint (state.ts) when it was last read; undefined: only its name is known, from an event. */
type Tables = Map<string, string | undefined>;

/**
 * Which tables exist as far as is known: from lists, reads and events. An event that a database was deleted names none of
 * its tables, and a read shows by its fingerprint whether it is newer than the one before. Its size is that of the catalog.
 */
export class KnownTables {
  #databases = new Map<string, Tables>();
  readonly #fills = new Set<KnownTables>();

  names(database: string): readonly string[] {
    return [...(this.#databases.get(database)?.keys() ?? [])];
  }

  count(database: string): number {
    return this.#databases.get(database)?.size ?? 0;
  }

  has(database: string, name: string): boolean {
    return this.#databases.get(database)?.has(name) === true;
  }

  fingerprint(database: string, name: string): string | undefined {
    return this.#databases.get(database)?.get(name);
  }

  /** An event names it. */
  heard(database: string, name: string): void {
    if (!this.has(database, name)) this.read(database, name, undefined);
  }

  /** A read shows it so. */
  read(database: string, name: string, fingerprint: string | undefined): void {
    for (const fill of this.#fills) fill.read(database, name, fingerprint);
    const tables = this.#databases.get(database) ?? new Map<string, string | undefined>();
    this.#databases.set(database, tables.set(name, fingerprint));
  }

  /** Glue has no such table. */
  forget(database: string, name: string): void {
    for (const fill of this.#fills) fill.forget(database, name);
    const tables = this.#databases.get(database);
    tables?.delete(name);
    if (tables?.size === 0) this.#databases.delete(database);
  }

  /**
   * Begins a list, which forgets what it doesn't have at its end. What is heard and read meanwhile is in it, too.
   * `read()` takes in what it lists; `finish()` makes it count, `abandon()` if it broke.
   */
  fill(): { readonly read: KnownTables['read']; readonly finish: () => void; readonly abandon: () => void } {
    const fill = new KnownTables();
    this.#fills.add(fill);
    return {
      read: (database, name, fingerprint) => {
        fill.read(database, name, fingerprint);
        // Events that come while the list goes on must find what it has shown so far.
        const tables = this.#databases.get(database) ?? new Map<string, string | undefined>();
        this.#databases.set(database, tables.set(name, fingerprint));
      },
      finish: () => {
        if (this.#fills.delete(fill)) this.#databases = fill.#databases;
      },
      abandon: () => void this.#fills.delete(fill),
    };
  }
}
