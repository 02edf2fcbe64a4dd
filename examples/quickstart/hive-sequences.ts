import type pg from 'pg';
import { sql } from './hive-rows.ts';

/** The sequences of the metastore's object store that an operation here draws from. */
export type SequenceName =
  | 'MDatabase'
  | 'MTable'
  | 'MStorageDescriptor'
  | 'MSerDeInfo'
  | 'MColumnDescriptor'
  | 'MNotificationLog';

/** The metastore takes ids in blocks, each by a transaction of its own before the one that uses them. */
const BLOCK = 10;

/** Ids for new rows, as the metastore allocates them: from SEQUENCE_TABLE, ten at a time. */
export class Sequences {
  readonly #pool: pg.Pool;
  readonly #blocks = new Map<SequenceName, { next: number; end: number }>();
  readonly #filling = new Map<SequenceName, Promise<void>>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async next(name: SequenceName): Promise<number> {
    for (;;) {
      const block = this.#blocks.get(name);
      if (block !== undefined && block.next < block.end) return block.next++;
      let filling = this.#filling.get(name);
      if (filling === undefined) {
        filling = this.#fill(name).finally(() => this.#filling.delete(name));
        this.#filling.set(name, filling);
      }
      await filling;
    }
  }

  async #fill(name: SequenceName): Promise<void> {
    const { rows } = await this.#pool.query<{ end: number }>(
      sql`INSERT INTO "SEQUENCE_TABLE" AS s VALUES (${`org.apache.hadoop.hive.metastore.model.${name}`}, ${BLOCK + 1})
        ON CONFLICT ("SEQUENCE_NAME") DO UPDATE SET "NEXT_VAL" = s."NEXT_VAL" + ${BLOCK}
        RETURNING "NEXT_VAL"::int AS end`,
    );
    const end = rows[0]?.end ?? 0;
    this.#blocks.set(name, { next: end - BLOCK, end });
  }
}
