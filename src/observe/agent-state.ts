import type { SourceFigures } from '../connector/figures.ts';
import type { EpochMillis } from '../core/types.ts';
import type { Ledger, Totals } from '../ledger/ledger.ts';
import type { Outbox } from '../ledger/outbox.ts';
import type { PipelineEvent } from '../pipeline/events.ts';
import type { DriverStanding } from '../pipeline/standing.ts';
import type { Clock } from '../runtime/clock.ts';
import { RecentValues } from './recent-values.ts';
import type {
  AgentSnapshot,
  AuditSnapshot,
  LagPoint,
  LedgerSnapshot,
  SinkSnapshot,
  SourceSnapshot,
  SourceState,
  TargetSnapshot,
  Trouble,
} from './snapshot.ts';

/** What is known of an agent before its parts are open. */
export type AgentFacts = {
  readonly version: string;
  /** The connector's `kind`. */
  readonly source: string;
  /** Names, in the configuration's order. */
  readonly targets: readonly string[];
  readonly sinks: readonly string[];
};

/** The parts that are looked at. */
export type AgentParts = {
  readonly sourceName: string;
  readonly ledger: Pick<Ledger, 'totals' | 'parkedByCode'> & { readonly outbox: Pick<Outbox, 'totals'> };
  readonly ledgerPath: string;
  readonly drivers: readonly { readonly name: string; readonly standing: DriverStanding }[];
};

export type AgentStateDeps = {
  readonly clock: Clock;
  /** Masks secrets in what is shown of errors. */
  readonly mask?: ((text: string) => string) | undefined;
};

/** Points of the lag's history: an hour of one every ten seconds. */
const MOST_POINTS = 360;

type Place = { state: 'up' | 'down'; since: EpochMillis; lastError: Trouble | undefined };
type TargetPlace = Place & {
  admitted: number;
  lastDeliveryAt: EpochMillis | undefined;
  audit: AuditSnapshot | undefined;
  readonly latency: RecentValues;
  readonly visible: RecentValues;
};
type UpOrDown = PipelineEvent & { readonly kind: 'target-up' | 'target-down' | 'sink-up' | 'sink-down' };
type SinkPlace = Place & { forwarded: number };

