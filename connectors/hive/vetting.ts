import { PushError } from '../../src/errors/errors.ts';
import type { Queryable } from './postgres.ts';
import { identityOf, readIncarnation } from './server.ts';

/**
 * Lets only connections be read from that lead to the database that the stream was prepared on. When a name begins to lead
 * elsewhere, new connections follow it at once, while the stream may live on for long: what the other database lacks
 * would be absent by the word of a source that nobody has compared with anything yet.
 */
export class Vetting {
  readonly #expected: () => string | undefined;
  /** A connection leads to one database all its life. */
  readonly #found = new WeakMap<Queryable, string>();

  /** `expected` is the identity of the prepared database; undefined: any will do. */
  constructor(expected: () => string | undefined) {
    this.#expected = expected;
  }

  /** Throws `HIVE_HISTORY_LOST` for a connection to another database: a new start makes sure of it, and lists it. */
  async vet(client: Queryable): Promise<void> {
    if (this.#expected() === undefined) return;
    const found = this.#found.get(client) ?? identityOf(await readIncarnation(client));
    if (found === undefined) return;
    this.#found.set(client, found);
    if (found === this.#expected()) return;
    throw new PushError('HIVE_HISTORY_LOST', 'A new connection leads to another database than the stream.');
  }
}
