import type { BreakerState } from '../core/breaker.ts';

/** How a driver stands at a moment. */
export type DriverStanding = {
  /** Requests that may be under way together, and that are. */
  readonly limit: number;
  readonly inFlight: number;
  readonly breaker: BreakerState;
  /** Since when the lane that has had work for longest has it, by the driver's clock; undefined: none has. */
  readonly oldestSince?: number | undefined;
  /** How long lanes have been reading or sending without any of them getting further, ms. */
  readonly stalledMs: number;
};
