import type pg from 'pg';
import type { Emulator } from '../../src/polaris/emulator/emulator.ts';
import type { AnsweredRequest, EmulatedRequest } from '../../src/polaris/emulator/options.ts';

/** A notification as Polaris got it; VALIDATE changes nothing and isn't among them. */
export type Witnessed = {
  readonly table: string;
  readonly type: 'CREATE' | 'UPDATE' | 'DROP';
  readonly timestamp: bigint;
  /** Undefined: the connection was gone before the answer. */
  readonly status: number | undefined;
};

/**
 * What a commit may take from its timestamp to being visible, on a busy machine. A DROP that was decided within so long
 * after the table came (back) to life could not know of it.
 */
const COMMIT_GRACE_MS = 250;
/** Senders that climb over each other's timestamps leap ahead of the source's clock, by a second at first. */
const LEAP_GRACE_MS = 5_000;

export type WitnessOptions = { readonly source: pg.Pool; readonly senders?: 'one' | 'several' | undefined };

/** Sees every notification that reaches Polaris, from all of the agent's lives, and writes down what must never happen. */
export class Witness implements Disposable {
  readonly notifications: Witnessed[] = [];
  /** What went against the rules, in words. */
  readonly violations: string[] = [];
  readonly #latest = new Map<string, bigint>();
  readonly #source: pg.Pool;
  readonly #several: boolean;
  readonly #stop: (() => void)[];

  /** `source` is the metastore's database. Timestamps of several senders needn't grow together. */
  constructor(emulator: Emulator, { source, senders }: WitnessOptions) {
    this.#source = source;
    this.#several = senders === 'several';
    this.#stop = [
      emulator.intercept(async (request) => {
        await this.#arrived(request);
        return 'pass' as const;
      }),
      emulator.onRequest((request) => this.#answered(request)),
    ];
  }

  /** How many of each type were admitted. */
  get admitted(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { type, status } of this.notifications) {
      if (status === 204) counts.set(type, (counts.get(type) ?? 0) + 1);
    }
    return counts;
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stop) stop();
  }

  async #arrived(request: EmulatedRequest): Promise<void> {
    const notification = notificationOf(request, undefined);
    if (notification === undefined) return;
    const { table, type, timestamp } = notification;
    const latest = this.#latest.get(table);
    if (!this.#several && latest !== undefined && timestamp <= latest) {
      this.violations.push(`${type} ${table} has timestamp ${timestamp} after ${latest}.`);
    } else this.#latest.set(table, timestamp);
    if (type === 'DROP') await this.#mustBeGone(table, timestamp);
  }

  /** The source is asked while the DROP waits at the door. */
  async #mustBeGone(table: string, timestamp: bigint): Promise<void> {
    const { rows } = await this.#source.query<{ since: string }>(
      `SELECT (extract(epoch FROM pg_xact_commit_timestamp(t.xmin)) * 1000)::bigint AS since
       FROM "TBLS" t JOIN "DBS" d USING ("DB_ID") JOIN "TABLE_PARAMS" p USING ("TBL_ID")
       WHERE d."CTLG_NAME" = 'hive' AND d."NAME" || '.' || t."TBL_NAME" = $1
         AND p."PARAM_KEY" = 'table_type' AND p."PARAM_VALUE" = 'ICEBERG'`,
      [table],
    );
    const since = rows[0] === undefined ? undefined : BigInt(rows[0].since);
    if (since !== undefined && since + BigInt(this.#several ? LEAP_GRACE_MS : COMMIT_GRACE_MS) < timestamp) {
      this.violations.push(`DROP ${table} of ${timestamp}: the table has been alive since ${since}.`);
    }
  }

  #answered(request: AnsweredRequest): void {
    const notification = notificationOf(request, request.status);
    if (notification !== undefined) this.notifications.push(notification);
  }
}

function notificationOf(request: EmulatedRequest, status: number | undefined): Witnessed | undefined {
  const { kind, type, table, timestamp } = request;
  if (kind !== 'notification' || table === undefined || timestamp === undefined) return undefined;
  if (type !== 'CREATE' && type !== 'UPDATE' && type !== 'DROP') return undefined;
  return { table: [...table.namespace, table.name].join('.'), type, timestamp, status };
}
