import {
  GetDatabaseCommand,
  GetDatabasesCommand,
  GetTableCommand,
  GetTablesCommand,
  GlueClient,
} from '@aws-sdk/client-glue';
import type { Database, Table } from '@aws-sdk/client-glue';
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { ConnectorDeps } from '../../src/connector/connector.ts';
import { showTable } from '../../src/core/table.ts';
import { PushError } from '../../src/errors/errors.ts';
import { ClockSkew } from '../../src/runtime/clock-skew.ts';
import type { GlueConfig } from './config.ts';
import { awsFailure, isThrottling } from './failure.ts';
import { CallBudget, Meter } from './meter.ts';
import { connectQueue, type Queue } from './queue.ts';
import { queueOf, type Action, type Place } from './statement.ts';

/** One page of an answer; `next` is undefined for the last one. */
export type Page<Item> = { readonly items: readonly Item[]; readonly next: string | undefined };

/** What the connector asks of Glue. Every method throws `PushError`, the abort's reason, or the SDK's own error where said so. */
export interface CatalogReader {
  /** One table. Throws the SDK's error, so that the caller can tell missing from denied. */
  table(database: string, name: string, signal: AbortSignal): Promise<Table>;
  /** A page of a database's tables, all attributes. Throws the SDK's error, too. */
  tables(database: string, after: string | undefined, signal: AbortSignal): Promise<Page<Table>>;
  /** Undefined if the catalog has no such database. */
  database(name: string, signal: AbortSignal): Promise<Database | undefined>;
  databases(after: string | undefined, signal: AbortSignal): Promise<Page<Database>>;
}

/** The connector's clients. Reading what changed and listing everything have one each, so that throttling of one spares the other. */
export type Aws = {
  readonly region: string;
  readonly events: CatalogReader;
  readonly listings: CatalogReader;
  readonly queue: Queue | undefined;
  readonly meter: Meter;
  /** Where permissions belong to, for messages. */
  readonly place: Place;
  /** Throws `PushError` if there are no credentials; asks nobody but their source. */
  readonly credentials: (signal: AbortSignal) => Promise<void>;
  readonly failure: (error: unknown, doing: string, action: Action) => PushError;
  readonly close: () => void;
};

/** A receive waits for `wait_time` at the server, so its answer takes longer than others. */
const CONNECT_TIMEOUT_MS = 5_000;

const CLOCK_FIX =
  'Let this host synchronize its clock (NTP). Tables stay right, but AWS refuses requests that are 5 minutes off.';

/** Makes the clients. Throws `GLUE_REGION_MISSING`; asks AWS nothing yet. */
export async function openAws(config: GlueConfig, deps: ConnectorDeps): Promise<Aws> {
  const address = config.queueUrl === undefined ? undefined : queueOf(config.queueUrl);
  const skew = new ClockSkew(deps.log, config.maxClockSkewMs, CLOCK_FIX);
  const meter = new Meter(skew);
  const given = config.region ?? address?.region;
  const credentials = config.role === undefined ? {} : { credentials: assumed(config, config.role, given) };
  const settings = {
    ...(given === undefined ? {} : { region: given }),
    maxAttempts: config.maxAttempts,
    retryMode: 'adaptive',
    requestHandler: handler(config.requestTimeoutMs),
  };
  const glue = (perSecond: number): BudgetedClient => {
    const client = new GlueClient({
      ...settings,
      ...credentials,
      ...(config.glueEndpoint === undefined ? {} : { endpoint: config.glueEndpoint }),
    });
    const budget = new CallBudget(perSecond, deps.clock);
    measured(client, budget, { deps, meter });
    return { client, budget };
  };
  const clients = { events: glue(config.callsPerSecond.events), listings: glue(config.callsPerSecond.listings) };
  const region = await regionOf(clients.events.client);
  const account = /^[0-9]{12}/.exec(config.catalogId ?? '')?.[0] ?? /::([0-9]{12}):/.exec(config.role?.arn ?? '')?.[1];
  const place: Place = { region, account, queueUrl: config.queueUrl };
  const failure = (error: unknown, doing: string, action: Action) => awsFailure(error, { doing, action, ...place });
  const queue =
    config.queueUrl === undefined
      ? undefined
      : connectQueue(config.queueUrl, config, {
          ...settings,
          ...(config.role?.appliesTo === 'glue' ? {} : credentials),
          // The consumer slows down by itself; adaptive retries would hold back deletions, too.
          retryMode: 'standard',
          region: address?.region ?? region,
          handler,
          failure,
          meter,
          measure: (client) => measured(client, undefined, { deps, meter }),
        });
  return {
    region,
    events: reader(clients.events, config, failure),
    listings: reader(clients.listings, config, failure),
    queue,
    meter,
    place,
    credentials: async (signal) => {
      try {
        signal.throwIfAborted();
        await clients.events.client.config.credentials();
      } catch (error) {
        signal.throwIfAborted();
        throw failure(error, 'looking for credentials', 'glue:GetTable');
      }
    },
    failure,
    close: () => {
      clients.events.client.destroy();
      clients.listings.client.destroy();
      queue?.close();
    },
  };
}

