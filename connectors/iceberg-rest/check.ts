import type { ConnectorDeps } from '../../src/connector/connector.ts';
import type { Finding } from '../../src/core/finding.ts';
import { showTable } from '../../src/core/table.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import { PushError, type ErrorCode } from '../../src/errors/errors.ts';
import type { Loaded } from './catalog.ts';
import type { RestConfig } from './config.ts';
import { openCatalog, type OpenCatalog } from './connector.ts';
import { ENDPOINTS, type Directory } from './directory.ts';
import { isOfOneTable } from './failure.ts';

/** It is a person who waits: what fails twice is reported. */
const TRIES = 2;
/** Namespaces that are looked into for a table to try. */
const SAMPLED = 50;
/** Tables that are tried until one can be loaded. */
const TRIED = 5;

/** Looks at everything that the connector needs, changes nothing, and reports instead of throwing. */
export async function* checkSource(
  config: RestConfig,
  deps: ConnectorDeps,
  signal: AbortSignal,
): AsyncGenerator<Finding, void, undefined> {
  let open: OpenCatalog | undefined;
  try {
    open = await openCatalog(config, deps, TRIES);
    yield* steps(config, open, signal);
  } catch (error) {
    if (signal.aborted) return;
    yield failed('source', error);
  } finally {
    await open?.catalog[Symbol.asyncDispose]();
  }
}

async function* steps(
  config: RestConfig,
  { catalog, meter }: OpenCatalog,
  signal: AbortSignal,
): AsyncGenerator<Finding, void, undefined> {
  let directory: Directory;
  try {
    directory = await catalog.directory.read(signal);
  } catch (error) {
    signal.throwIfAborted();
    return yield failed(subjectOf(error), error);
  }
  yield ok('reachable', config.uri);
  yield ok(
    'configuration',
    `resources are at ${directory.root}, levels of namespaces are divided by ${directory.separator}`,
  );
  const offers = yield* endpoints(directory);
  if (!offers) return;
  const tables = yield* listing(catalog, signal);
  if (tables === undefined) return;
  yield* sample(catalog, tables, signal);
  yield* views(directory);
  yield* webhook(config);
  yield* clock(config, meter.skew.ms);
}

const ok = (subject: string, detail: string): Finding => ({ level: 'ok', subject, detail });

function failed(subject: string, error: unknown): Finding {
  if (!(error instanceof PushError))
    return {
      level: 'error',
      subject,
      detail: String(error),
      fix: 'Run again with --log-level debug.',
      code: 'REST_FAILED',
    };
  const { code, message: detail, fix } = error;
  return { level: 'error', subject, detail, fix, code };
}

/** Which step an error of the first question belongs to. */
function subjectOf(error: unknown): string {
  const code: ErrorCode | undefined = error instanceof PushError ? error.code : undefined;
  if (code === 'REST_UNREACHABLE' || code === 'REST_UNAVAILABLE' || code === 'REST_REDIRECTED') return 'reachable';
  const denied: readonly (ErrorCode | undefined)[] = [
    'REST_UNAUTHORIZED',
    'REST_TOKEN_REFUSED',
    'REST_CREDENTIALS_MISSING',
    'REST_FORBIDDEN',
  ];
  return denied.includes(code) ? 'authorized' : 'configuration';
}

function* endpoints({ endpoints: offered }: Directory): Generator<Finding, boolean, undefined> {
  if (offered === undefined) {
    yield ok('endpoints', 'the catalog does not tell which it has; the usual ones are assumed');
    return true;
  }
  const missing = (['namespaces', 'tables', 'load'] as const).filter((name) => !offered.has(ENDPOINTS[name]));
  if (missing.length === 0) {
    yield ok('endpoints', `${offered.size} offered`);
    return true;
  }
  const names = missing.map((name) => ENDPOINTS[name].replaceAll('{}', '{…}')).join(', ');
  yield failed('endpoints', new PushError('REST_ENDPOINT_MISSING', `It doesn't offer ${names}.`));
  return false;
}

