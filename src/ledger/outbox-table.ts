import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { keyOf, type TableKey } from '../core/table.ts';
import type { EpochMillis, TableIdentifier, Timestamp } from '../core/types.ts';
import type { BuriedEvent, EventHead, OutboxEvent, OutboxReader, OutboxRecord, OutboxTotals } from './outbox.ts';

type EventRow = {
  readonly id: number;
  readonly target: string;
  readonly table_key: TableKey;
  readonly timestamp: Timestamp;
  readonly recorded_at: EpochMillis;
  readonly body: string;
  readonly buried_since: EpochMillis | null;
  readonly reason: string | null;
};

/** Buried events read at once. */
const PAGE_ROWS = 200;

/** The outbox in an open ledger's file, for reading. */
export class OutboxTable implements OutboxReader {
  readonly #guard: <T>(read: () => T) => T;
  readonly #statements: Readonly<Record<'sinks' | 'waitingTotal' | 'buriedTotal', StatementSync>>;
  readonly #waiting: StatementSync;
  readonly #next: StatementSync;
  readonly #buried: StatementSync;

  /** `guard` runs each read, and turns what it throws into an error of the ledger. */
  constructor(db: DatabaseSync, guard: <T>(read: () => T) => T) {
    this.#guard = guard;
    this.#statements = {
      sinks: db.prepare('SELECT DISTINCT sink FROM outbox ORDER BY sink'),
      // min(id), so that the oldest isn't looked for among all: places are given in the order of time.
      waitingTotal: db.prepare(
        `SELECT waiting, recorded_at FROM (SELECT count(*) AS waiting, min(id) AS first FROM outbox INDEXED BY outbox_waiting
           WHERE sink = ? AND buried_since IS NULL) LEFT JOIN outbox ON id = first`,
      ),
      buriedTotal: db.prepare(
        'SELECT count(*) AS buried FROM outbox INDEXED BY outbox_buried WHERE sink = ? AND buried_since IS NOT NULL',
      ),
    };
    this.#waiting = db.prepare(
      `SELECT id, target, table_key FROM outbox INDEXED BY outbox_waiting
         WHERE sink = ? AND buried_since IS NULL AND id > ? ORDER BY id LIMIT ?`,
    );
    this.#next = db.prepare(
      `SELECT * FROM outbox INDEXED BY outbox_tables
         WHERE sink = ? AND target = ? AND table_key = ? AND buried_since IS NULL ORDER BY id LIMIT 1`,
    );
    this.#buried = db.prepare(
      `SELECT * FROM outbox INDEXED BY outbox_buried
         WHERE sink = ? AND buried_since IS NOT NULL AND id > ? ORDER BY id LIMIT ${PAGE_ROWS}`,
    );
  }

  sinks(): readonly string[] {
    return this.#guard(() => this.#statements.sinks.all().map((row) => String(row['sink'])));
  }

  totals(sink: string): OutboxTotals {
    return this.#guard(() => {
      const { waiting, recorded_at: oldest } = this.#statements.waitingTotal.get(sink) ?? {};
      const { buried } = this.#statements.buriedTotal.get(sink) ?? {};
      return {
        waiting: Number(waiting),
        buried: Number(buried),
        ...(typeof oldest === 'number' ? { oldest } : {}),
      };
    });
  }

  waiting(sink: string, after: number, limit: number): readonly EventHead[] {
    return this.#guard(() => (this.#waiting.all(sink, after, limit) as EventRow[]).map(headOf));
  }

  next(sink: string, target: string, table: TableKey): OutboxEvent | undefined {
    const row = this.#guard(() => this.#next.get(sink, target, table)) as EventRow | undefined;
    return row === undefined ? undefined : eventOf(row);
  }

  *buried(sink: string): Generator<BuriedEvent, void, undefined> {
    for (let last = 0; ;) {
      const rows = this.#guard(() => this.#buried.all(sink, last)) as EventRow[];
      for (const row of rows) yield { ...eventOf(row), since: row.buried_since ?? 0, reason: row.reason ?? '' };
      const end = rows.at(-1);
      if (end === undefined || rows.length < PAGE_ROWS) return;
      last = end.id;
    }
  }
}

const headOf = ({ id, target, table_key: table }: Pick<EventRow, 'id' | 'target' | 'table_key'>): EventHead => ({
  id,
  target,
  table,
});

