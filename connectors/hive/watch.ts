import type { Pgoutput } from 'pg-logical-replication';
import type { ConnectorDeps, Delivery } from '../../src/connector/connector.ts';
import { keyOf } from '../../src/core/table.ts';
import type { Change, Position } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { HiveConfig } from './config.ts';
import { TransactionDecoder } from './decode.ts';
import { codeOf, hiveFailure } from './failure.ts';
import { Feedback, type Ticket } from './feedback.ts';
import { formatPosition, maxLsn, parseLsn, parsePosition, type Lsn } from './lsn.ts';
import type { NameMap } from './names.ts';
import { PendingChanges, type Taken } from './pending.ts';
import type { QueryPool } from './postgres.ts';
import type { Prepared } from './prepare.ts';
import { refuse } from './problem.ts';
import { publicationProblems, readPublication } from './publication.ts';
import type { Resolver } from './resolve.ts';
import { readIncarnation, readServer, serverProblems } from './server.ts';
import { invalidatedSlotProblem, missingSlotProblem, readFreeSlot, slotProblems } from './slot.ts';
import { openStream, type Stream } from './stream.ts';
import { Unseen } from './visibility.ts';

/** Used where PostgreSQL has no wal_sender_timeout. */
const DEFAULT_WATCHDOG_MS = 60_000;
const MAX_KEEPALIVE_MS = 10_000;
/** Afterwards it is asked whether the commit waits for ourselves. */
const VISIBLE_AFTER_MS = 1_000;

export type WatchContext = {
  readonly config: HiveConfig;
  readonly deps: ConnectorDeps;
  readonly database: string;
  readonly names: NameMap;
  readonly resolver: Resolver;
  readonly pool: QueryPool;
  /** Shared with `prepare()`. */
  readonly memory: StreamMemory;
};

/** What the connector knows of its stream from one connection to the next. */
export type StreamMemory = {
  prepared: Prepared | undefined;
  /** The most that was ever confirmed: a slot that stands beyond it isn't ours any more. */
  confirmed: Lsn;
  ownPid: number | undefined;
  slotStuck: boolean;
  /** What the running stream could confirm now; undefined: none runs. */
  durable: (() => Lsn) | undefined;
};

/** Yields what has changed since the last delivery, until `signal` aborts. Throws `PushError` when the stream breaks. */
export async function* watchChanges(
  context: WatchContext,
  after: Position | undefined,
  signal: AbortSignal,
): AsyncGenerator<Delivery, void, undefined> {
  const session = new WatchSession(context, signal);
  try {
    await session.start(after);
    for (;;) {
      const delivery = await session.next();
      if (delivery === undefined) return;
      yield delivery;
    }
  } catch (error) {
    if (signal.aborted) return;
    context.pool.renew();
    throw session.failure(error);
  } finally {
    await session.close();
  }
}

class WatchSession {
  readonly #context: WatchContext;
  readonly #abort: AbortSignal;
  /** Ends the loops of this session. */
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #pending = new PendingChanges();
  /** Of the transactions whose hints are pending. */
  #unseen = new Unseen();
  #feedback = new Feedback(0n);
  #stream: Stream | undefined;
  #decoder: TransactionDecoder | undefined;
  #timeline = 0;
  #walSenderTimeoutMs = 0;
  #version = 0;
  #unanswered = 0;
  #failed: { readonly error: unknown } | undefined;
  #wake: () => void = () => {};

  constructor(context: WatchContext, signal: AbortSignal) {
    this.#context = context;
    this.#abort = signal;
    this.#signal = AbortSignal.any([signal, this.#over.signal]);
  }

