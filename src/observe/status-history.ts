import type { EpochMillis } from '../core/types.ts';
import type { HistoryAnswer } from './api-schema.ts';
import type { AgentSnapshot } from './snapshot.ts';

export const HISTORY_EVERY_MS = 10_000;
const MOST_POINTS = 360;

type Point = HistoryAnswer['points'][number];
type Admitted = { readonly at: EpochMillis; readonly byTarget: ReadonlyMap<string, number> };

/** Lag and throughput of the last hour: a point every ten seconds. */
export class StatusHistory {
  readonly #points: Point[] = [];
  #last: Admitted | undefined;
  #beforeLast: Admitted | undefined;

  /** To be called every `HISTORY_EVERY_MS`. */
  add(snapshot: AgentSnapshot): void {
    const { at, source, targets } = snapshot;
    const { lagMs, lagBytes } = source.figures ?? {};
    const perSecond = this.perSecond(snapshot);
    this.#points.push({
      at: new Date(at).toISOString(),
      // Of a source that isn't followed the last figures say nothing any more.
      ...(lagMs === undefined || source.state !== 'following' ? {} : { lag_ms: Math.round(lagMs) }),
      ...(lagBytes === undefined || source.state !== 'following' ? {} : { lag_bytes: lagBytes }),
      targets: Object.fromEntries(
        targets.map(({ name, totals }) => [name, { per_second: perSecond.get(name) ?? 0, pending: totals.pending }]),
      ),
    });
    if (this.#points.length > MOST_POINTS) this.#points.shift();
    this.#beforeLast = this.#last;
    this.#last = { at, byTarget: new Map(targets.map(({ name, admitted }) => [name, admitted])) };
  }

  /** Admitted notifications a second by target, of the last 10 to 20 seconds. */
  perSecond({ at, startedAt, targets }: AgentSnapshot): ReadonlyMap<string, number> {
    const before = this.#beforeLast ?? { at: startedAt, byTarget: new Map<string, number>() };
    const seconds = Math.max(1, (at - before.at) / 1000);
    return new Map(
      targets.map(({ name, admitted }) => {
        const rate = Math.max(0, admitted - (before.byTarget.get(name) ?? 0)) / seconds;
        return [name, Math.round(rate * 10) / 10];
      }),
    );
  }

  answer(): HistoryAnswer {
    return { every_ms: HISTORY_EVERY_MS, points: [...this.#points] };
  }
}
