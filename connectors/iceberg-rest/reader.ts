import type { ConnectorDeps } from '../../src/connector/connector.ts';
import { showTable } from '../../src/core/table.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { LoadOptions, RestCatalog } from './catalog.ts';
import type { KnownTable, KnownTables, ReadTime } from './known.ts';

export type ReaderContext = {
  readonly deps: ConnectorDeps;
  readonly catalog: Pick<RestCatalog, 'load'>;
  readonly known: KnownTables;
};

/** What one load came to. */
export type Read =
  | { readonly kind: 'found'; readonly found: KnownTable }
  /** 404, with what the catalog said: no absence by itself. */
  | { readonly kind: 'not-found'; readonly message: string; readonly time: ReadTime };

/** Loads tables on condition of what is known of them, and remembers what came. */
export class TableReader {
  readonly #context: ReaderContext;
  #told = false;

  constructor(context: ReaderContext) {
    this.#context = context;
  }

  /** The time of a read that begins now. */
  now(): ReadTime {
    const { clock } = this.#context.deps;
    return { asOf: clock.now(), readAtMs: clock.monotonicMs() };
  }

  /** Throws `PushError`, or the signal's reason. */
  async read(table: TableIdentifier, options: Pick<LoadOptions, 'urgent'>, signal: AbortSignal): Promise<Read> {
    const { catalog, known } = this.#context;
    const before = known.get(table);
    const time = this.now();
    const loaded = await catalog.load(table, { ...options, etag: before?.etag }, signal);
    switch (loaded.kind) {
      case 'unchanged':
        if (before !== undefined) return { kind: 'found', found: known.confirm(before, time) };
        throw new PushError('REST_FAILED', `Loading ${showTable(table)} on no condition was answered 304.`);
      case 'not-found':
        known.forget(table, time);
        return { kind: 'not-found', message: loaded.message ?? 'HTTP 404', time };
      case 'present': {
        const { metadataLocation, tableUuid, etag } = loaded;
        const found = { table, metadataLocation, tableUuid, etag, ...time };
        known.read(found);
        if (metadataLocation === undefined) this.#warnOnce(table);
        return { kind: 'found', found };
      }
    }
  }

  #warnOnce(table: TableIdentifier): void {
    if (this.#told) return;
    this.#told = true;
    this.#context.deps.log.warn('metadata-location-missing', {
      table: showTable(table),
      fix: 'Let the catalog send metadata-location with loadTable: without it nothing can be pushed. Others may lack it, too.',
    });
  }
}
