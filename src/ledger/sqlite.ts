import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { blank, fold } from '../core/fold.ts';
import { keyOf, type TableKey } from '../core/table.ts';
import type { Entry, EntryRecord, ParkCode, Position, TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { LedgerConfig } from './config.ts';
import { EntryTable, EntryWriter, type EntryFilter, type TargetRow } from './entry-table.ts';
import type { Request, RequestInbox } from './inbox.ts';
import type { AnyRecord, Ledger, OwnershipWait, Totals } from './ledger.ts';
import { networkFileSystemOf, prepareLocation } from './location.ts';
import { OutboxListeners } from './outbox-listeners.ts';
import { OutboxTable, OutboxWriter } from './outbox-table.ts';
import { isOutboxRecord, type Outbox, type OutboxRecord } from './outbox.ts';
import { inUse, ownerOf, recordOwner, takeOwnership, waitForOwnership } from './ownership.ts';
import { readRequests } from './requests.ts';
import { migrate, quickCheck, versionOf } from './schema.ts';
import { isBusy, openingError, unwritable, workingError } from './sqlite-error.ts';
import { emptyTally, isUnfinished, recount, type Tally } from './totals.ts';

export type LedgerDeps = {
  readonly clock: Clock;
  readonly log: Log;
  /** Sees the connection before it is used: where tests make it fail. */
  readonly onOpen?: ((db: DatabaseSync) => void) | undefined;
  /** Called after each commit with how long it took. Must not throw. */
  readonly onCommit?: ((commit: { readonly ms: number }) => void) | undefined;
  /** Present: a ledger that another process owns is waited for. Absent: it is an error. */
  readonly standby?: OwnershipWait | undefined;
};

/** While opening, another process may be closing its reader, which holds the file for a moment. */
const OPEN_WAIT_MS = 2000;
/** A ledger up to this size is checked at every start, a larger one only if it wasn't closed. Some 40 ms. */
const ALWAYS_CHECKED_BYTES = 64 * 1024 ** 2;
const CACHE_KIB = 16 * 1024;
/** The write-ahead log moves into the file at 16 MiB: a page that is written often moves once (a quarter less work than at 4). */
const LOG_PAGES = 4000;
/** The disk that an unusually long log took is given back. */
const LOG_KEPT_BYTES = 64 * 1024 ** 2;
/** Another process holds the write lock only to submit a request, or in somebody's sqlite3 shell. */
const BUSY_RETRY_MS = 10;
const BUSY_LIMIT_MS = 30_000;

/**
 * Opens the ledger of this process, creating it when it is missing. Throws `PushError`: `LEDGER_IN_USE`,
 * `LEDGER_UNWRITABLE`, `LEDGER_NEWER`, `LEDGER_CORRUPT`.
 *
 * An SQLite file in WAL mode with `synchronous=FULL`: what an `append` has resolved for survives a loss of power. It holds
 * the state of each entry, not its records, so it grows with the tables alone. All appends of one turn of the event loop
 * share a transaction, and an entry that they touch is written once.
 */
export async function openLedger(config: LedgerConfig, deps: LedgerDeps): Promise<Ledger & RequestInbox> {
  const path = prepareLocation(config.path);
  using opened = new DisposableStack();
  opened.use(
    deps.standby === undefined ? takeOwnership(path) : await waitForOwnership(path, { ...deps.standby, ...deps }),
  );
  try {
    const network = networkFileSystemOf(path);
    if (network !== undefined) deps.log.warn('ledger-on-network-file-system', { path, fileSystem: network });
    const db = opened.adopt(new DatabaseSync(path, { timeout: OPEN_WAIT_MS }), (it) => it.close());
    const token = randomUUID();
    prepareDatabase(db, path, { ...deps, token });
    const kept = new DisposableStack();
    const ledger = new SqliteLedger({ db, path, token, ...deps }, kept);
    kept.use(opened.move());
    return ledger;
  } catch (error) {
    throw openingError(error, path);
  }
}

function prepareDatabase(db: DatabaseSync, path: string, deps: LedgerDeps & { readonly token: string }): void {
  deps.onOpen?.(db);
  db.exec('PRAGMA cell_size_check = ON');
  const version = versionOf(db, path);
  if (version > 0) checkStructure(db, path, deps);
  // In the rollback journal for a new file: it is there with its whole schema or empty, and its header says what it is.
  migrate(db, version);
  const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
  if (mode !== 'wal') throw unwritable(path, "SQLite can't keep a write-ahead log there");
  // FULL syncs the log at each commit.
  db.exec(`PRAGMA synchronous = FULL; PRAGMA cache_size = ${-CACHE_KIB}`);
  db.exec(`PRAGMA wal_autocheckpoint = ${LOG_PAGES}; PRAGMA journal_size_limit = ${LOG_KEPT_BYTES}`);
  db.exec('BEGIN IMMEDIATE');
  db.prepare("INSERT OR IGNORE INTO meta (name, value) VALUES ('created_at', ?)").run(deps.clock.now());
  db.exec("INSERT OR REPLACE INTO meta (name, value) VALUES ('closed', 0)");
  recordOwner(db, deps.clock.now(), deps.token);
  db.exec('COMMIT');
  // From here on a lock of somebody else is waited for without blocking the event loop.
  db.exec('PRAGMA busy_timeout = 0');
}

function checkStructure(db: DatabaseSync, path: string, { clock, log }: LedgerDeps): void {
  const closed = db.prepare("SELECT value FROM meta WHERE name = 'closed'").get()?.['value'] === 1;
  const { size } = statSync(path);
  if (closed && size > ALWAYS_CHECKED_BYTES) return;
  const startMs = clock.monotonicMs();
  quickCheck(db, path);
  log.debug('ledger-checked', { path, bytes: size, closed, tookMs: Math.round(clock.monotonicMs() - startMs) });
}

/** A target, with what the file doesn't hold yet. */
type LiveTarget = {
  /** Of the target's row; undefined before its first commit. */
  row: TargetRow | undefined;
  readonly name: string;
  readonly tally: Tally;
  /** Entries appended to since the last commit. */
  readonly fresh: Map<TableKey, Fresh>;
};

/** `id`: of the entry's row; undefined for one without. */
type Fresh = { readonly id: number | undefined; entry: Entry };

type Parts = LedgerDeps & { readonly db: DatabaseSync; readonly path: string; readonly token: string };

class SqliteLedger implements Ledger, RequestInbox {
  readonly outbox: Outbox;
  readonly #parts: Parts;
  readonly #resources: Disposable;
  readonly #table: EntryTable;
  readonly #writer: EntryWriter;
  readonly #outboxWriter: OutboxWriter;
  readonly #listeners = new OutboxListeners();
  readonly #statements: Readonly<Record<'begin' | 'commit' | 'dataVersion' | 'deleteRequests', StatementSync>>;
  readonly #targets = new Map<string, LiveTarget>();
  readonly #freshPositions = new Map<string, Position>();
  #freshEvents: OutboxRecord[] = [];
  /** What waits for the next commit waits for this promise. */
  #batch: PromiseWithResolvers<void> | undefined;
  #busySinceMs: number | undefined;
  #commits = 0;
  /** Why the ledger serves no more: it failed, or it was closed. */
  #end: PushError | undefined;
  #closing: Promise<void> | undefined;
  /** `PRAGMA data_version` changes when another connection has committed. */
  #versionAtCommit: unknown;
  #versionAtPoll: unknown;
  #takenRequest = 0;
  #deletedRequest = 0;

  constructor(parts: Parts, resources: Disposable) {
    const { db } = parts;
    this.#parts = parts;
    this.#resources = resources;
    this.#table = new EntryTable(db);
    this.#writer = new EntryWriter(db);
    this.outbox = new SqliteOutbox(db, (read) => this.#read(read), this.#listeners);
    this.#outboxWriter = new OutboxWriter(db);
    this.#statements = {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      dataVersion: db.prepare('PRAGMA data_version'),
      deleteRequests: db.prepare('DELETE FROM requests WHERE id <= ?'),
    };
    for (const row of this.#table.targets()) {
      this.#targets.set(row.name, { row, name: row.name, tally: { ...row.totals }, fresh: new Map() });
    }
  }

  entry(target: string, table: TableIdentifier): Entry | undefined {
    return this.#read(() => this.#current(this.#targets.get(target), keyOf(table))?.entry);
  }

  lookup(target: string, tables: readonly TableIdentifier[]): readonly (Entry | undefined)[] {
    const live = this.#targets.get(target);
    return this.#read(() => tables.map((table) => this.#current(live, keyOf(table))?.entry));
  }

  entries(target: string): Iterable<Entry> {
    return this.#walk(target, 'all');
  }

  *unfinished(target: string): Iterable<Entry> {
    // What has been settled since its row was written isn't unfinished any more.
    for (const entry of this.#walk(target, 'unfinished')) if (isUnfinished(entry)) yield entry;
  }

  totals(target: string): Totals {
    return this.#read(() => ({ ...(this.#targets.get(target)?.tally ?? emptyTally()) }));
  }

  parkedByCode(target: string): Partial<Record<ParkCode, number>> {
    return this.#read(() => {
      const row = this.#targets.get(target)?.row;
      return row === undefined ? {} : this.#table.parkedByCode(row);
    });
  }

  targets(): readonly string[] {
    return this.#read(() =>
      [...this.#targets.values()].filter(({ tally }) => tally.entries > 0).map(({ name }) => name),
    );
  }

  position(source: string): Position | undefined {
    return this.#read(() => this.#freshPositions.get(source) ?? this.#table.position(source));
  }

  append(records: readonly AnyRecord[]): Promise<void> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    try {
      for (const record of records) {
        if (record.kind === 'position') this.#freshPositions.set(record.source, record.position);
        else if (isOutboxRecord(record)) this.#freshEvents.push(record);
        else this.#fold(record);
      }
    } catch (error) {
      // An entry couldn't be read, so what was folded so far is half of what the caller meant.
      return Promise.reject(this.#fail(error));
    }
    if (records.length === 0 && this.#batch === undefined) return Promise.resolve();
    return this.#nextCommit();
  }

  takeRequests(): readonly Request[] {
    return this.#read(() => {
      const version = this.#dataVersion();
      if (version === this.#versionAtPoll) return [];
      const requests = readRequests(this.#parts.db, this.#takenRequest);
      this.#versionAtPoll = version;
      const last = requests.at(-1);
      if (last !== undefined) {
        this.#takenRequest = last.id;
        void this.#nextCommit();
      }
      return requests;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    while (this.#batch !== undefined) await this.#batch.promise.catch(() => {});
    const { db, path, log } = this.#parts;
    try {
      if (this.#end === undefined) {
        this.#end = new PushError('LEDGER_FAILED', `${path}: it was closed before.`);
        db.exec("UPDATE meta SET value = 1 WHERE name = 'closed'; PRAGMA wal_checkpoint(TRUNCATE)");
      }
    } catch (error) {
      // Harmless: everything is in the log, and the next start checks the file's structure.
      log.warn('ledger-not-closed', { path, error });
    } finally {
      this.#resources[Symbol.dispose]();
    }
  }

  /** Every entry that is there when it starts, once, as it is at its turn; one without a row comes at the end. */
  *#walk(target: string, filter: EntryFilter): Generator<Entry, void, undefined> {
    const live = this.#read(() => this.#targets.get(target));
    if (live === undefined) return;
    const late = new Set(live.fresh.keys());
    const pages = live.row === undefined ? undefined : this.#table.pages(live.row, filter);
    for (;;) {
      const step = this.#read(() => pages?.next());
      if (step === undefined || step.done === true) break;
      const commits = this.#commits;
      for (const { key, entry } of step.value) {
        if (late.has(key)) continue;
        yield commits === this.#commits ? (live.fresh.get(key)?.entry ?? entry) : this.#now(live, key, entry);
      }
    }
    for (const key of late) {
      const entry = this.#read(() => this.#current(live, key)?.entry);
      if (entry !== undefined) yield entry;
    }
  }

  /** A row that was read before the last commit may be outdated. */
  #now(live: LiveTarget, key: TableKey, read: Entry): Entry {
    return this.#read(() => this.#current(live, key)?.entry) ?? read;
  }

  #current(live: LiveTarget | undefined, key: TableKey): Fresh | undefined {
    if (live === undefined) return undefined;
    return live.fresh.get(key) ?? (live.row === undefined ? undefined : this.#table.get(live.row, key));
  }

  #fold(record: EntryRecord): void {
    const live = this.#live(record.target);
    const key = keyOf(record.table);
    const before = this.#current(live, key);
    const entry = fold(before?.entry ?? blank(record.target, record.table), record);
    recount(live.tally, before?.entry, entry);
    live.fresh.set(key, { id: before?.id, entry });
  }

  #live(name: string): LiveTarget {
    const known = this.#targets.get(name);
    if (known !== undefined) return known;
    const live: LiveTarget = { row: undefined, name, tally: emptyTally(), fresh: new Map() };
    this.#targets.set(name, live);
    return live;
  }

  /** Everything that comes in this turn of the event loop is in one commit. */
  #nextCommit(): Promise<void> {
    if (this.#batch === undefined) {
      this.#batch = Promise.withResolvers<void>();
      // A taken request waits for a commit without anybody looking at the promise.
      this.#batch.promise.catch(() => {});
      setImmediate(() => this.#commit());
    }
    return this.#batch.promise;
  }

  #commit(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    const { clock, onCommit } = this.#parts;
    const beganMs = clock.monotonicMs();
    try {
      if (!this.#begin()) return;
      this.#requireOwnership();
      this.#write();
      this.#statements.commit.run();
    } catch (error) {
      this.#rollBack();
      this.#fail(error);
      return;
    }
    for (const { fresh } of this.#targets.values()) fresh.clear();
    this.#freshPositions.clear();
    this.#freshEvents = [];
    this.#commits += 1;
    this.#deletedRequest = this.#takenRequest;
    this.#batch = undefined;
    batch.resolve();
    onCommit?.({ ms: clock.monotonicMs() - beganMs });
    this.#listeners.tell(this.#outboxWriter.takeReady());
  }

  /** False if another process is writing; the commit is then tried again in a moment. */
  #begin(): boolean {
    const { clock, log, path } = this.#parts;
    try {
      this.#statements.begin.run();
      this.#busySinceMs = undefined;
      return true;
    } catch (error) {
      const nowMs = clock.monotonicMs();
      if (this.#busySinceMs === undefined) log.debug('ledger-busy', { path });
      this.#busySinceMs ??= nowMs;
      if (!isBusy(error) || nowMs - this.#busySinceMs > BUSY_LIMIT_MS) throw error;
      void clock.sleep(BUSY_RETRY_MS).then(() => this.#commit());
      return false;
    }
  }

  /**
   * The lock keeps other processes out; but a lock file that somebody deletes excludes nobody. The owner that is recorded
   * in the ledger itself is the last word, read inside the transaction.
   */
  #requireOwnership(): void {
    const version = this.#dataVersion();
    if (version === this.#versionAtCommit) return;
    const { db, path, token } = this.#parts;
    if (ownerOf(db)?.token !== token) throw inUse(path);
    this.#versionAtCommit = version;
  }

  #write(): void {
    for (const live of this.#targets.values()) {
      if (live.fresh.size === 0) continue;
      const id = live.row?.id ?? this.#writer.insertTarget(live.name);
      for (const [key, { id: row, entry }] of live.fresh) {
        if (row === undefined) this.#writer.insert(id, key, entry);
        else this.#writer.update(row, entry);
      }
      this.#writer.updateTarget(id, live.tally);
      live.row ??= { id, name: live.name, totals: live.tally };
    }
    for (const [source, position] of this.#freshPositions) this.#writer.putPosition(source, position);
    for (const record of this.#freshEvents) this.#outboxWriter.write(record);
    if (this.#takenRequest > this.#deletedRequest) this.#statements.deleteRequests.run(this.#takenRequest);
  }

  #rollBack(): void {
    const { db } = this.#parts;
    try {
      if (db.isTransaction) db.exec('ROLLBACK');
    } catch {
      // The error that led here tells more; closing the connection rolls back too.
    }
  }

  /** What was appended may be durable or not, and nobody can tell: from here on the ledger says nothing more. */
  #fail(error: unknown): PushError {
    this.#end ??= workingError(error, this.#parts.path);
    this.#batch?.reject(this.#end);
    this.#batch = undefined;
    return this.#end;
  }

  #read<T>(read: () => T): T {
    if (this.#end !== undefined) throw this.#end;
    try {
      return read();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #dataVersion(): unknown {
    return this.#statements.dataVersion.get()?.['data_version'];
  }
}

class SqliteOutbox extends OutboxTable implements Outbox {
  readonly #listeners: OutboxListeners;

  constructor(db: DatabaseSync, guard: <T>(read: () => T) => T, listeners: OutboxListeners) {
    super(db, guard);
    this.#listeners = listeners;
  }

  follow(sink: string, listener: Parameters<Outbox['follow']>[1]): Disposable {
    return this.#listeners.add(sink, listener);
  }
}
