import type { Finding } from '../core/finding.ts';
import type { Notification, Outcome, Served, TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import { readAuthorities } from '../runtime/authorities.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { Redactor } from '../runtime/redact.ts';
import { TokenFile } from '../runtime/token-file.ts';
import { StaticToken, type TokenSource } from '../runtime/token.ts';
import type { Tracing } from '../runtime/tracing.ts';
import { Transport } from '../runtime/transport.ts';
import { CatalogDirectory } from './addressing.ts';
import { parseJson } from './answer.ts';
import { classify, saysNoSuchPath, saysNoSuchTable, type Failure } from './classify.ts';
import { clientCredentials } from './client-credentials.ts';
import type { AuthConfig, TargetConfig } from './config.ts';
import { etagOf } from './etag.ts';
import { toError } from './failure.ts';
import { listTables } from './listing.ts';
import { encodeTable } from '../runtime/rest-names.ts';
import { preflight } from './preflight.ts';
import { failureOf, Session, type Reply, type RequestSeen } from './session.ts';
import type { Target } from './target.ts';
import { encodeNotification, leadingMetadataLocation } from './wire.ts';

export type PolarisDeps = {
  readonly clock: Clock;
  readonly log: Log;
  /** Called once per request that was tried, the token endpoint's excepted. Must not throw. */
  readonly onRequest?: ((request: RequestSeen) => void) | undefined;
  /** Called once per attempt to get a token. Must not throw. */
  readonly onTokenRenewal?: ((renewal: { readonly ok: boolean; readonly ms: number }) => void) | undefined;
  /** Undefined: requests carry no trace. */
  readonly tracing?: Pick<Tracing, 'headers'> | undefined;
};

/** Error bodies have some hundred bytes; the longest recorded one has 2 KB. */
const MAX_ERROR_BYTES = 64 * 1024;
/** Enough for the start of a loadTable answer, which is where the metadata location stands. */
const MAX_GLANCE_BYTES = 64 * 1024;
/** For a server that puts it elsewhere: the whole answer, with a table's metadata in it. */
const MAX_TABLE_BYTES = 128 * 1024 * 1024;

/** Opens a target without asking it anything yet. Throws `PushError` CONFIG_INVALID when the CA file can't be used. */
export async function openPolaris(config: TargetConfig, deps: PolarisDeps): Promise<Target> {
  return new PolarisTarget(await openSession(config, deps));
}

/** Requests to the Polaris of a target, with its credentials. Asks nothing yet; throws as `openPolaris` does. */
export async function openSession(config: TargetConfig, deps: PolarisDeps): Promise<Session> {
  const ca = await readAuthorities(config.tls.caFile);
  const log = deps.log.child({ target: config.name });
  const redactor = new Redactor();
  for (const value of Object.values(config.headers)) redactor.add(value);
  const shared = { config, ca, redactor, deps, log };
  return new Session({
    config,
    transport: openTransport(shared, new URL(config.uri), config.concurrency.max),
    tokens: openTokens(config.auth, shared),
    redactor,
    clock: deps.clock,
    log,
    onRequest: deps.onRequest,
    tracing: deps.tracing,
  });
}

type Shared = {
  readonly config: TargetConfig;
  readonly ca: string | undefined;
  readonly redactor: Redactor;
  readonly deps: PolarisDeps;
  readonly log: Log;
};

const openTransport = ({ config, ca, deps }: Shared, url: URL, connections: number): Transport =>
  new Transport({ origin: url.origin, connections, timeouts: config.timeouts, ca, clock: deps.clock });

function openTokens(auth: AuthConfig, shared: Shared): TokenSource<Failure> {
  const { config, redactor, deps, log } = shared;
  switch (auth.kind) {
    case 'token':
      return new StaticToken(auth.token, redactor);
    case 'token-file':
      return new TokenFile(auth.path, { clock: deps.clock, log, redactor });
    case 'client-credentials': {
      const tokenUri = new URL(auth.tokenUri ?? `${config.uri}/v1/oauth/tokens`);
      return clientCredentials({
        auth,
        transport: openTransport(shared, tokenUri, 1),
        tokenUri,
        headers: auth.tokenUri === undefined ? realmAndExtras(config) : {},
        clock: deps.clock,
        log,
        redactor,
        onRenewal: deps.onTokenRenewal,
      });
    }
  }
}

const realmAndExtras = ({ headers, realm }: TargetConfig): Readonly<Record<string, string>> => ({
  ...headers,
  ...(realm === undefined ? {} : { 'polaris-realm': realm }),
});

class PolarisTarget implements Target {
  readonly name: string;
  readonly #session: Session;
  readonly #directory: CatalogDirectory;

  constructor(session: Session) {
    this.name = session.config.name;
    this.#session = session;
    this.#directory = new CatalogDirectory(session);
  }

  async notify(notification: Notification, signal: AbortSignal): Promise<Outcome> {
    signal.throwIfAborted();
    const path = await this.#pathOf(notification.table, signal);
    if (typeof path !== 'string') return path;
    const reply = await this.#session.call(
      {
        kind: 'notify',
        method: 'POST',
        path: `${path}/notifications`,
        body: encodeNotification(notification),
        maxBodyBytes: MAX_ERROR_BYTES,
        table: notification.table,
      },
      signal,
    );
    if (reply.kind === 'failed') return reply.failure;
    const outcome = classify(reply.answer);
    this.#doubtAddress(reply, outcome);
    return outcome;
  }

  async serves(table: TableIdentifier, metadataLocation: string, signal: AbortSignal): Promise<Served> {
    signal.throwIfAborted();
    const path = await this.#pathOf(table, signal);
    if (typeof path !== 'string') throw toError(path, this.name, 'Asking what it serves failed');
    const etag = etagOf(metadataLocation);
    const glance = await this.#load(path, etag, MAX_GLANCE_BYTES, signal);
    const served = this.#servedBy(glance, metadataLocation);
    if (served !== undefined) return served;
    // The metadata location isn't at the start, and the rest was cut off.
    const whole = await this.#load(path, etag, MAX_TABLE_BYTES, signal);
    const servedByWhole = this.#servedBy(whole, metadataLocation);
    if (servedByWhole !== undefined) return servedByWhole;
    throw new PushError(
      'POLARIS_REFUSED',
      `Target ${this.name}: the answer to loading a table holds no metadata-location within ${MAX_TABLE_BYTES} bytes.`,
    );
  }

  async *tables(signal: AbortSignal): AsyncGenerator<TableIdentifier> {
    const answer = await this.#directory.config(signal);
    if (answer.kind !== 'config') throw toError(answer, this.name, 'Listing its tables failed');
    try {
      yield* listTables(this.#session, answer.config.addressing, signal);
    } catch (error) {
      if (error instanceof PushError && error.code !== 'POLARIS_UNAVAILABLE') this.#directory.forget();
      throw error;
    }
  }

  check(signal: AbortSignal): AsyncGenerator<Finding> {
    return preflight(
      {
        session: this.#session,
        directory: this.#directory,
        notify: (notification, abort) => this.notify(notification, abort),
      },
      signal,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#directory[Symbol.asyncDispose](), this.#session[Symbol.asyncDispose]()]);
  }

  /** The table's path below the catalog API, or why there is none. */
  async #pathOf(table: TableIdentifier, signal: AbortSignal): Promise<string | Failure> {
    const answer = await this.#directory.config(signal);
    if (answer.kind !== 'config') return answer;
    const { prefix, separator } = answer.config.addressing;
    const encoded = encodeTable(table, separator);
    if (encoded.kind === 'path') return `v1/${prefix}/${encoded.path}`;
    return { kind: 'refused', reason: 'name-not-addressable', status: 0, message: encoded.reason };
  }

  async #load(path: string, etag: string, maxBodyBytes: number, signal: AbortSignal): Promise<Reply> {
    const reply = await this.#session.call(
      { kind: 'serves', method: 'GET', path, headers: { 'if-none-match': etag }, maxBodyBytes },
      signal,
    );
    this.#doubtAddress(reply, undefined);
    return reply;
  }

  /** Undefined: the answer was cut off before it said so. */
  #servedBy(reply: Reply, metadataLocation: string): Served | undefined {
    if (reply.kind === 'answer') {
      const { status } = reply.answer;
      if (status === 304) return 'this';
      if (status === 200) {
        const location = leadingMetadataLocation(reply.body) ?? (reply.cut ? undefined : locationIn(reply.body));
        if (location !== undefined) return location === metadataLocation ? 'this' : 'other';
        if (reply.cut) return undefined;
        throw new PushError(
          'POLARIS_REFUSED',
          `Target ${this.name}: the answer to loading a table has no metadata-location.`,
        );
      }
      // Without the privilege to see it, too: the caller has been refused by a notification before.
      if (saysNoSuchTable(reply.answer)) return 'nothing';
    }
    const failure = failureOf(reply);
    // The ETag differed, so Polaris went to read the metadata file of a table that stands elsewhere, and failed.
    if (failure.kind === 'refused' && failure.reason.startsWith('metadata-')) return 'other';
    throw toError(failure, this.name, 'Asking what it serves failed');
  }

  /** A catalog that was made anew may have another prefix. */
  #doubtAddress(reply: Reply, outcome: Outcome | undefined): void {
    if (reply.kind !== 'answer') return;
    const noCatalog = outcome?.kind === 'refused' && outcome.reason === 'no-such-catalog';
    if (noCatalog || saysNoSuchPath(reply.answer)) this.#directory.forget();
  }
}

function locationIn(body: string): string | undefined {
  const location = (parseJson(body) as { 'metadata-location'?: unknown } | undefined)?.['metadata-location'];
  return typeof location === 'string' ? location : undefined;
}
