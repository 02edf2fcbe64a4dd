import type { Config } from './config/schema.ts';
import type { Connector, ConnectorDefinition } from './connector/connector.ts';
import { scoped } from './connector/scope.ts';
import { tracedReads } from './connector/traced.ts';
import { everything, scopeConfig, type Scope } from './connector/scope-config.ts';
import { DropBudget } from './core/budget.ts';
import { DEFAULT_POLICY, type Policy } from './core/policy.ts';
import { PushError } from './errors/errors.ts';
import type { SinkConfig } from './forward/config.ts';
import { openKafka } from './forward/kafka.ts';
import type { Sink } from './forward/sink.ts';
import { openWebhook } from './forward/webhook.ts';
import type { RequestInbox, RequestOutbox } from './ledger/inbox.ts';
import { openLedgerReader, type LedgerReader } from './ledger/reader.ts';
import { openRequests } from './ledger/requests.ts';
import { openLedger, type LedgerDeps } from './ledger/sqlite.ts';
import { findLocation } from './ledger/location.ts';
import type { Ledger, OwnershipWait } from './ledger/ledger.ts';
import type { Meters } from './observe/meters.ts';
import type { MonitoredParts } from './observe/monitor.ts';
import { eventsFor } from './pipeline/admission.ts';
import { claim } from './pipeline/claim.ts';
import { Driver, type DriverParts } from './pipeline/driver.ts';
import type { Emit } from './pipeline/events.ts';
import { Forwarder } from './pipeline/forward.ts';
import { openPolaris } from './polaris/client.ts';
import type { Target } from './polaris/target.ts';
import { tracedTarget } from './polaris/traced.ts';
import type { Clock } from './runtime/clock.ts';
import { openHttpServer, type HttpServer, type Routes } from './runtime/http-server.ts';
import type { Log } from './runtime/log.ts';
import type { Random } from './runtime/random.ts';
import { Trail, type Tracing } from './runtime/tracing.ts';

export type AppDeps = {
  readonly config: Config;
  /** The connector that the configuration's `source` names. */
  readonly definition: ConnectorDefinition<{ readonly kind: string }>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Told of what the parts do, for metrics. */
  readonly meters?: Meters | undefined;
  /** Undefined: nothing is traced. */
  readonly tracing?: Tracing | undefined;
};

/** How many requests a target gets at first; it learns from there. */
const INITIAL_CONCURRENCY = 8;

/** The tables that patterns on the command line leave, by their names in the source. Throws `USAGE` for a bad pattern. */
export function selection({ include, exclude }: SelectionOptions): Scope {
  if (include === undefined && exclude === undefined) return everything;
  const parsed = scopeConfig.safeParse({ include, exclude });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PushError('USAGE', `--${String(issue?.path[0])}: ${issue?.message ?? 'not a pattern'}.`);
}

type SelectionOptions = {
  readonly include?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
};

/**
 * The source of a configuration, in Polaris's names. `only` narrows it further, by the source's names; `hooks` is for one
 * that is watched.
 */
export async function openSource(deps: AppDeps, only: Scope = everything, hooks?: Routes): Promise<Connector> {
  const { config, definition, clock, log } = deps;
  const connector = await definition.open(config.source, { clock, log, hooks });
  const selected = only === everything ? connector : scoped(connector, only, { clock });
  return scoped(selected, config.tables, { clock });
}

export { parseRecorded, recorded } from './connector/recording.ts';

/** The targets of a configuration. */
export const openTargets = ({ config, clock, log, meters, tracing }: AppDeps): Promise<Target[]> =>
  Promise.all(
    config.targets.map((target) =>
      openPolaris(target, {
        clock,
        log,
        tracing,
        onRequest: (request) => meters?.requested(target.name, request),
        onTokenRenewal: (renewal) => meters?.renewed(target.name, renewal),
      }),
    ),
  );

export { openPolicies, type ApplicablePolicy } from './polaris/policies.ts';
export { parseContent, type PolicyContent } from './polaris/policy-cache.ts';
export { policyOrigins, type PolicyOrigin } from './polaris/policy-origins.ts';

const openSink = (config: SinkConfig, deps: { readonly clock: Clock }): Promise<Sink> =>
  config.kind === 'webhook' ? openWebhook(config, deps) : openKafka(config);

/** The ledger as another process sees it, while the agent runs or not. Throws `PushError`. */
export const openReader = ({ ledger }: Config): LedgerReader => openLedgerReader(ledger.path);

/** Where another process asks something of the agent. Throws `PushError`. */
export const openOutbox = ({ ledger }: Config, clock: Clock): RequestOutbox => openRequests(ledger.path, { clock });

/** With `report` nothing goes without a release, so nothing is within the budget. */
function budgetOf({ mode, budget }: Config['drops']): DropBudget | undefined {
  if (mode === 'report') return new DropBudget({ floor: 0, share: 0, perMs: 0 });
  return budget === undefined ? undefined : new DropBudget(budget);
}

type OpenOptions = {
  readonly listen?: boolean | undefined;
  readonly standby?: OwnershipWait | undefined;
};

