import type { EpochMillis, TableIdentifier } from '../../src/core/types.ts';
import { watchesDatabase, type GlueConfig } from './config.ts';
import { decodeBody, decodeEvent, type Decoded, type Ignored, type Origin } from './decode.ts';

/** What one message says, by the source's names. */
export type Message = {
  /** Of the message, as the answer must name it. */
  readonly id: string;
  readonly tables: readonly ToldOf[];
  /** Databases that were deleted with all their tables, which no event names. */
  readonly databases: readonly string[];
  readonly ignored: readonly Ignored[];
  /** Why it can't be understood, if it can't. */
  readonly unreadable?: string | undefined;
};

/** That something became of a table, and when, on AWS's clock. */
export type ToldOf = {
  readonly table: TableIdentifier;
  readonly kind: 'upserted' | 'dropped';
  readonly at: EpochMillis | undefined;
};

export type Reading = { readonly glue: GlueConfig; readonly origin: Origin };

/** A record that an SQS event source mapping hands over, as far as it is looked at. */
export type QueueRecord = {
  readonly messageId: string;
  readonly body: string;
  readonly eventSourceARN?: string | undefined;
};

export function messageOf({ messageId, body }: QueueRecord, { glue, origin }: Reading): Message {
  const bytes = Buffer.byteLength(body);
  if (bytes > glue.maxMessageBytes) {
    const detail = `Its body has ${bytes} bytes, and max_message_size is ${glue.maxMessageBytes}.`;
    return { id: messageId, tables: [], databases: [], ignored: [], unreadable: detail };
  }
  return told(messageId, decodeBody(body, origin, glue.body), glue);
}

/** Of an event that EventBridge hands over by itself. */
export const messageOfEvent = (event: unknown, { glue, origin }: Reading): Message =>
  told('event', decodeEvent(event, origin), glue);

function told(id: string, decoded: Decoded, glue: GlueConfig): Message {
  if (decoded.kind === 'unreadable') return { id, tables: [], databases: [], ignored: [], unreadable: decoded.detail };
  const tables: ToldOf[] = [];
  const databases: string[] = [];
  for (const { database: written, tables: names, whole, kind, at } of decoded.announcements) {
    // Glue folds names to lower case; CloudTrail has them as the caller wrote them.
    const database = written.toLowerCase();
    if (!watchesDatabase(glue, database)) continue;
    if (whole) databases.push(database);
    for (const name of names) tables.push({ table: { namespace: [database], name: name.toLowerCase() }, kind, at });
  }
  return { id, tables, databases, ignored: decoded.ignored };
}