const eventOf = (row: EventRow): OutboxEvent => ({
  ...headOf(row),
  timestamp: row.timestamp,
  at: row.recorded_at,
  body: row.body,
});

/** The statements that write, inside the owner's transactions. */
export class OutboxWriter {
  readonly #insert: StatementSync;
  readonly #replace: StatementSync;
  readonly #forward: StatementSync;
  readonly #bury: StatementSync;
  readonly #revive: StatementSync;
  readonly #discard: StatementSync;
  /** Rows per sink, so that a limit costs no counting. */
  readonly #rows: Map<string, number>;
  #nextId: number;
  /** What the transaction makes ready to leave, by sink. */
  readonly #ready = new Map<string, EventHead[]>();

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare(
      'INSERT INTO outbox (id, sink, target, table_key, timestamp, recorded_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
    this.#replace = db.prepare(
      `UPDATE outbox SET timestamp = ?, recorded_at = ?, body = ?, buried_since = NULL, reason = NULL
         WHERE id = (SELECT max(id) FROM outbox INDEXED BY outbox_tables WHERE sink = ? AND target = ? AND table_key = ?)
         RETURNING id`,
    );
    this.#forward = db.prepare('DELETE FROM outbox WHERE id = ? AND timestamp = ? AND buried_since IS NULL');
    this.#bury = db.prepare(
      'UPDATE outbox SET buried_since = ?, reason = ? WHERE id = ? AND timestamp = ? AND buried_since IS NULL',
    );
    const ofTables = '(?2 IS NULL OR table_key IN (SELECT value FROM json_each(?2)))';
    this.#revive = db.prepare(
      `UPDATE outbox SET buried_since = NULL, reason = NULL
         WHERE sink = ?1 AND buried_since IS NOT NULL AND ${ofTables} RETURNING id, target, table_key`,
    );
    this.#discard = db.prepare(
      `DELETE FROM outbox WHERE sink = ?1 AND (?3 OR buried_since IS NOT NULL) AND ${ofTables}`,
    );
    const counts = db.prepare('SELECT sink, count(*) AS n FROM outbox GROUP BY sink').all();
    this.#rows = new Map(counts.map((row) => [String(row['sink']), Number(row['n'])]));
    this.#nextId = Number(db.prepare('SELECT max(id) AS id FROM outbox').get()?.['id'] ?? 0) + 1;
  }

  /** What the transaction made ready to leave, once it is durable. */
  takeReady(): ReadonlyMap<string, readonly EventHead[]> {
    const ready = new Map(this.#ready);
    this.#ready.clear();
    return ready;
  }

  write(record: OutboxRecord): void {
    const { sink } = record;
    switch (record.kind) {
      case 'event':
        return this.#add(record);
      case 'forwarded':
        return this.#count(sink, -Number(this.#forward.run(record.id, record.timestamp).changes));
      case 'buried':
        this.#bury.run(record.at, record.reason, record.id, record.timestamp);
        return;
      case 'revived': {
        const rows = this.#revive.all(sink, keysOf(record.tables)) as EventRow[];
        return this.#announce(sink, rows.map(headOf));
      }
      case 'discarded': {
        const { changes } = this.#discard.run(sink, keysOf(record.tables), record.waiting === true ? 1 : 0);
        return this.#count(sink, -Number(changes));
      }
    }
  }

  #add({ sink, target, table, timestamp, at, body, limit }: OutboxRecord & { kind: 'event' }): void {
    const key = keyOf(table);
    if ((this.#rows.get(sink) ?? 0) >= limit) {
      const replaced = this.#replace.get(timestamp, at, body, sink, target, key) as { id: number } | undefined;
      if (replaced !== undefined) return this.#announce(sink, [{ id: replaced.id, target, table: key }]);
    }
    const id = this.#nextId++;
    this.#insert.run(id, sink, target, key, timestamp, at, body);
    this.#count(sink, 1);
    this.#announce(sink, [{ id, target, table: key }]);
  }

  #count(sink: string, by: number): void {
    this.#rows.set(sink, (this.#rows.get(sink) ?? 0) + by);
  }

  #announce(sink: string, heads: readonly EventHead[]): void {
    const ready = this.#ready.get(sink);
    if (ready === undefined) this.#ready.set(sink, [...heads]);
    else for (const head of heads) ready.push(head);
  }
}

const keysOf = (tables: readonly TableIdentifier[] | undefined): string | null =>
  tables === undefined ? null : JSON.stringify(tables.map(keyOf));
