import type { Connector, ConnectorDeps, Delivery } from '../../src/connector/connector.ts';
import type { TableKey } from '../../src/core/table.ts';
import { readAuthorities } from '../../src/runtime/authorities.ts';
import { ClockSkew } from '../../src/runtime/clock-skew.ts';
import { Redactor } from '../../src/runtime/redact.ts';
import { Admission } from './admission.ts';
import { openAuthorizer } from './auth.ts';
import { RestClient } from './client.ts';
import type { RestConfig } from './config.ts';
import { HttpCatalog } from './http-catalog.ts';
import { KnownTables } from './known.ts';
import { listTables } from './list.ts';
import { RestMeter, type RestFigures } from './meter.ts';
import type { RestParts } from './parts.ts';
import { TableReader } from './reader.ts';
import { resolveTables } from './resolve.ts';
import { RestWatch } from './watch.ts';

/** A connector that also tells its figures. */
export type RestConnector = Connector & { figures(): RestFigures };

const CLOCK_FIX =
  "Let this host and the catalog's synchronize their clocks (NTP). Tables stay right, but commit times seem off.";
/** A listing is thousands of requests; one of them meeting a restart of the catalog is no reason to begin anew. */
const TRIES = 4;

export type OpenCatalog = { readonly catalog: HttpCatalog; readonly client: RestClient; readonly meter: RestMeter };

/** Makes the client; asks the catalog nothing yet. Throws `PushError`. */
export async function openCatalog(config: RestConfig, deps: ConnectorDeps, tries = TRIES): Promise<OpenCatalog> {
  const { clock, log } = deps;
  const ca = await readAuthorities(config.caFile);
  const redactor = new Redactor();
  for (const value of Object.values(config.headers)) redactor.add(value);
  const meter = new RestMeter(new ClockSkew(log, config.maxClockSkewMs, CLOCK_FIX));
  const catalogTime = () => clock.now() + (meter.skew.ms ?? 0);
  const authorizer = await openAuthorizer(config, { clock, log, redactor, ca, catalogTime });
  const { concurrency, poll } = config;
  const admission = new Admission({ perSecond: poll.requestsPerSecond, concurrency, clock });
  const client = new RestClient({ config, authorizer, admission, meter, redactor, clock, log, ca, tries });
  return { catalog: new HttpCatalog({ client, config, meter, log }), client, meter };
}

/** Opens the connector; asks the catalog nothing yet. Throws `PushError`. */
export async function openRest(config: RestConfig, deps: ConnectorDeps): Promise<RestConnector> {
  const { catalog, meter } = await openCatalog(config, deps);
  const known = new KnownTables();
  const reader = new TableReader({ deps, catalog, known });
  const views = new Map<TableKey, string>();
  const parts: RestParts = { config, deps, catalog, known };
  let watches = 0;
  const watching = new RestWatch({ ...parts, reader });
  const isPolled = () => watches > 0;
  return {
    source: sourceOf(config),
    get identity() {
      const { prefix } = catalog.directory;
      return prefix === undefined ? undefined : `prefix ${prefix}`;
    },
    prepare: async (signal) => {
      signal.throwIfAborted();
      // There is no stream to make: what changed is found by comparing with what the list read.
      await catalog.directory.renew(signal);
    },
    list: (signal) => listTables({ config, deps, catalog, known, reader, views, isPolled }, signal),
    watch: async function* (_after, signal): AsyncGenerator<Delivery, void, undefined> {
      watches++;
      try {
        yield* watching.watch(signal);
      } finally {
        watches--;
      }
    },
    resolve: (tables, signal) => resolveTables({ deps, catalog, reader, views }, tables, signal),
    figures: () => meter.figures(),
    measure: async () => {
      const { requests, throttled, clockSkewMs } = meter.figures();
      const { requestsPerSecond: budgetPerSecond } = config.poll;
      return { requests, throttled, clockSkewMs, polls: { tables: watching.tables, budgetPerSecond } };
    },
    [Symbol.asyncDispose]: async () => {
      watching[Symbol.dispose]();
      await catalog[Symbol.asyncDispose]();
    },
  };
}

const sourceOf = ({ uri, warehouse }: RestConfig): string =>
  `iceberg-rest:${uri}${warehouse === undefined ? '' : `#${warehouse}`}`;
