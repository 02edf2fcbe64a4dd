import type { CommandEvent } from './child.ts';

/** A notification that Polaris answered, as the agent told of it. */
export type Shown = {
  readonly atMs: number;
  readonly type: string;
  readonly table: string;
  readonly outcome: string;
  /** From the commit in the metastore to Polaris's answer; undefined when the commit's time isn't known. */
  readonly visibleMs: number | undefined;
};

const RECENT_KEPT = 200;
/** Percentiles are those of the latest so many. */
const SAMPLES_KEPT = 10_000;

/** What the agent's events add up to. */
export class Statistics {
  readonly byType = new Map<string, number>();
  /** Outcomes other than `admitted`. */
  readonly byOutcome = new Map<string, number>();
  /** Table → why it can't be delivered. */
  readonly parked = new Map<string, string>();
  /** Table → why it isn't mirrored. */
  readonly skipped = new Map<string, string>();
  /** The latest last. */
  readonly recent: Shown[] = [];
  /** Why the agent can't reach Polaris at the moment. */
  down: string | undefined;
  caughtUp: { readonly tables: number; readonly ms: number } | undefined;
  admitted = 0;
  readonly #samples: number[] = [];
  #next = 0;

  readonly take = (event: CommandEvent): void => {
    const table = text(event['table']);
    switch (event.event) {
      case 'notification':
        this.parked.delete(table);
        this.#notification(event, table);
        break;
      case 'parked':
        this.parked.set(table, `${text(event['code'])}: ${text(event['detail'])}`);
        break;
      case 'skipped':
        this.skipped.set(table, text(event['reason']));
        break;
      case 'target-down':
        this.down = text(event['detail']);
        break;
      case 'target-up':
        this.down = undefined;
        break;
      case 'caught-up':
        this.caughtUp = { tables: Number(event['tables']), ms: Number(event['ms']) };
        break;
      default:
    }
  };

  /** Of the times from commit to visible, in ms; undefined without any. */
  percentile(share: number): number | undefined {
    const sorted = this.#samples.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  }

  /** `p50 9 ms, p99 41 ms`, or a dash before the first. */
  get latency(): string {
    const [p50, p99] = [this.percentile(0.5), this.percentile(0.99)];
    return p50 === undefined || p99 === undefined ? '-' : `p50 ${Math.round(p50)} ms, p99 ${Math.round(p99)} ms`;
  }

  #notification(event: CommandEvent, table: string): void {
    const type = text(event['type']);
    const outcome = [text(event['outcome']), text(event['reason'])].filter((word) => word !== '').join(': ');
    const visible = event['commit_to_visible_ms'];
    const visibleMs = typeof visible === 'number' ? visible : undefined;
    if (outcome === 'admitted') {
      this.admitted += 1;
      this.byType.set(type, (this.byType.get(type) ?? 0) + 1);
      if (visibleMs !== undefined) this.#sample(visibleMs);
    } else this.byOutcome.set(outcome, (this.byOutcome.get(outcome) ?? 0) + 1);
    this.recent.push({ atMs: Date.now(), type, table, outcome, visibleMs });
    if (this.recent.length > RECENT_KEPT) this.recent.shift();
  }

  #sample(ms: number): void {
    this.#samples[this.#next] = ms;
    this.#next = (this.#next + 1) % SAMPLES_KEPT;
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
