import { SLOT_STATES, type SlotState, type SourceFigures } from '../../src/connector/figures.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { LagMeter } from './lag.ts';
import { maxLsn, parseLsn, type Lsn } from './lsn.ts';
import type { Cells, QueryPool, Statement } from './postgres.ts';

const SLOT: Statement = {
  name: 'polaris_push_figures',
  text: `SELECT now.lsn::text, s.active, s.wal_status, s.confirmed_flush_lsn::text,
                pg_wal_lsn_diff(now.lsn, s.restart_lsn)::float8, s.safe_wal_size::float8
         FROM (SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_lsn() END AS lsn) now
         LEFT JOIN pg_replication_slots s ON s.slot_name = $1`,
  doing: 'measuring the slot',
};

export type MeasureOptions = {
  readonly slot: string;
  readonly pool: QueryPool;
  readonly clock: Clock;
  /** Everything before it is recorded here, as far as the running stream knows; the slot is told of it a little later. */
  readonly durable: () => Lsn | undefined;
};

/** Looks at the slot with one statement, for which every role has the right. */
export class SlotMeter {
  readonly #options: MeasureOptions;
  readonly #lag = new LagMeter();

  constructor(options: MeasureOptions) {
    this.#options = options;
  }

  /** Throws the abort's reason or `PushError`. */
  async measure(signal: AbortSignal): Promise<SourceFigures> {
    const { slot, pool, clock, durable } = this.#options;
    const [row = []] = await pool.rows(SLOT, [slot], signal);
    return figuresOf(row, { durable: durable(), lag: this.#lag, nowMs: clock.monotonicMs() });
  }
}

type Known = { readonly durable: Lsn | undefined; readonly lag: LagMeter; readonly nowMs: number };

/** From the columns of `SLOT`. */
function figuresOf([end, active, status, confirmed, retained, safe]: Cells, known: Known): SourceFigures {
  if (typeof active !== 'boolean') return { slot: { state: 'missing', active: false } };
  const slot = {
    state: stateOf(status),
    active,
    retainedBytes: typeof retained === 'number' ? retained : undefined,
    safeBytes: typeof safe === 'number' ? Math.max(0, safe) : undefined,
  };
  if (typeof end !== 'string' || typeof confirmed !== 'string') return { slot };
  const [here, there] = [maxLsn(parseLsn(confirmed), known.durable ?? 0n), parseLsn(end)];
  return {
    lagMs: known.lag.look(there, here, known.nowMs),
    lagBytes: there > here ? Number(there - here) : 0,
    slot,
  };
}

/** A slot of which PostgreSQL tells no status keeps nothing any more. */
const stateOf = (status: Cells[number] | undefined): SlotState =>
  SLOT_STATES.find((state) => state === status) ?? 'lost';
