import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { hiveConfig, type HiveConfig } from '../../../connectors/hive/config.ts';
import hive from '../../../connectors/hive/index.ts';
import type { Postgres } from '../../../examples/quickstart/postgres.ts';
import type { Connector, Delivery } from '../../../src/connector/connector.ts';
import { showTable } from '../../../src/core/table.ts';
import type { Change, Position, TableState } from '../../../src/core/types.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import type { Log, LogFields } from '../../../src/runtime/log.ts';

const DDL = readFileSync(new URL('../../fixtures/hive/metastore.sql', import.meta.url), 'utf8');

/** Ids of databases that every test metastore has. */
export const SALES = 2;
export const OPS = 3;
export const OTHER_SALES = 4;

let metastores = 0;
let ids = 100;

/** Statements as a Hive Metastore sends them; joined, they make a transaction. */
export const rows = {
  create(name: string, options: { db?: number; id?: number; parameters?: Record<string, string> } = {}): string {
    const id = options.id ?? ++ids;
    const parameters = options.parameters ?? {
      table_type: 'ICEBERG',
      metadata_location: `file:/m/${name}/0`,
      uuid: 'u',
    };
    return [
      `INSERT INTO "SDS" VALUES (${id}, false, 'file:/w/${name}', 0, false)`,
      `INSERT INTO "TBLS" ("TBL_ID", "CREATE_TIME", "DB_ID", "LAST_ACCESS_TIME", "RETENTION", "SD_ID", "TBL_NAME", "TBL_TYPE")
       VALUES (${id}, 0, ${options.db ?? SALES}, 0, 0, ${id}, '${name}', 'EXTERNAL_TABLE')`,
      ...Object.entries(parameters).map(
        ([key, value]) => `INSERT INTO "TABLE_PARAMS" VALUES (${id}, '${key}', '${value}')`,
      ),
    ].join(';');
  },
  commit(name: string, version: number | string, db = SALES): string {
    return `UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = 'file:/m/${name}/${version}'
            WHERE "PARAM_KEY" = 'metadata_location' AND "TBL_ID" = ${rows.id(name, db)}`;
  },
  rename(name: string, to: string, toDb = SALES, db = SALES): string {
    return `UPDATE "TBLS" SET "TBL_NAME" = '${to}', "DB_ID" = ${toDb} WHERE "TBL_ID" = ${rows.id(name, db)}`;
  },
  drop(name: string, db = SALES): string {
    const id = rows.id(name, db);
    return `DELETE FROM "TABLE_PARAMS" WHERE "TBL_ID" = ${id};
            UPDATE "TBLS" SET "SD_ID" = NULL WHERE "TBL_ID" = ${id};
            DELETE FROM "TBLS" WHERE "TBL_ID" = ${id}`;
  },
  id(name: string, db = SALES): string {
    return `(SELECT "TBL_ID" FROM "TBLS" WHERE "TBL_NAME" = '${name}' AND "DB_ID" = ${db})`;
  },
};

export type Metastore = AsyncDisposable & {
  readonly database: string;
  readonly admin: pg.Client;
  readonly config: (changes?: Record<string, unknown>) => HiveConfig;
  /** A connector on this metastore; closed with it. Events of its log are collected in `events`. */
  readonly connector: (changes?: Record<string, unknown>) => Promise<Connector>;
  readonly events: { readonly event: string; readonly fields: LogFields }[];
  /** Runs each argument as one transaction. */
  readonly transact: (...transactions: string[]) => Promise<void>;
  readonly slot: () => Promise<
    { active: boolean; active_pid: number | null; confirmed: string; wal_status: string } | undefined
  >;
};

/** A metastore in a database of its own on a shared server, with a slot name of its own, as slots are the server's. */
export async function openMetastore(postgres: Postgres): Promise<Metastore> {
  const name = `metastore_${process.pid}_${++metastores}`;
  const root = await postgres.client();
  await root.query(`CREATE DATABASE ${name}`);
  const admin = await postgres.client(name);
  await admin.query(DDL);
  const connectors: Connector[] = [];
  const events: { event: string; fields: LogFields }[] = [];
  const config = (changes: Record<string, unknown> = {}) =>
    hiveConfig.parse({ kind: 'hive', connection: postgres.url(name), slot: name, publication: name, ...changes });
  return {
    database: name,
    admin,
    config,
    events,
    connector: async (changes) => {
      const connector = await hive.open(config(changes), { clock: systemClock, log: collect(events) });
      connectors.push(connector);
      return connector;
    },
    transact: async (...transactions) => {
      for (const sql of transactions) await admin.query(`BEGIN; ${sql}; COMMIT`);
    },
    slot: async () => {
      const { rows: found } = await root.query<{
        active: boolean;
        active_pid: number | null;
        confirmed: string;
        wal_status: string;
      }>(
        `SELECT active, active_pid, confirmed_flush_lsn::text AS confirmed, wal_status FROM pg_replication_slots WHERE slot_name = $1`,
        [name],
      );
      return found[0];
    },
    async [Symbol.asyncDispose]() {
      for (const connector of connectors) await connector[Symbol.asyncDispose]();
      await Promise.allSettled([admin.end(), root.end()]);
    },
  };
}

function collect(events: { event: string; fields: LogFields }[]): Log {
  const add = (event: string, fields: LogFields = {}) => void events.push({ event, fields });
  const log: Log = { debug: add, info: add, warn: add, error: add, child: () => log };
  return log;
}

/** A watch under way: what it yields, one delivery at a time. */
export class Watching implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #iterator: AsyncIterator<Delivery>;

  constructor(connector: Connector, after?: Position) {
    this.#iterator = connector.watch(after, this.#stop.signal)[Symbol.asyncIterator]();
  }

  async next(): Promise<Delivery> {
    const result = await this.#iterator.next();
    if (result.done === true) throw new Error('The watch has ended.');
    return result.value;
  }

  /** The texts of the changes up to and with `last`, acknowledged as they come unless told otherwise. */
  async until(last: string, acknowledged: 'acknowledged' | 'unacknowledged' = 'acknowledged'): Promise<string[]> {
    const texts: string[] = [];
    while (!texts.includes(last)) {
      const delivery = await this.next();
      texts.push(...delivery.changes.map(textOf));
      if (acknowledged === 'acknowledged') await delivery.ack();
    }
    return texts;
  }

  /** Resolves with the error that ends the watch. */
  async failure(): Promise<unknown> {
    try {
      for (;;) await (await this.next()).ack();
    } catch (error) {
      return error;
    }
  }

  /** Aborts, and waits for the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#iterator.return?.();
  }
}

/** Prepares, lists and begins to watch, as the agent does. */
export async function started(connector: Connector, after?: Position): Promise<Watching> {
  const { signal } = new AbortController();
  await connector.prepare(signal);
  await listed(connector);
  return new Watching(connector, after);
}

/** Everything that comes. */
export async function all<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const collected: Value[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}

export async function listed(connector: Connector): Promise<TableState[]> {
  return (await all(connector.list(new AbortController().signal))).flat();
}

/** `sales.orders`, `-sales.orders`, `sales.orders>sales.archive`. */
export function textOf(change: Change): string {
  const name = showTable(change.table);
  switch (change.kind) {
    case 'upserted':
      return name;
    case 'dropped':
      return `-${name}`;
    case 'renamed':
      return `${name}>${showTable(change.to)}`;
  }
}

/** Polls until `condition` holds; vitest's time limit ends it. */
export async function eventually<Value>(condition: () => Promise<Value | undefined | false>): Promise<Value> {
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    await systemClock.sleep(20);
  }
}
