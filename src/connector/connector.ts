import type { z } from 'zod';
import type { Finding } from '../core/finding.ts';
import type { Change, EpochMillis, Position, TableIdentifier, TableState } from '../core/types.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Routes } from '../runtime/http-server.ts';
import type { Log } from '../runtime/log.ts';
import type { SourceFigures } from './figures.ts';

/**
 * Changes that became visible together or were merged while the consumer was busy, in source order.
 * `ack()` lets the source forget them; it is called at most once, and only when they are durable here.
 */
export type Delivery = {
  readonly changes: readonly Change[];
  readonly position?: Position | undefined;
  /** When the oldest of the changes was committed, on the source's clock. */
  readonly committedAt?: EpochMillis | undefined;
  ack(): Promise<void>;
};

/**
 * A source catalog. Tables are named as the source names them; `scoped()` (scope.ts) maps names and locations to
 * Polaris's, so a connector knows nothing of mappings. Every method throws `PushError`, ends soon after `signal` aborts,
 * and may be called again after a failure: reconnecting is the caller's, with backoff.
 */
export interface Connector extends AsyncDisposable {
  /** Names the source and what it holds, e.g. for the ledger's position: stable over restarts, without secrets. */
  readonly source: string;
  /**
   * What tells the source from another one under the same address, such as a restored copy (PostgreSQL: system identifier
   * and database oid). Known after `prepare()`; undefined when it can't be told. A failover leaves it as it is.
   */
  readonly identity?: string | undefined;
  /** Makes sure that the stream exists from here on, so that a list made afterwards misses nothing. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Everything that the source has, in pages; `absent` never appears. Fills the connector's id → name map, if it has one. */
  list(signal: AbortSignal): AsyncIterable<readonly TableState[]>;
  /** Changes after `after` (undefined: from where the source's own cursor stands), until `signal` aborts. One at a time. */
  watch(after: Position | undefined, signal: AbortSignal): AsyncIterable<Delivery>;
  /**
   * What the source holds under these names now, one state per table in the same order. Definite answers or a throw:
   * `absent` only on the source's own word.
   */
  resolve(tables: readonly TableIdentifier[], signal: AbortSignal): Promise<readonly TableState[]>;
  /** How it stands, for metrics and the status page. May ask the source, cheaply, so the caller keeps the answer for some seconds. */
  measure?(signal: AbortSignal): Promise<SourceFigures>;
}

export type ConnectorDeps = {
  readonly clock: Clock;
  readonly log: Log;
  /** The agent's HTTP server, for sources that announce changes themselves. Undefined where nothing is watched. */
  readonly hooks?: Routes | undefined;
};

/** What one folder under connectors/ exports as default. */
export interface ConnectorDefinition<Config> {
  readonly kind: string;
  /** A strict object with `kind: z.literal(...)`; every key has a description. */
  readonly config: z.ZodType<Config>;
  /** The key under `source` that takes announcements at the agent's HTTP server (`ConnectorDeps.hooks`), if it is set. */
  hooked?(config: Config): string | undefined;
  /** Preflight: versions, settings, privileges. Writes nothing, and reports instead of throwing. */
  check(config: Config, deps: ConnectorDeps, signal: AbortSignal): AsyncIterable<Finding>;
  open(config: Config, deps: ConnectorDeps): Promise<Connector>;
}
