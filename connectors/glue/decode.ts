import type { EpochMillis } from '../../src/core/types.ts';

/** What one event says: a hint, never a state, as events of Glue carry neither pointer nor version. */
export type Announcement = {
  readonly database: string;
  /** Names from the event's detail. */
  readonly tables: readonly string[];
  /** It is about every table of the database: the database was deleted, and no event names them. */
  readonly whole: boolean;
  /** What it says became of them. */
  readonly kind: 'upserted' | 'dropped';
  /** When it happened, on AWS's clock: in whole seconds. */
  readonly at: EpochMillis | undefined;
  /** The event's own id: the same in every copy of it. */
  readonly id: string | undefined;
};

/** Why a message or a part of it says nothing to us. All of them are acknowledged, and counted by this. */
export type Ignored =
  /** Not an event of the Data Catalog, e.g. of a crawler. */
  | { readonly kind: 'other-type'; readonly detail: string }
  /** About partitions, which Iceberg tables don't have; or about something else that isn't a table's pointer. */
  | { readonly kind: 'other-operation'; readonly detail: string }
  /** A call that CloudTrail recorded with an error: it changed nothing. */
  | { readonly kind: 'failed-call'; readonly detail: string }
  /** Of another account, region or catalog: the rule or the queue is shared. */
  | { readonly kind: 'foreign'; readonly detail: string }
  /** A call of which CloudTrail cut the names. */
  | { readonly kind: 'nameless'; readonly detail: string };

export type Decoded =
  | { readonly kind: 'event'; readonly announcements: readonly Announcement[]; readonly ignored: readonly Ignored[] }
  /** Nothing that can be understood: left to the redrive policy of the queue. */
  | { readonly kind: 'unreadable'; readonly detail: string };

/** Whose events these must be. Undefined: not known, so any. */
export type Origin = {
  readonly region: string | undefined;
  readonly accounts: readonly string[] | undefined;
  /** `catalog_id` of the configuration. */
  readonly catalogId: string | undefined;
};

type Json = Readonly<Record<string, unknown>>;
type Found = { readonly announcements: Announcement[]; readonly ignored: Ignored[] };

export const DATABASE_STATE_CHANGE = 'Glue Data Catalog Database State Change';
export const TABLE_STATE_CHANGE = 'Glue Data Catalog Table State Change';
export const CLOUDTRAIL_CALL = 'AWS API Call via CloudTrail';

/** An envelope within an envelope within …: SNS in a pipe in SQS is the deepest that anybody builds. */
const MAX_DEPTH = 3;

/**
 * What a message's body says. Understands an event of EventBridge as it is, wrapped by SNS, as records of SQS (Lambda, a
 * pipe), out of the dead-letter queue of a rule, and CloudTrail's record of a call; with `body: 'detail'` the detail alone.
 * Never throws.
 */
export function decodeBody(body: string, origin: Origin, format: 'event' | 'detail' = 'event'): Decoded {
  const found: Found = { announcements: [], ignored: [] };
  try {
    const value = parsed(body);
    if (format === 'detail') catalogChange(recordOf(value), undefined, found);
    else unwrap(value, origin, found, MAX_DEPTH);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { kind: 'unreadable', detail: error.message };
  }
  return { kind: 'event', ...found };
}

/** The same for an event that is an object already, as Lambda hands it over. */
export function decodeEvent(event: unknown, origin: Origin): Decoded {
  const found: Found = { announcements: [], ignored: [] };
  try {
    unwrap(event, origin, found, MAX_DEPTH);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { kind: 'unreadable', detail: error.message };
  }
  return { kind: 'event', ...found };
}

class Unreadable extends Error {}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Unreadable('The body is not JSON.');
  }
}

function recordOf(value: unknown): Json {
  if (typeof value !== 'object' || value === null) throw new Unreadable('The body is JSON, but not an event.');
  return value as Json;
}

function unwrap(value: unknown, origin: Origin, found: Found, depth: number): void {
  if (depth < 0) throw new Unreadable(`Envelopes are nested more than ${MAX_DEPTH} deep.`);
  // A pipe hands over an array of records even if it is one.
  const records = Array.isArray(value) ? (value as unknown[]) : recordOf(value)['Records'];
  if (Array.isArray(records)) {
    for (const record of records as unknown[]) {
      const body = recordOf(record)['body'];
      unwrap(typeof body === 'string' ? parsed(body) : record, origin, found, depth - 1);
    }
    return;
  }
  const event = recordOf(value);
  // Without raw delivery SNS puts the event, as text, into a notification of its own.
  if (event['Type'] === 'Notification' && typeof event['Message'] === 'string')
    return unwrap(parsed(event['Message']), origin, found, depth - 1);
  const type = event['detail-type'];
  if (typeof type !== 'string' || typeof event['detail'] !== 'object' || event['detail'] === null)
    throw new Unreadable('The body is JSON, but neither an event nor a wrapped one: it has no detail-type and detail.');
  envelope(type, event, origin, found);
}

function envelope(type: string, event: Json, origin: Origin, found: Found): void {
  const detail = event['detail'] as Json;
  if (type !== DATABASE_STATE_CHANGE && type !== TABLE_STATE_CHANGE && type !== CLOUDTRAIL_CALL)
    return void found.ignored.push({ kind: 'other-type', detail: type });
  if (type === CLOUDTRAIL_CALL && detail['eventSource'] !== 'glue.amazonaws.com')
    return void found.ignored.push({ kind: 'other-type', detail: `${type}: ${String(detail['eventSource'])}` });
  const foreign = foreignness(event, catalogOf(detail), origin);
  if (foreign !== undefined) return void found.ignored.push({ kind: 'foreign', detail: foreign });
  if (type === CLOUDTRAIL_CALL) return recordedCall(event, detail, found);
  catalogChange(detail, { at: timeOf(event['time']), id: textOf(event['id']) }, found);
}

