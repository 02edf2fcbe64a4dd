import { Socket } from 'node:net';
import pg from 'pg';
import { PushError } from '../../src/errors/errors.ts';
import type { HiveConfig } from './config.ts';
import { hiveFailure } from './failure.ts';
import type { Vetting } from './vetting.ts';

export const APPLICATION_NAME = 'polaris-push';

/** The part of `pg.Client` that a query needs; also of a client that a pool has lent. */
export type Queryable = Pick<pg.ClientBase, 'query'>;

/**
 * Parameters of a connection. PostgreSQL gives up a statement after `timeoutMs`; the client does so a little later, should
 * the server have vanished without a word. Settings in the URL take precedence over these.
 */
export function connectionParameters(config: HiveConfig, timeoutMs: number): pg.ClientConfig {
  return {
    application_name: APPLICATION_NAME,
    connectionTimeoutMillis: config.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: timeoutMs,
    query_timeout: timeoutMs + 5_000,
    connectionString: config.connection,
  };
}

/** Host, port, database and user of the connection: without the password. Throws `HIVE_CONNECTION` for a bad URL. */
export function describeConnection(config: HiveConfig): {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
} {
  try {
    const { host, port, database, user } = new pg.Client({ connectionString: config.connection });
    return { host, port, database: database ?? user ?? '', user: user ?? '' };
  } catch (error) {
    // The message of a URL that can't be parsed holds the URL; that of a certificate file that can't be read its path.
    const missingFile = error instanceof Error && 'path' in error ? ` ${String(error.path)} can't be read.` : '';
    throw new PushError('HIVE_CONNECTION', `The value of \`connection\` can't be used.${missingFile}`);
  }
}

/**
 * Runs `work` on a connection of its own. The connection is closed afterwards, and cut when `signal` aborts: `work` then
 * fails and the abort's reason is thrown. Other failures are thrown as `PushError`.
 */
export async function withConnection<Result>(
  config: HiveConfig,
  options: { readonly doing: string; readonly timeoutMs: number; readonly signal: AbortSignal },
  work: (client: Queryable) => Promise<Result>,
): Promise<Result> {
  const connection = await connect(config, options);
  try {
    return await work(connection.client);
  } catch (error) {
    options.signal.throwIfAborted();
    throw hiveFailure(error, options.doing, config);
  } finally {
    await connection.close();
  }
}

/** A connection that ends with `signal`. `close()` never fails. */
export async function connect(
  config: HiveConfig,
  options: { readonly doing: string; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<{ readonly client: Queryable; close(): Promise<void> }> {
  const { signal } = options;
  signal.throwIfAborted();
  // A socket of our own can be cut at any moment; `client.end()` waits while a connection is being made.
  const socket = new Socket();
  const cut = () => void socket.destroy();
  signal.addEventListener('abort', cut, { once: true });
  const close = async () => {
    signal.removeEventListener('abort', cut);
    if (!socket.destroyed) await Promise.race([client?.end(), ended(socket)]).catch(ignore);
    socket.destroy();
  };
  let client: pg.Client | undefined;
  try {
    client = new pg.Client({ ...connectionParameters(config, options.timeoutMs), stream: () => socket });
    client.on('error', ignore); // The query under way, or the next one, fails with the same error.
    await client.connect();
    await refuseHiddenRows(client);
    return { client, close };
  } catch (error) {
    await close();
    signal.throwIfAborted();
    throw hiveFailure(error, options.doing, config);
  }
}

/**
 * From here on a question that row-level security would narrow is an error. A guard beside the question doesn't do: a
 * prepared statement keeps the plan that hides rows when the role has become one that row-level security doesn't concern.
 */
async function refuseHiddenRows(client: Queryable): Promise<void> {
  await client.query('SET row_security = off');
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once('close', () => resolve());
  });
}

/** A few connections for short questions that come at any time. Made on demand, closed when idle, replaced when broken. */
export class QueryPool implements AsyncDisposable {
  readonly #config: HiveConfig;
  readonly #vetting: Vetting;
  #pool: pg.Pool;

  constructor(config: HiveConfig, vetting: Vetting) {
    this.#config = config;
    this.#vetting = vetting;
    this.#pool = newPool(config);
  }

  /**
   * Relies on none of the present connections any more: what silenced one of them has most likely silenced them all, and
   * each would be found out by a timeout of its own, one after the other.
   */
  renew(): void {
    const old = this.#pool;
    this.#pool = newPool(this.#config);
    old.end().catch(ignore);
  }

  /** Runs `work` on one of the connections. Throws the abort's reason or `PushError`; an abort cuts the connection. */
  async use<Result>(doing: string, signal: AbortSignal, work: (client: Queryable) => Promise<Result>): Promise<Result> {
    signal.throwIfAborted();
    const pool = this.#pool;
    let client: pg.PoolClient | undefined;
    let released = false;
    const release = (broken: boolean) => {
      if (client === undefined || released) return;
      released = true;
      client.release(broken);
    };
    const cut = () => release(true);
    try {
      client = await aborting(pool.connect(), signal);
      client.on('error', ignore); // The query under way fails with the same error.
      signal.addEventListener('abort', cut, { once: true });
      await this.#vetting.vet(client);
      return await work(client);
    } catch (error) {
      // A connection of which an answer is missing can't be used for the next question.
      const broken = !(error instanceof pg.DatabaseError);
      release(broken);
      signal.throwIfAborted();
      if (broken && pool === this.#pool) this.renew();
      throw hiveFailure(error, doing, this.#config);
    } finally {
      signal.removeEventListener('abort', cut);
      release(false);
      client?.off('error', ignore);
    }
  }

  /** Rows of a prepared statement, as arrays. */
  async rows(statement: Statement, values: readonly unknown[], signal: AbortSignal): Promise<readonly Cells[]> {
    return this.use(statement.doing, signal, async (client) => {
      const { name, text } = statement;
      return (await client.query<Cells>({ name, text, values: [...values], rowMode: 'array' })).rows;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }
}

function newPool(config: HiveConfig): pg.Pool {
  const pool = new pg.Pool({
    ...connectionParameters(config, config.queryTimeoutMs),
    max: 4,
    idleTimeoutMillis: 60_000,
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for it, though its types don't say so
    onConnect: refuseHiddenRows,
    allowExitOnIdle: true,
  });
  pool.on('error', ignore); // An idle connection broke: the pool has forgotten it already.
  return pool;
}

const ignore = () => {};

export type Cells = (string | number | boolean | null)[];
/** `name` makes it a prepared statement; `doing` says for people what it is for. */
export type Statement = { readonly name: string; readonly text: string; readonly doing: string };

/** A connection that the pool makes after the abort goes back to it unused. */
async function aborting(connecting: Promise<pg.PoolClient>, signal: AbortSignal): Promise<pg.PoolClient> {
  let onAbort: () => void = ignore;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      connecting.then((client) => client.release(), ignore);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([connecting, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
