import { PushError } from '../../src/errors/errors.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { Log } from '../../src/runtime/log.ts';
import type { HiveConfig } from './config.ts';
import { codeOf } from './failure.ts';
import type { Lsn } from './lsn.ts';
import { readRelations, relationProblems } from './metastore.ts';
import type { Queryable } from './postgres.ts';
import { refuse } from './problem.ts';
import { createPublicationSql, publicationProblems, readPublication } from './publication.ts';
import { readIncarnation, readServer, serverProblems, type Incarnation } from './server.ts';
import {
  createSlot,
  dropSlot,
  invalidatedSlotProblem,
  missingSlotProblem,
  readFreeSlot,
  slotProblems,
} from './slot.ts';

/** What held when the stream was last made sure of. A later look at the server that differs means lost history. */
export type Prepared = { readonly incarnation: Incarnation; readonly confirmedFlush: Lsn };

export type PrepareOptions = {
  readonly database: string;
  /** The server process of our own running stream, if there is one. */
  readonly ownPid: number | undefined;
  /** Decoding failed for want of the publication: the slot is older than it and never gets past that point. */
  readonly slotStuck: boolean;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/**
 * Makes sure that publication and slot exist and fit. Whatever is missing is created where `create` allows it; a slot that
 * PostgreSQL has invalidated, too, as the list that follows finds what its changes were. Throws `PushError` with the exact
 * SQL otherwise.
 */
export async function prepareStream(client: Queryable, config: HiveConfig, options: PrepareOptions): Promise<Prepared> {
  const server = await readServer(client);
  refuse(serverProblems(server));
  refuse(relationProblems(await readRelations(client, config.schema), config.schema, server.user));
  const published = await preparePublication(client, config, server.version, options.log);
  const confirmedFlush = await prepareSlot(client, config, {
    ...options,
    slotStuck: options.slotStuck || published === 'created',
  });
  return { incarnation: await readIncarnation(client), confirmedFlush };
}

/** Before the slot: decoding looks for the publication as of the time of each change, and an older slot gets stuck. */
async function preparePublication(
  client: Queryable,
  config: HiveConfig,
  version: number,
  log: Log,
): Promise<'created' | 'found'> {
  const naming = { publication: config.publication, schema: config.schema, version };
  const found = await readPublication(client, config.publication, version);
  const problems = await publicationProblems(client, found, naming);
  if (found === undefined && config.create) {
    const sql = createPublicationSql(naming, version);
    try {
      await client.query(sql);
    } catch (error) {
      if (codeOf(error) === '42710') return 'found'; // another agent was faster
      if (codeOf(error) !== '42501') throw error;
      throw new PushError(
        'HIVE_PUBLICATION_MISSING',
        `There is no publication ${config.publication}, and this role may not create it.`,
        { fix: `As the owner of the metastore's tables: ${sql}`, cause: error },
      );
    }
    log.info('publication-created', { publication: config.publication });
    return 'created';
  }
  refuse(problems);
  for (const { detail, fix } of problems) log.warn('publication-wide', { detail, fix });
  return 'found';
}

async function prepareSlot(client: Queryable, config: HiveConfig, options: PrepareOptions): Promise<Lsn> {
  const { slot: name } = config;
  const slot = await readFreeSlot(client, name, options);
  if (slot === undefined) {
    if (!config.create) refuse([missingSlotProblem(name)]);
    return makeSlot(client, name, options.log, 'slot-created');
  }
  refuse(slotProblems(slot, name, options.database));
  const reason =
    slot.invalidated ??
    (slot.confirmedFlush === undefined ? 'it has no position' : undefined) ??
    (options.slotStuck ? 'it is older than the publication' : undefined);
  if (reason === undefined && slot.confirmedFlush !== undefined) return slot.confirmedFlush;
  if (!config.create) refuse([invalidatedSlotProblem(name, reason ?? '')]);
  options.log.warn('slot-invalidated', { slot: name, reason });
  await dropSlot(client, name);
  return makeSlot(client, name, options.log, 'slot-recreated');
}

async function makeSlot(client: Queryable, name: string, log: Log, event: string): Promise<Lsn> {
  const lsn = await createSlot(client, name);
  log.info(event, { slot: name });
  return lsn;
}