/** Keeps what the pipeline tells, as far as it is about the agent as a whole, and adds what its parts say when asked. */
export class AgentState {
  readonly #facts: AgentFacts;
  readonly #clock: Clock;
  readonly #mask: (text: string) => string;
  readonly #startedAt: EpochMillis;
  readonly #targets: ReadonlyMap<string, TargetPlace>;
  readonly #sinks: ReadonlyMap<string, SinkPlace>;
  readonly #commits = new RecentValues();
  readonly #source: {
    state: SourceState;
    since: EpochMillis;
    caughtUpAt: EpochMillis | undefined;
    lastError: Trouble | undefined;
    reconciled: SourceSnapshot['reconciled'];
    figures: SourceFigures | undefined;
    measuredAt: EpochMillis | undefined;
    history: LagPoint[];
  };
  #ledgerBytes: number | undefined;
  #parts: AgentParts | undefined;

  constructor(facts: AgentFacts, { clock, mask = (text) => text }: AgentStateDeps) {
    const now = clock.now();
    this.#facts = facts;
    this.#clock = clock;
    this.#mask = mask;
    this.#startedAt = now;
    const place = () => ({ state: 'up' as const, since: now, lastError: undefined });
    const target = () => ({
      ...place(),
      admitted: 0,
      lastDeliveryAt: undefined,
      audit: undefined,
      latency: new RecentValues(),
      visible: new RecentValues(),
    });
    this.#targets = new Map(facts.targets.map((name) => [name, target()]));
    this.#sinks = new Map(facts.sinks.map((name) => [name, { ...place(), forwarded: 0 }]));
    this.#source = {
      state: 'starting',
      since: now,
      caughtUpAt: undefined,
      lastError: undefined,
      reconciled: undefined,
      figures: undefined,
      measuredAt: undefined,
      history: [],
    };
  }

  /** From here on the parts can be asked. */
  attach(parts: AgentParts): void {
    this.#parts = parts;
  }

  committed(ms: number): void {
    this.#commits.add(ms);
  }

  /** What was measured of the source and the ledger just now; undefined: it couldn't be told. */
  measured(figures: SourceFigures | undefined, ledgerBytes: number | undefined): void {
    const at = this.#clock.now();
    const source = this.#source;
    this.#ledgerBytes = ledgerBytes;
    source.history.push({ at, lagMs: figures?.lagMs, lagBytes: figures?.lagBytes });
    if (source.history.length > MOST_POINTS) source.history.shift();
    if (figures === undefined) return;
    source.figures = figures;
    source.measuredAt = at;
  }

  see(event: PipelineEvent): void {
    const at = this.#clock.now();
    switch (event.kind) {
      case 'notified':
        return this.#notified(event, at);
      case 'target-down':
      case 'target-up':
        return this.#turn(this.#targets.get(event.target), event, at);
      case 'sink-down':
      case 'sink-up':
        return this.#turn(this.#sinks.get(event.sink), event, at);
      case 'forwarded': {
        const sink = this.#sinks.get(event.sink);
        if (sink !== undefined) sink.forwarded += event.events;
        return undefined;
      }
      case 'audited': {
        const target = this.#targets.get(event.target);
        if (target !== undefined) target.audit = { at, tables: event.tables, drift: event.drift };
        return undefined;
      }
      case 'source-up':
      case 'source-down':
      case 'reconciled':
      case 'caught-up':
        return this.#ofSource(event, at);
      case 'adopted':
      case 'settled':
      case 'foreign-sender':
      case 'parked':
      case 'event-refused':
      case 'hinted':
      case 'resolved':
        return undefined;
    }
  }

  snapshot(): AgentSnapshot {
    const parts = this.#parts;
    return {
      version: this.#facts.version,
      at: this.#clock.now(),
      startedAt: this.#startedAt,
      source: {
        ...this.#source,
        name: parts?.sourceName ?? '',
        kind: this.#facts.source,
        history: [...this.#source.history],
      },
      ...this.#counted(parts),
    };
  }

  /** A ledger that has failed says nothing more, which is for its state to tell and not for whoever looks. */
  #counted(parts: AgentParts | undefined): Pick<AgentSnapshot, 'targets' | 'sinks' | 'ledger'> {
    const ledger = { path: parts?.ledgerPath ?? '', bytes: this.#ledgerBytes, commitMs: this.#commits.quantiles };
    const counted = (open: AgentParts | undefined, state: LedgerSnapshot['state']) => ({
      targets: [...this.#targets].map(([name, place]) => targetOf(name, place, { ...parts, ledger: open?.ledger })),
      sinks: [...this.#sinks].map(([name, place]) => sinkOf(name, place, open)),
      ledger: { ...ledger, state },
    });
    try {
      return counted(parts, 'open');
    } catch {
      return counted(undefined, 'failed');
    }
  }

  #notified(event: PipelineEvent & { readonly kind: 'notified' }, at: EpochMillis): void {
    const { target, notification, outcome, tookMs, commitToVisibleMs } = event;
    const place = this.#targets.get(target);
    if (place === undefined) return;
    place.latency.add(tookMs);
    if (commitToVisibleMs !== undefined) place.visible.add(commitToVisibleMs);
    if (outcome.kind !== 'admitted' || notification.type === 'VALIDATE') return;
    place.admitted++;
    place.lastDeliveryAt = at;
  }

  /** What was down already stays down since then, with the newest reason. */
  #turn(place: Place | undefined, event: UpOrDown, at: EpochMillis): void {
    if (place === undefined) return;
    const state = 'detail' in event ? 'down' : 'up';
    if (place.state !== state) place.since = at;
    place.state = state;
    if ('detail' in event) place.lastError = this.#trouble(event.detail, at);
  }

  #trouble(detail: string, at: EpochMillis): Trouble {
    return { at, detail: this.#mask(detail) };
  }

  #ofSource(
    event: PipelineEvent & { readonly kind: 'source-up' | 'source-down' | 'reconciled' | 'caught-up' },
    at: EpochMillis,
  ): void {
    const source = this.#source;
    switch (event.kind) {
      case 'source-up':
      case 'source-down': {
        const state = event.kind === 'source-up' ? 'following' : 'down';
        if (source.state !== state) source.since = at;
        source.state = state;
        if (event.kind === 'source-down') source.lastError = this.#trouble(event.detail, at);
        return;
      }
      case 'reconciled':
        source.reconciled = { at, tables: event.tables };
        return;
      case 'caught-up':
        source.caughtUpAt = at;
    }
  }
}

const NOTHING: Totals = { entries: 0, delivered: 0, pending: 0, parked: 0, skipped: 0 };
const AT_REST: DriverStanding = { limit: 0, inFlight: 0, breaker: 'closed', stalledMs: 0 };

function targetOf(
  name: string,
  { latency, visible, ...place }: TargetPlace,
  {
    ledger,
    drivers,
  }: { readonly ledger?: AgentParts['ledger'] | undefined; readonly drivers?: AgentParts['drivers'] | undefined },
): TargetSnapshot {
  const { oldestSince, ...standing } = drivers?.find((driver) => driver.name === name)?.standing ?? AT_REST;
  return {
    name,
    ...place,
    totals: ledger?.totals(name) ?? NOTHING,
    parked: ledger?.parkedByCode(name) ?? {},
    ...standing,
    oldestPendingSince: oldestSince,
    latencyMs: latency.quantiles,
    commitToVisibleMs: visible.quantiles,
  };
}

function sinkOf(name: string, place: SinkPlace, parts: AgentParts | undefined): SinkSnapshot {
  const { waiting, buried, oldest } = parts?.ledger.outbox.totals(name) ?? { waiting: 0, buried: 0 };
  return { name, ...place, waiting, buried, oldest };
}