/** Glue's own events name no catalog in any published sample; CloudTrail has what the caller passed. */
function catalogOf(detail: Json): string | undefined {
  const parameters = detail['requestParameters'];
  const passed = typeof parameters === 'object' && parameters !== null ? (parameters as Json)['catalogId'] : undefined;
  return textOf(detail['catalogId'] ?? passed);
}

function foreignness(event: Json, catalog: string | undefined, origin: Origin): string | undefined {
  const region = textOf(event['region']);
  if (origin.region !== undefined && region !== undefined && region !== origin.region) return `region ${region}`;
  const { accounts } = origin;
  if (catalog !== undefined) {
    if (origin.catalogId !== undefined) return catalog === origin.catalogId ? undefined : `catalog ${catalog}`;
    // Without catalog_id ours is the account's default catalog, whose id is the account.
    if (!/^[0-9]{12}$/.test(catalog)) return `catalog ${catalog}`;
    return accounts?.includes(catalog) === false ? `catalog ${catalog}` : undefined;
  }
  const account = textOf(event['account']);
  return account !== undefined && accounts?.includes(account) === false ? `account ${account}` : undefined;
}

type Stamp = { readonly at: EpochMillis | undefined; readonly id: string | undefined };

/**
 * The detail of Glue's own events. AWS's texts disagree on which detail-type has UpdateTable and which member has the
 * table's name, so both members are read under either. Names in the ARNs of `resources` are not to be trusted.
 */
function catalogChange(detail: Json, stamp: Stamp | undefined, found: Found): void {
  const operation = textOf(detail['typeOfChange']);
  const database = textOf(detail['databaseName']);
  if (operation === undefined || database === undefined)
    throw new Unreadable('The detail of the event has no databaseName and typeOfChange.');
  const tables = [...new Set([...textsOf(detail['tableName']), ...textsOf(detail['changedTables'])])];
  announce(operation, { database, tables }, stamp ?? { at: undefined, id: undefined }, found);
}

/** A call of the Glue API as CloudTrail records it: members in lower camel case, failed calls with an `errorCode`. */
function recordedCall(event: Json, detail: Json, found: Found): void {
  const operation = textOf(detail['eventName']) ?? 'unnamed call';
  const failed = textOf(detail['errorCode']);
  if (failed !== undefined) return void found.ignored.push({ kind: 'failed-call', detail: `${operation}: ${failed}` });
  if (meaningOf(operation) === undefined)
    return void found.ignored.push({ kind: 'other-operation', detail: operation });
  const parameters = (
    typeof detail['requestParameters'] === 'object' ? detail['requestParameters'] : null
  ) as Json | null;
  const stamp = { at: timeOf(detail['eventTime'] ?? event['time']), id: textOf(detail['eventID'] ?? event['id']) };
  const names = namesOf(operation, parameters ?? {});
  if (names === undefined) return void found.ignored.push({ kind: 'nameless', detail: operation });
  announce(operation, names, stamp, found);
}

function namesOf(operation: string, parameters: Json): { database: string; tables: string[] } | undefined {
  const input = (member: string) => {
    const value = parameters[member];
    return textOf(typeof value === 'object' && value !== null ? (value as Json)['name'] : undefined);
  };
  if (operation.endsWith('Database')) {
    const database = textOf(parameters['name']) ?? input('databaseInput');
    return database === undefined ? undefined : { database, tables: [] };
  }
  const database = textOf(parameters['databaseName']);
  const tables = [
    ...textsOf(input('tableInput')),
    ...textsOf(parameters['name']),
    ...textsOf(parameters['tablesToDelete']),
  ];
  return database === undefined || tables.length === 0 ? undefined : { database, tables: [...new Set(tables)] };
}

/** What an operation does to the tables that it names; undefined: nothing that concerns a mirror. */
function meaningOf(operation: string): 'upserted' | 'dropped' | 'nothing' | undefined {
  switch (operation) {
    case 'CreateTable':
    case 'UpdateTable':
      return 'upserted';
    case 'DeleteTable':
    case 'BatchDeleteTable':
    case 'DeleteDatabase':
      return 'dropped';
    // Polaris makes namespaces by itself, and an empty one is not mirrored.
    case 'CreateDatabase':
    case 'UpdateDatabase':
      return 'nothing';
    default:
      return undefined;
  }
}

function announce(
  operation: string,
  names: { database: string; tables: readonly string[] },
  stamp: Stamp,
  found: Found,
) {
  // An operation that we don't know and that names tables is taken as a hint at them: at the worst it costs a read.
  const meaning = meaningOf(operation) ?? (/Partition|ColumnStatistics/.test(operation) ? 'nothing' : 'upserted');
  const whole = operation === 'DeleteDatabase';
  if (meaning === 'nothing' || (names.tables.length === 0 && !whole))
    found.ignored.push({ kind: 'other-operation', detail: operation });
  else found.announcements.push({ ...names, whole, kind: meaning, ...stamp });
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

const textsOf = (value: unknown): string[] =>
  (Array.isArray(value) ? (value as unknown[]) : [value]).filter(
    (text): text is string => typeof text === 'string' && text !== '',
  );

function timeOf(value: unknown): EpochMillis | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
