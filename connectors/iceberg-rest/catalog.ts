import type { TableIdentifier } from '../../src/core/types.ts';

/** What a catalog answers about one table. */
export type Loaded =
  /** 304: still what the `etag` of the request stands for. */
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'present';
      /** Undefined for a server that doesn't expose it. */
      readonly metadataLocation: string | undefined;
      readonly tableUuid: string | undefined;
      /** For the next conditional load; undefined where the server sends none. */
      readonly etag: string | undefined;
    }
  /** 404, and what it said. No absence by itself: some servers answer so to whom they deny the table. */
  | { readonly kind: 'not-found'; readonly message?: string | undefined };

/** The read side of one Iceberg REST catalog. Every method throws `PushError`, and ends soon after `signal` aborts. */
export interface RestCatalog extends AsyncDisposable {
  /** Every namespace, of any depth, parents first. */
  namespaces(signal: AbortSignal): AsyncIterable<readonly string[]>;
  /** The names of a namespace's tables, in pages; undefined instead of a page for a namespace that doesn't exist. */
  tables(
    namespace: readonly string[],
    signal: AbortSignal,
    options?: AskOptions,
  ): AsyncIterable<readonly TableIdentifier[] | undefined>;
  /** The direct children of a namespace, or of the root; undefined if it doesn't exist. */
  children(
    parent: readonly string[],
    signal: AbortSignal,
    options?: AskOptions,
  ): Promise<readonly (readonly string[])[] | undefined>;
  load(table: TableIdentifier, options: LoadOptions, signal: AbortSignal): Promise<Loaded>;
  /** The uuid of the view of that name; undefined if there is none, or no views at all. */
  view(table: TableIdentifier, signal: AbortSignal): Promise<string | undefined>;
}

/** `urgent`: before what can wait, when requests are rationed. */
export type AskOptions = { readonly urgent?: boolean | undefined };

export type LoadOptions = AskOptions & { readonly etag?: string | undefined };