/** All the parts of an agent, put together from its configuration. The only place that knows concrete classes. */
export class App implements AsyncDisposable {
  readonly connector: Connector;
  readonly targets: readonly Target[];
  readonly ledger: Ledger & RequestInbox;
  /** Where it can be asked, if it listens. */
  readonly http: HttpServer | undefined;
  readonly #deps: AppDeps;
  readonly #sinks = new AsyncDisposableStack();

  private constructor(
    deps: AppDeps,
    parts: {
      readonly connector: Connector;
      readonly targets: readonly Target[];
      readonly ledger: Ledger & RequestInbox;
      readonly http: HttpServer | undefined;
    },
  ) {
    this.#deps = deps;
    this.connector = parts.connector;
    this.targets = parts.targets;
    this.ledger = parts.ledger;
    this.http = parts.http;
  }

  /**
   * Takes the ledger for this process, and with `listen` the address of `http.listen`. Throws `PushError`; asks neither
   * source nor Polaris anything yet. With `standby` a ledger that another process owns is waited for before all else.
   */
  static async open(
    deps: AppDeps,
    only: Scope = everything,
    { listen = false, standby }: OpenOptions = {},
  ): Promise<App> {
    await using opened = new AsyncDisposableStack();
    const onCommit: LedgerDeps['onCommit'] = (commit) => {
      deps.meters?.committed(commit);
      deps.tracing?.record('ledger commit', commit.ms);
    };
    const ledger = opened.use(await openLedger(deps.config.ledger, { ...deps, onCommit, standby }));
    const { http: address } = deps.config;
    const http = listen && address !== undefined ? opened.use(await openHttpServer(address, deps)) : undefined;
    const connector = opened.use(await openSource(deps, only, http?.hooks));
    const targets = await openTargets(deps);
    opened.move();
    return new App(deps, { connector, targets, ledger, http });
  }

  /** What a monitor of the running agent looks at. */
  parts(drivers: readonly Driver[]): MonitoredParts {
    const { connector, ledger } = this;
    return {
      sourceName: connector.source,
      measure: (signal) => connector.measure?.(signal) ?? Promise.resolve({}),
      ledger,
      ledgerPath: findLocation(this.#deps.config.ledger.path),
      drivers,
    };
  }

  /** Refuses a ledger that is of another source or of other catalogs; see `claim`. */
  async claim(adopt: boolean = false): Promise<void> {
    const { config, log } = this.#deps;
    await claim({ ledger: this.ledger, log, source: this.connector.source, targets: config.targets }, adopt);
  }

  /** One driver per target. `policy` overrides what the configuration says, `source` where facts are read. */
  drivers(emit: Emit, policy: Partial<Policy> = {}, source: Pick<Connector, 'resolve'> = this.connector): Driver[] {
    const { config, clock, random, log } = this.#deps;
    const eventsOf = eventsFor({ sinks: config.forward, targets: config.targets, origin: this.connector.source });
    return this.targets.map((target, i) => {
      const { min, max } = config.targets[i]?.concurrency ?? { min: 1, max: INITIAL_CONCURRENCY };
      return new Driver({
        ...this.#traced(target, source),
        ledger: this.ledger,
        clock,
        random,
        log,
        policy: {
          ...DEFAULT_POLICY,
          prechecks: config.prechecks,
          recreate: config.recreate,
          drops: config.drops.mode,
          dropGraceMs: config.drops.graceMs,
          // An empty ledger in front of a catalog that isn't empty: what is already right isn't sent again.
          adopt: this.ledger.totals(target.name).entries === 0,
          ...policy,
        },
        budget: budgetOf(config.drops),
        concurrency: { min, max, initial: INITIAL_CONCURRENCY },
        emit,
        eventsOf,
      });
    });
  }

  /** Each target has reads of its own, so a trail of its own leads to its notifications. */
  #traced(target: Target, connector: Pick<Connector, 'resolve'>): Pick<DriverParts, 'target' | 'connector'> {
    const { tracing } = this.#deps;
    if (tracing === undefined) return { target, connector };
    const shared = { tracing, trail: new Trail() };
    return {
      target: tracedTarget(target, shared),
      connector: tracedReads(connector, { ...shared, name: this.connector.source }),
    };
  }

  /** One forwarder per sink of events. Throws `PushError` when a sink's configuration can't be used. */
  async forwarders(emit: Emit): Promise<Forwarder[]> {
    const { config, clock, random, log } = this.#deps;
    const forwarders: Forwarder[] = [];
    for (const sinkConfig of config.forward) {
      const sink = this.#sinks.use(await openSink(sinkConfig, { clock }));
      const { attempts } = sinkConfig;
      forwarders.push(new Forwarder({ sink, attempts, ledger: this.ledger, clock, random, log, emit }));
    }
    return forwarders;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // First what asks the others. The ledger last: what the others still record at their end must find it open.
    await this.http?.[Symbol.asyncDispose]();
    await Promise.allSettled([
      this.connector[Symbol.asyncDispose](),
      this.#sinks.disposeAsync(),
      ...this.targets.map((t) => t[Symbol.asyncDispose]()),
    ]);
    await this.ledger[Symbol.asyncDispose]();
  }
}
