import { keyOf, showTable, tableOf, type TableKey } from '../../src/core/table.ts';
import type { Notification, Outcome, Served, TableIdentifier } from '../../src/core/types.ts';
import type { Answer } from '../../src/polaris/answer.ts';
import { classify } from '../../src/polaris/classify.ts';

/** `timestamp`: the last admitted one, unknown for a table that was registered. `incarnation` is for checks alone. */
export type Held = {
  readonly location: string;
  readonly timestamp?: number | undefined;
  readonly incarnation?: string | undefined;
  readonly foreign?: true | undefined;
};

/** What may be wrong with a metadata file or where it lies. */
export type Flaw = 'missing' | 'garbage' | 'not metadata' | 'outside';

/** What may be wrong with one request or with the whole catalog. */
export type Trouble =
  | 'conflict'
  | 'create race'
  | 'parent race'
  | 'rate'
  | 'rate, with a date to come back'
  | 'overloaded'
  | 'gateway'
  | 'token'
  | 'privilege'
  | 'no catalog'
  | 'no realm';

const error = (status: number, type: string, message: string, headers: Answer['headers'] = {}): Answer => ({
  status,
  type,
  message,
  headers,
});

const NO_CONTENT: Answer = { status: 204, message: '', headers: {} };

/**
 * A Polaris in memory that answers as the recorded one did: CREATE and UPDATE are one upsert, a DROP is unchecked and
 * takes the table's timestamp with it, statuses mislead. What an answer means is the product's own reading.
 */
export class SimPolaris {
  readonly name: string;
  readonly tables = new Map<TableKey, Held>();
  /** Names that views or generic tables hold. */
  readonly taken = new Map<TableKey, 'View' | 'Generic table'>();
  readonly flaws = new Map<string, Flaw>();
  /** What every request meets now. */
  trouble: Trouble | undefined;
  /** Nothing gets there. */
  down = false;
  /** Requests of ours that it received. */
  received = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** One request arrives, and meets `trouble` if there is some. */
  notify(notification: Notification, trouble: Trouble | undefined): Outcome {
    this.received++;
    // What concerns the whole catalog comes first: one that isn't there has no races.
    const met = this.trouble ?? trouble;
    return classify(met === undefined ? this.#answer(notification) : troubled(met, notification));
  }

  serves(table: TableIdentifier, location: string): Served {
    const held = this.tables.get(keyOf(table));
    if (held === undefined) return 'nothing';
    return held.location === location ? 'this' : 'other';
  }

  listed(): TableIdentifier[] {
    return [...this.tables.keys()].map(tableOf);
  }

  #answer({ type, table, timestamp, metadataLocation = '', incarnation }: Notification): Answer {
    const of = keyOf(table);
    const held = this.tables.get(of);
    const flaw = this.flaws.get(metadataLocation);
    if (type === 'DROP') {
      this.tables.delete(of);
      return NO_CONTENT;
    }
    if (flaw === 'outside') return flawed(flaw, metadataLocation, table);
    if (type === 'VALIDATE') return NO_CONTENT;
    const taken = this.taken.get(of);
    if (taken !== undefined)
      return error(409, 'AlreadyExistsException', `${taken} already exists: ${showTable(table)}`);
    if (held?.timestamp !== undefined && timestamp <= held.timestamp) return stale(table);
    if (flaw !== undefined) return flawed(flaw, metadataLocation, table);
    this.tables.set(of, { location: metadataLocation, timestamp, incarnation });
    return NO_CONTENT;
  }
}

const stale = (table: TableIdentifier): Answer =>
  error(
    409,
    'AlreadyExistsException',
    `A notification with a newer timestamp has been processed for table ${showTable(table)}`,
  );

function flawed(flaw: Flaw, location: string, table: TableIdentifier): Answer {
  switch (flaw) {
    case 'missing':
      return error(404, 'NotFoundException', `Failed to open input stream for file: ${location}`);
    case 'garbage':
      return error(503, 'RuntimeIOException', `Failed to read file: ${location}`);
    case 'not metadata':
      return error(400, 'IllegalArgumentException', 'Cannot parse to a string value: format-version: null');
    case 'outside':
      return error(403, 'ForbiddenException', `Invalid locations '[${location}]' for identifier ${showTable(table)}`);
  }
}

function troubled(trouble: Trouble, { table }: Notification): Answer {
  const name = showTable(table);
  switch (trouble) {
    case 'conflict':
      return error(
        409,
        'CommitConflictException',
        `Failed to commit Table or View ${name} because it was concurrently modified`,
      );
    case 'create race':
      return error(409, 'AlreadyExistsException', `Table already exists: ${name}`);
    case 'parent race':
      return error(404, 'NotFoundException', `Parent path does not exist for ${name}`);
    case 'rate':
      return error(429, 'TooManyRequestsException', 'Rate exceeded');
    case 'rate, with a date to come back':
      return error(429, 'TooManyRequestsException', 'Rate exceeded', { 'retry-after': '120' });
    case 'overloaded':
      return error(503, 'ServiceUnavailableException', 'Not now');
    case 'gateway':
      return { status: 504, message: 'HTTP 504 without a body', headers: {} };
    case 'token':
      return { status: 401, message: 'HTTP 401 without a body', headers: {} };
    case 'privilege':
      return error(
        403,
        'ForbiddenException',
        "Principal 'sync' with activated PrincipalRoles '[]' and activated grants via '[]' is not authorized for op SEND_NOTIFICATIONS",
      );
    case 'no catalog':
      return error(404, 'NoSuchNamespaceException', "Namespace does not exist: ''");
    case 'no realm':
      return error(404, 'MissingOrInvalidRealm', 'Missing or invalid realm');
  }
}