  async start(after: Position | undefined): Promise<void> {
    const { config, deps, memory, pool, resolver } = this.#context;
    const from = await pool.use('looking at the slot', this.#signal, (client) => this.#inspect(client, after));
    this.#feedback = new Feedback(from);
    memory.durable = () => this.#feedback.flush;
    this.#stream = await openStream(
      config,
      from,
      {
        message: (message) => this.#onMessage(message),
        keepalive: (lsn, replyRequested) => this.#onKeepalive(lsn, replyRequested),
        failed: (error) => this.#fail(error),
      },
      this.#signal,
    );
    const sender = await resolver.walSender(this.#signal);
    memory.ownPid = sender.pid;
    if (sender.synchronous) this.#warnSynchronous();
    deps.log.info('stream-started', { slot: config.slot, from: formatPosition(this.#timeline, from) });
    this.#loop(this.#keepaliveMs(), () => this.#beat());
    this.#loop(config.inspectMs, () => this.#inspectPublication());
  }

  /** Is the stream that is about to start the continuation of what we know? Returns where to start it. */
  async #inspect(client: Parameters<typeof readServer>[0], after: Position | undefined): Promise<Lsn> {
    const { config, database, deps, memory } = this.#context;
    const server = await readServer(client);
    refuse(serverProblems(server));
    const incarnation = await readIncarnation(client);
    const slot = await readFreeSlot(client, config.slot, { clock: deps.clock, signal: this.#signal });
    if (slot === undefined) refuse([missingSlotProblem(config.slot)]);
    if (slot !== undefined) refuse(slotProblems(slot, config.slot, database));
    if (slot?.invalidated !== undefined) refuse([invalidatedSlotProblem(config.slot, slot.invalidated)]);
    const confirmed = slot?.confirmedFlush ?? 0n;
    const { prepared } = memory;
    if (prepared !== undefined) {
      if (prepared.incarnation.system !== incarnation.system || prepared.incarnation.timeline !== incarnation.timeline)
        throw new PushError(
          'HIVE_HISTORY_LOST',
          'The connection leads to another server, or to one restored or promoted.',
        );
      if (confirmed > memory.confirmed)
        throw new PushError(
          'HIVE_HISTORY_LOST',
          `Replication slot ${config.slot} was created anew or moved on by someone else.`,
        );
    }
    memory.confirmed = maxLsn(memory.confirmed, confirmed);
    this.#timeline = incarnation.timeline;
    this.#walSenderTimeoutMs = server.walSenderTimeoutMs;
    this.#version = server.version;
    // A position of another timeline, or one that this server hasn't reached, names other transactions.
    const resume = after === undefined ? undefined : parsePosition(after);
    if (resume?.timeline !== incarnation.timeline || resume.lsn > (server.walLsn ?? 0n)) return confirmed;
    return maxLsn(resume.lsn, confirmed);
  }

  /** The next delivery; undefined when the signal aborts. */
  async next(): Promise<Delivery | undefined> {
    for (;;) {
      while (this.#pending.empty && this.#failed === undefined && !this.#abort.aborted) await this.#somethingNew();
      if (this.#abort.aborted) return undefined;
      this.#throwIfFailed();
      // Taken before anything is waited for: under steady traffic there is always something newer.
      const taken = this.#pending.take();
      const unseen = this.#unseen;
      this.#unseen = new Unseen();
      const ticket = this.#feedback.delivered(taken.end);
      await this.#untilVisible(unseen);
      const changes = [...taken.changes, ...(await this.#lookUp(taken))];
      this.#throwIfFailed();
      if (changes.length === 0) this.#acknowledge(ticket);
      else
        return {
          changes,
          position: formatPosition(this.#timeline, taken.end),
          committedAt: taken.committedAt,
          ack: async () => this.#acknowledge(ticket),
        };
    }
  }

  #throwIfFailed(): void {
    if (this.#failed !== undefined) throw this.#failed.error;
  }

  /** Ends everything that the session has begun. An acknowledgement that comes later has no effect, and needs none. */
  async close(): Promise<void> {
    this.#over.abort();
    this.#context.memory.ownPid = undefined;
    this.#context.memory.durable = undefined;
    await this.#stream?.close();
    this.#stream = undefined;
  }

  failure(error: unknown): PushError {
    const { config, memory } = this.#context;
    // 42704: the publication didn't exist when the change was made, so decoding stops there for ever.
    if (codeOf(error) === '42704' && error instanceof Error && /publication/.test(error.message)) {
      memory.slotStuck = true;
      return new PushError('HIVE_PUBLICATION_MISSING', `${error.message}.`, { cause: error });
    }
    if (codeOf(error) === '42704')
      return new PushError('HIVE_SLOT_MISSING', `${(error as Error).message}.`, { cause: error });
    if (codeOf(error) === '55000')
      return new PushError('HIVE_SLOT_INVALIDATED', `${(error as Error).message}.`, { cause: error });
    return hiveFailure(error, 'streaming changes', config);
  }

  #onMessage(message: Pgoutput.Message): void {
    this.#unanswered = 0;
    const { config, names } = this.#context;
    switch (message.tag) {
      case 'begin':
        this.#decoder = new TransactionDecoder(config.schema);
        this.#feedback.begin();
        this.#unseen.add(message.xid);
        return;
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
        this.#decoder?.add(message);
        return;
      case 'commit': {
        const end = parseLsn(message.commitEndLsn ?? '');
        const decoded = this.#decoder?.commit(names, config.catalog) ?? { changes: [], unknown: [] };
        this.#decoder = undefined;
        const committedAt = Number(message.commitTime) / 1000;
        this.#pending.add(decoded.changes, decoded.unknown, end, Math.floor(committedAt));
        this.#feedback.commit(end, !this.#pending.empty);
        this.#wake();
        return;
      }
      case 'message':
      case 'origin':
      case 'relation':
      case 'type':
    }
  }

  #onKeepalive(lsn: Lsn, replyRequested: boolean): void {
    this.#unanswered = 0;
    this.#feedback.keepalive(lsn);
    if (!replyRequested) return;
    if (this.#feedback.flooded(this.#context.deps.clock.monotonicMs()))
      throw new PushError(
        'HIVE_SERVER_STOPPING',
        'It asks for an acknowledgement of changes that are not durable yet.',
      );
    this.#confirm(false);
  }

  #acknowledge(ticket: Ticket): void {
    if (ticket.acked) return;
    this.#feedback.acknowledged(ticket);
    this.#confirm(false);
  }

  #confirm(ping: boolean): void {
    if (this.#stream === undefined || this.#failed !== undefined) return;
    const { memory } = this.#context;
    const { flush } = this.#feedback;
    memory.confirmed = maxLsn(memory.confirmed, flush);
    this.#stream.confirm(flush, ping);
  }

  /**
   * Well within wal_sender_timeout, however busy the consumer is. The socket is never paused, so silence means that the
   * server, or the way to it, is dead; it counts in beats, not in time, as a process that was stopped for a while finds
   * the answers in its socket only after its timers.
   */
  #beat(): void {
    const limitMs = this.#context.config.watchdogMs ?? (this.#walSenderTimeoutMs || DEFAULT_WATCHDOG_MS);
    if (this.#unanswered * this.#keepaliveMs() >= limitMs)
      throw new PushError('HIVE_SERVER_SILENT', `It has not answered for ${limitMs} ms.`);
    this.#unanswered += 1;
    this.#confirm(true);
  }

  #keepaliveMs(): number {
    const wanted = this.#context.config.keepaliveMs ?? MAX_KEEPALIVE_MS;
    return this.#walSenderTimeoutMs === 0 ? wanted : Math.min(wanted, Math.max(1, this.#walSenderTimeoutMs / 3));
  }

  /** Nothing in the stream tells that a table was taken out of the publication. */
  async #inspectPublication(): Promise<void> {
    const { config, deps, pool } = this.#context;
    const naming = { publication: config.publication, schema: config.schema, version: this.#version };
    let problems;
    try {
      problems = await pool.use('looking at the publication', this.#signal, async (client) =>
        publicationProblems(client, await readPublication(client, config.publication, this.#version), naming),
      );
    } catch (error) {
      if (codeOf(error) === 'HIVE_HISTORY_LOST') throw error;
      if (!this.#signal.aborted) deps.log.debug('publication-not-inspected', { error: (error as Error).message });
      return;
    }
    refuse(problems);
  }

  /** A hint must not be handed over before a query sees its transaction. */
  async #untilVisible(unseen: Unseen): Promise<void> {
    const { deps, resolver } = this.#context;
    const sinceMs = deps.clock.monotonicMs();
    for (let pauseMs = 1; unseen.size > 0; pauseMs = Math.min(pauseMs * 2, 100)) {
      unseen.seen(await resolver.snapshot(this.#signal));
      if (unseen.size === 0) return;
      this.#throwIfFailed();
      // A commit that waits for us as its synchronous standby would wait for ever.
      const { synchronous } =
        deps.clock.monotonicMs() - sinceMs > VISIBLE_AFTER_MS
          ? await resolver.walSender(this.#signal)
          : { synchronous: false };
      if (synchronous) return this.#warnSynchronous();
      await deps.clock.sleep(pauseMs, this.#signal);
      this.#signal.throwIfAborted();
    }
  }

  #warnSynchronous(): void {
    this.#context.deps.log.warn('synchronous-standby', {
      detail: 'Commits of the metastore wait for this process, as synchronous_standby_names covers it.',
    });
  }

  /** Hints for ids whose names only the metastore knows. What the stream has told meanwhile is newer than its answer. */
  async #lookUp({ changes, unknown }: Taken): Promise<readonly Change[]> {
    if (unknown.length === 0) return [];
    const { config, names, resolver } = this.#context;
    const known = new Set(changes.map(({ table }) => keyOf(table)));
    for (const { id, table, database } of await resolver.names(unknown, this.#signal)) {
      if (names.fullName(id) !== undefined) continue;
      names.setTable(id, table);
      if (names.database(table.databaseId) === undefined) names.setDatabase(table.databaseId, database);
    }
    return unknown
      .map((id) => names.fullName(id))
      .filter((name) => name?.catalog === config.catalog && !known.has(keyOf(name.identifier)))
      .flatMap((name) => (name === undefined ? [] : [{ kind: 'upserted', table: name.identifier }]));
  }

  async #somethingNew(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    this.#wake = wake;
    this.#abort.addEventListener('abort', wake, { once: true });
    await promise;
    this.#abort.removeEventListener('abort', wake);
  }

  #fail(error: unknown): void {
    this.#failed ??= { error };
    this.#wake();
  }

  #loop(everyMs: number, work: () => void | Promise<void>): void {
    const { clock } = this.#context.deps;
    const run = async () => {
      while (!this.#signal.aborted) {
        await clock.sleep(everyMs, this.#signal);
        if (!this.#signal.aborted) await work();
      }
    };
    run().catch((error: unknown) => this.#fail(error));
  }
}