const handler = (requestTimeout: number) => ({
  connectionTimeout: CONNECT_TIMEOUT_MS,
  requestTimeout,
  throwOnRequestTimeout: true,
});

async function regionOf(client: GlueClient): Promise<string> {
  try {
    return await client.config.region();
  } catch (error) {
    throw new PushError(
      'GLUE_REGION_MISSING',
      'Neither the configuration, nor the queue’s URL, nor the environment names one.',
      { cause: error },
    );
  }
}

function assumed(config: GlueConfig, role: NonNullable<GlueConfig['role']>, region: string | undefined) {
  return fromTemporaryCredentials({
    params: {
      RoleArn: role.arn,
      RoleSessionName: role.sessionName,
      ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }),
    },
    clientConfig: {
      ...(region === undefined ? {} : { region }),
      ...(config.stsEndpoint === undefined ? {} : { endpoint: config.stsEndpoint }),
    },
  });
}

type Measuring = { readonly deps: ConnectorDeps; readonly meter: Meter };

/** What is used of a client's middleware stack, whatever its service. */
type Measurable = { readonly middlewareStack: { add(middleware: never, options: object): void } };
type Next = (args: unknown) => Promise<{ readonly response: unknown }>;
type CommandContext = { readonly commandName?: string | undefined };

type BudgetedClient = { readonly client: GlueClient; readonly budget: CallBudget };

/**
 * Counts every attempt of a client, keeps it within its budget, and learns the service's clock from its answers: below the
 * SDK's retries, as each of them is a call. The first attempt's place in the budget is the caller's to take, as the abort
 * signal doesn't get here.
 */
function measured(client: Measurable, budget: CallBudget | undefined, { deps, meter }: Measuring): void {
  const middleware = (next: Next, context: CommandContext) => {
    let attempts = 0;
    return async (args: unknown) => {
      if (attempts++ > 0) await budget?.take();
      meter.called((context.commandName ?? 'unknown').replace(/Command$/, ''));
      const sentAt = deps.clock.now();
      try {
        const result = await next(args);
        meter.answered(dateOf(result.response), sentAt, deps.clock.now());
        return result;
      } catch (error) {
        if (isThrottling(error)) meter.add('throttled');
        const response =
          typeof error === 'object' && error !== null && '$response' in error ? error.$response : undefined;
        meter.answered(dateOf(response), sentAt, deps.clock.now());
        throw error;
      }
    };
  };
  client.middlewareStack.add(middleware as never, {
    step: 'finalizeRequest',
    priority: 'low',
    name: 'polarisPushMeter',
  });
}

function dateOf(response: unknown): string | undefined {
  if (typeof response !== 'object' || response === null || !('headers' in response)) return undefined;
  const { date } = response.headers as { readonly date?: string | undefined };
  return date;
}

function reader({ client, budget }: BudgetedClient, { catalogId }: GlueConfig, failure: Aws['failure']): CatalogReader {
  const allowed = async (signal: AbortSignal) => {
    await budget.take(signal);
    signal.throwIfAborted();
  };
  const catalog = catalogId === undefined ? {} : { CatalogId: catalogId };
  return {
    table: async (database, name, abortSignal) => {
      const input = { ...catalog, DatabaseName: database, Name: name };
      await allowed(abortSignal);
      const { Table } = await client.send(new GetTableCommand(input), { abortSignal });
      if (Table === undefined)
        throw new PushError(
          'GLUE_FAILED',
          `No table came with the answer for ${showTable({ namespace: [database], name })}.`,
        );
      return Table;
    },
    tables: async (database, after, abortSignal) => {
      const input = { ...catalog, DatabaseName: database, ...(after === undefined ? {} : { NextToken: after }) };
      await allowed(abortSignal);
      const { TableList = [], NextToken } = await client.send(new GetTablesCommand(input), { abortSignal });
      return { items: TableList, next: NextToken };
    },
    database: async (name, abortSignal) => {
      await allowed(abortSignal);
      try {
        const { Database } = await client.send(new GetDatabaseCommand({ ...catalog, Name: name }), { abortSignal });
        return Database;
      } catch (error) {
        abortSignal.throwIfAborted();
        if (!(error instanceof Error && error.name === 'EntityNotFoundException'))
          throw failure(error, `reading database ${name}`, 'glue:GetDatabase');
      }
      // The database is missing, or all of the catalog: that would be an error here.
      await databases(undefined, abortSignal);
      return undefined;
    },
    databases,
  };

  async function databases(after: string | undefined, abortSignal: AbortSignal): Promise<Page<Database>> {
    await allowed(abortSignal);
    try {
      const input = { ...catalog, ...(after === undefined ? {} : { NextToken: after }) };
      const { DatabaseList = [], NextToken } = await client.send(new GetDatabasesCommand(input), { abortSignal });
      return { items: DatabaseList, next: NextToken };
    } catch (error) {
      abortSignal.throwIfAborted();
      throw failure(error, 'listing databases', 'glue:GetDatabases');
    }
  }
}
