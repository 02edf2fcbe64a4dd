import type { ClockSkew } from '../../src/runtime/clock-skew.ts';

/** What a request is for. */
export type RequestKind = 'config' | 'namespaces' | 'tables' | 'views' | 'load' | 'view';

/** What the connector counts, for logs, tests and whoever exports figures. All counts are since it was opened. */
export type RestFigures = {
  /** Requests sent, by what for; every attempt and every redirection counts, as it does for the catalog. */
  readonly requests: Readonly<Record<RequestKind, number>>;
  /** Loads answered 304. */
  readonly unchanged: number;
  /** Answers 429. */
  readonly throttled: number;
  /** Requests that were sent again. */
  readonly retried: number;
  /** How far the catalog's clock is ahead of ours, ms; undefined before the first answer. */
  readonly clockSkewMs: number | undefined;
};

/** Counts, and the clock's difference from the catalog's. */
export class RestMeter {
  readonly skew: ClockSkew;
  readonly #requests: Record<RequestKind, number> = { config: 0, namespaces: 0, tables: 0, views: 0, load: 0, view: 0 };
  readonly #counts = { unchanged: 0, throttled: 0, retried: 0 };

  constructor(skew: ClockSkew) {
    this.skew = skew;
  }

  sent(kind: RequestKind): void {
    this.#requests[kind]++;
  }

  add(counter: 'unchanged' | 'throttled' | 'retried'): void {
    this.#counts[counter]++;
  }

  figures(): RestFigures {
    return { requests: { ...this.#requests }, ...this.#counts, clockSkewMs: this.skew.ms };
  }
}