/** Tables to try: the first ones of the first namespace that has some. Undefined if nothing can be listed. */
async function* listing(
  catalog: OpenCatalog['catalog'],
  signal: AbortSignal,
): AsyncGenerator<Finding, readonly TableIdentifier[] | undefined, undefined> {
  let namespaces = 0;
  let tables: readonly TableIdentifier[] = [];
  const denied: { readonly namespace: readonly string[]; readonly error: PushError }[] = [];
  try {
    for await (const namespace of catalog.namespaces(signal)) {
      namespaces++;
      if (tables.length > 0 || namespaces > SAMPLED) continue;
      try {
        for await (const page of catalog.tables(namespace, signal)) {
          tables = page ?? [];
          break;
        }
      } catch (error) {
        if (!(error instanceof PushError) || error.code !== 'REST_FORBIDDEN') throw error;
        denied.push({ namespace, error });
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    yield failed('authorized', error);
    return undefined;
  }
  yield ok('authorized', 'the catalog takes the credentials');
  yield ok('namespaces', `${namespaces} listed`);
  for (const { namespace, error } of denied)
    yield {
      level: 'warning',
      subject: 'tables',
      detail: `${namespace.join('.')} can't be listed, so its tables are not mirrored. ${error.message}`,
      fix: error.fix,
      code: error.code,
    };
  return tables;
}

/** Loads the first table that can be; those before it are warned of, as each may have a trouble of its own. */
async function* sample(
  catalog: OpenCatalog['catalog'],
  tables: readonly TableIdentifier[],
  signal: AbortSignal,
): AsyncGenerator<Finding, void, undefined> {
  if (tables.length === 0)
    return yield ok('tables', 'none found to try; create one and check again to see how tables are loaded');
  const refused: unknown[] = [];
  for (const table of tables.slice(0, TRIED)) {
    let loaded: Present;
    try {
      loaded = await present(catalog, table, signal);
    } catch (error) {
      signal.throwIfAborted();
      refused.push(error);
      if (isOfOneTable(error)) continue;
      break;
    }
    for (const error of refused) yield { ...failed('tables', error), level: 'warning' };
    return yield* loading(catalog, { table, loaded }, signal);
  }
  // The last one ended it if it is about all tables.
  yield failed('tables', isOfOneTable(refused.at(-1)) ? refused[0] : refused.at(-1));
}

type Present = Extract<Loaded, { readonly kind: 'present' }>;

/** Throws `PushError` unless it can be loaded. */
async function present(catalog: OpenCatalog['catalog'], table: TableIdentifier, signal: AbortSignal): Promise<Present> {
  const loaded = await catalog.load(table, {}, signal);
  if (loaded.kind === 'present') return loaded;
  const said = loaded.kind === 'not-found' ? (loaded.message ?? 'HTTP 404') : 'HTTP 304';
  throw new PushError('REST_TABLE_HIDDEN', `${showTable(table)} is listed, but loading it says: ${said}.`);
}

async function* loading(
  catalog: OpenCatalog['catalog'],
  { table, loaded }: { readonly table: TableIdentifier; readonly loaded: Present },
  signal: AbortSignal,
): AsyncGenerator<Finding, void, undefined> {
  const name = showTable(table);
  if (loaded.metadataLocation === undefined)
    return yield failed('tables', new PushError('REST_NO_METADATA_LOCATION', `Loading ${name} told none.`));
  yield ok('tables', `${name} is at ${loaded.metadataLocation}`);
  if (loaded.tableUuid === undefined)
    yield {
      level: 'warning',
      subject: 'table uuid',
      detail: `${name} has none, so that a table which is dropped and created again is taken for the same one.`,
      fix: 'Upgrade tables of format version 1, or let the catalog send their metadata.',
    };
  yield* conditional(catalog, { table, etag: loaded.etag }, signal);
}

const costly = (detail: string): Finding => ({
  level: 'warning',
  subject: 'conditional loads',
  detail: `${detail} Every poll loads a table's whole metadata.`,
  fix: 'Lower source.poll.requests_per_second if that is too much for the catalog, and let it send webhooks (source.webhook).',
});

async function* conditional(
  catalog: OpenCatalog['catalog'],
  { table, etag }: { readonly table: TableIdentifier; readonly etag: string | undefined },
  signal: AbortSignal,
): AsyncGenerator<Finding, void, undefined> {
  if (etag === undefined) return yield costly('The catalog sends no ETag.');
  try {
    const again = await catalog.load(table, { etag }, signal);
    yield again.kind === 'unchanged'
      ? ok('conditional loads', 'a table that has not changed is answered 304')
      : costly('The catalog sends an ETag, but answers a load on its condition in full.');
  } catch (error) {
    signal.throwIfAborted();
    yield failed('conditional loads', error);
  }
}

function* views({ endpoints: offered }: Directory): Generator<Finding, void, undefined> {
  if (offered?.has(ENDPOINTS.view) === true)
    return yield ok('views', 'offered; they are not mirrored, but listed as unsupported');
  if (offered === undefined) return yield ok('views', 'the catalog does not tell whether it has any; it is asked');
  yield ok('views', 'not offered; a name without a table is taken for absent');
}

function* webhook({ webhook: hook, poll }: RestConfig): Generator<Finding, void, undefined> {
  if (hook !== undefined) return yield ok('webhook', 'taken at POST /hooks/iceberg-rest');
  yield ok('webhook', `not configured; changes are found by polling, ${poll.requestsPerSecond} requests a second`);
}

function* clock({ maxClockSkewMs }: RestConfig, skewMs: number | undefined): Generator<Finding, void, undefined> {
  if (skewMs === undefined) return;
  const detail = `the catalog's clock is ${Math.abs(skewMs)} ms ${skewMs < 0 ? 'behind' : 'ahead of'} this host's, to a second`;
  if (Math.abs(skewMs) <= maxClockSkewMs) return yield ok('clock', detail);
  const fix = 'Let this host synchronize its clock (NTP).';
  yield { level: 'warning', subject: 'clock', detail: `${detail}.`, fix, code: 'REST_CLOCK_SKEWED' };
}
