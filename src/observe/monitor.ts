import { stat } from 'node:fs/promises';
import type { SourceFigures } from '../connector/figures.ts';
import type { PipelineEvent } from '../pipeline/events.ts';
import { Bell } from '../runtime/bell.ts';
import type { Clock } from '../runtime/clock.ts';
import type { HttpHandler, HttpResponse, Routes } from '../runtime/http-server.ts';
import type { Log } from '../runtime/log.ts';
import { AgentState, type AgentFacts, type AgentParts } from './agent-state.ts';
import { liveness, readiness, type HealthCheck } from './health.ts';
import { Metrics } from './metrics.ts';
import type { Meters } from './meters.ts';
import type { ServiceManager } from './sd-notify.ts';
import type { AgentSnapshot } from './snapshot.ts';

/** Between two measurements of the source, ms; and how long one may take. */
const MEASURE_EVERY_MS = 10_000;
const MEASURE_TIMEOUT_MS = 10_000;
/** A snapshot that is younger is given again: several who look at once cost the ledger nothing more. */
const KEEP_MS = 250;

export type MonitorDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly manager?: ServiceManager | undefined;
  /** Masks secrets in what is shown of errors. */
  readonly mask?: ((text: string) => string) | undefined;
};

export type MonitoredParts = AgentParts & {
  /** See `Connector.measure`. */
  readonly measure?: ((signal: AbortSignal) => Promise<SourceFigures>) | undefined;
};

/**
 * Looks at a running agent: it is told what happens, measures the source every few seconds, and answers for metrics,
 * health and whoever shows a status. Looking costs the source nothing, however often somebody asks.
 */
export class Monitor implements AsyncDisposable {
  readonly #deps: MonitorDeps;
  readonly #state: AgentState;
  readonly #metrics: Metrics;
  readonly #closing = new AbortController();
  /** Rings when figures have changed so much that they are measured at once. */
  readonly #bell = new Bell();
  /** Ends the time as a standby. */
  readonly #turn = new AbortController();
  #snapshot: { readonly madeMs: number; readonly snapshot: AgentSnapshot } | undefined;
  #services: readonly Promise<void>[] = [];
  #status = '';

  constructor(facts: AgentFacts, deps: MonitorDeps) {
    this.#deps = deps;
    this.#state = new AgentState(facts, deps);
    this.#metrics = new Metrics({ facts, clock: deps.clock, snapshot: () => this.snapshot() });
  }

  /** For the parts to be opened with. */
  get meters(): Meters {
    const metrics = this.#metrics;
    return {
      committed: (commit) => {
        this.#state.committed(commit.ms);
        metrics.committed(commit);
      },
      requested: (target, request) => metrics.requested(target, request),
      renewed: (target, renewal) => metrics.renewed(target, renewal),
    };
  }

  /** The agent waits for its turn: for the service manager it has started, and is alive. There is nothing to look at yet. */
  standBy(): void {
    const { manager } = this.#deps;
    this.#services = [manager?.keepAlive(() => true, this.#turn.signal) ?? Promise.resolve()];
    void manager?.tell('READY=1', 'STATUS=standby');
  }

