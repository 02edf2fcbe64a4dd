import { keyOf, type TableKey } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';

/** Names in the manner of OpenTelemetry: lower case, dots between levels. An undefined value is left out. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** What refers to a span after it has ended; opaque. */
export type SpanReference = { readonly span: unknown };

export interface Span {
  readonly reference: SpanReference;
  set(attributes: SpanAttributes): void;
  /** What the span stands for has failed; `message` says how. */
  failed(message: string): void;
}

export type SpanOptions = {
  /** `client`: a request to another system, which learns of the span by `headers()`. */
  readonly kind?: 'client' | 'internal' | undefined;
  readonly attributes?: SpanAttributes | undefined;
  /** Spans that led to this one, without it being a part of them. */
  readonly links?: readonly SpanReference[] | undefined;
};

/**
 * The tracing port: where time goes, as spans that some collector puts together. Parts of the agent that are given none
 * trace nothing, and cost nothing.
 */
export interface Tracing {
  /** Runs `work` within a span; a throw marks it as failed. */
  within<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T>;
  /** A span that has just ended, after so many ms. */
  record(name: string, tookMs: number, attributes?: SpanAttributes): void;
  /** The headers by which the receiver of a request can make its spans a part of the present one, such as `traceparent`. */
  headers(): Readonly<Record<string, string>>;
  /** Hands over what has been collected, before the process ends. Never rejects. */
  flush(): Promise<void>;
}

/** A read that leads to no notification is forgotten when so many others came after it. */
const TRAIL_LENGTH = 10_000;

/** Which read led to which notification: a batch of tables is read at once, so neither span is a part of the other. */
export class Trail {
  readonly #reads = new Map<TableKey, SpanReference>();

  read(tables: readonly TableIdentifier[], span: SpanReference): void {
    for (const table of tables) {
      const key = keyOf(table);
      this.#reads.delete(key);
      this.#reads.set(key, span);
    }
    for (const key of this.#reads.keys()) {
      if (this.#reads.size <= TRAIL_LENGTH) break;
      this.#reads.delete(key);
    }
  }

  /** The last read of the table; empty when there was none. */
  of(table: TableIdentifier): readonly SpanReference[] {
    const read = this.#reads.get(keyOf(table));
    return read === undefined ? [] : [read];
  }
}