  /** Begins to look, and tells the service manager that the agent has started. */
  start(parts: MonitoredParts): void {
    const { manager } = this.#deps;
    const { signal } = this.#closing;
    this.#state.attach(parts);
    this.#turn.abort();
    this.#services = [
      ...this.#services,
      this.#measureAgain(parts, signal),
      manager?.keepAlive(() => isOk(liveness(this.snapshot())), signal) ?? Promise.resolve(),
    ];
    this.#tellStatus('READY=1');
  }

  see(event: PipelineEvent): void {
    this.#state.see(event);
    this.#metrics.see(event);
    if (TURNS.has(event.kind)) this.#tellStatus();
    if (event.kind === 'source-up' || event.kind === 'caught-up') this.#bell.ring();
  }

  /** The agent finishes what is under way. */
  stopping(): void {
    void this.#deps.manager?.tell('STOPPING=1', 'STATUS=finishing what is under way');
  }

  /** How everything stands now, or did a moment ago. */
  snapshot(): AgentSnapshot {
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#snapshot === undefined || nowMs - this.#snapshot.madeMs >= KEEP_MS)
      this.#snapshot = { madeMs: nowMs, snapshot: this.#state.snapshot() };
    return this.#snapshot.snapshot;
  }

  /** `/metrics`, `/livez` and `/readyz`, until it is disposed. */
  serve(routes: Routes): Disposable {
    const stack = new DisposableStack();
    const { contentType } = this.#metrics;
    const scrape: HttpHandler = async () => ({
      status: 200,
      headers: { ...NOT_KEPT, 'content-type': contentType },
      body: await this.#metrics.text(),
    });
    stack.use(routes.route('GET', '/metrics', scrape, 'metrics'));
    const live: HttpHandler = async ({ trusted }) => healthAnswer(liveness(this.snapshot()), trusted);
    stack.use(routes.route('GET', '/livez', live, 'health'));
    const ready: HttpHandler = async ({ query, trusted }) => {
      const asked = query.get('caught-up');
      const caughtUp = asked !== null && asked !== 'false';
      return healthAnswer(readiness(this.snapshot(), { caughtUp }), trusted);
    };
    stack.use(routes.route('GET', '/readyz', ready, 'health'));
    return stack;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#turn.abort();
    this.#closing.abort();
    await Promise.all(this.#services);
  }

  async #measureAgain(parts: MonitoredParts, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#state.measured(await this.#measure(parts, signal), await bytesOf(parts.ledgerPath));
      const waited = new AbortController();
      const until = AbortSignal.any([signal, waited.signal]);
      await Promise.race([this.#deps.clock.sleep(MEASURE_EVERY_MS, until), this.#bell.rung(until)]);
      waited.abort();
    }
  }

  async #measure({ measure }: MonitoredParts, signal: AbortSignal): Promise<SourceFigures | undefined> {
    try {
      return await measure?.(AbortSignal.any([signal, AbortSignal.timeout(MEASURE_TIMEOUT_MS)]));
    } catch (error) {
      // While the source is down that is told elsewhere.
      if (!signal.aborted) this.#deps.log.debug('source-not-measured', { error });
      return undefined;
    }
  }

  #tellStatus(...assignments: readonly string[]): void {
    const { manager } = this.#deps;
    if (manager === undefined) return;
    const { source, targets } = this.#state.snapshot();
    const status = [`${source.name} ${source.state}`, ...targets.map(({ name, state }) => `${name} ${state}`)].join(
      ', ',
    );
    if (status === this.#status && assignments.length === 0) return;
    this.#status = status;
    void manager.tell(...assignments, `STATUS=${status}`);
  }
}

const TURNS: ReadonlySet<PipelineEvent['kind']> = new Set(['source-up', 'source-down', 'target-up', 'target-down']);

const NOT_KEPT = { 'cache-control': 'no-store' };

const isOk = (checks: readonly HealthCheck[]): boolean => checks.every(({ ok }) => ok);

/** Strangers learn which checks fail, and no more. */
function healthAnswer(checks: readonly HealthCheck[], trusted: boolean): HttpResponse {
  const ok = isOk(checks);
  const shown = trusted ? checks : checks.map(({ name, ok: fine }) => ({ name, ok: fine }));
  return {
    status: ok ? 200 : 503,
    headers: { ...NOT_KEPT, 'content-type': 'application/json' },
    body: `${JSON.stringify({ status: ok ? 'ok' : 'failing', checks: shown })}\n`,
  };
}

/** The ledger's file and its log; undefined if there is none to look at. */
async function bytesOf(path: string): Promise<number | undefined> {
  try {
    const { size } = await stat(path);
    const log = await stat(`${path}-wal`).catch(() => undefined);
    return size + (log?.size ?? 0);
  } catch {
    return undefined;
  }
}
