import type { IncomingHttpHeaders } from 'node:http';
import type { Change, EpochMillis, TableIdentifier } from '../../src/core/types.ts';

/** What one delivery of a webhook announces. */
export type Announced = {
  readonly changes: readonly AnnouncedChange[];
  /** A table has a new name that isn't told: the names have to be looked at. */
  readonly renamed: boolean;
  /** What says nothing to us, by why; e.g. `type updateView`. */
  readonly ignored: readonly string[];
};

/** `at`: when the event says that it happened, on its sender's clock. */
export type AnnouncedChange = { readonly change: Change; readonly at: EpochMillis | undefined };

/** A body that can't be understood; `message` says why, and quotes nothing of it. */
export class UnreadableEvent extends Error {
  override readonly name = 'UnreadableEvent';
}

type Json = Readonly<Record<string, unknown>>;

/** A CloudEvent in whichever mode it came: attributes by their names, and the data. */
type Event = { readonly attributes: Json; readonly data: unknown };

/** Of the namespace levels in an address, unless a catalog names another one. */
const LEVEL_SEPARATOR = '\u001F';

type Meaning =
  | { readonly kind: 'change'; readonly change: Change }
  | { readonly kind: 'renamed' }
  | { readonly kind: 'ignored'; readonly why: string };

/**
 * Reads the body of a webhook: CloudEvents 1.0 in the structured, batched or binary mode of its HTTP binding, or without an
 * envelope; one event, or a list of them. Which events of which catalog mean what is told below. `warehouse` is the catalog
 * that is followed: events which name another one are ignored. Throws `UnreadableEvent`.
 */
export function readAnnounced(
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  { warehouse }: { readonly warehouse: string | undefined },
): Announced {
  const changes: AnnouncedChange[] = [];
  const ignored: string[] = [];
  let renamed = false;
  for (const event of eventsOf(headers, body)) {
    const meaning = meaningOf(event, warehouse);
    if (meaning.kind === 'change') changes.push({ change: meaning.change, at: timeOf(event) });
    else if (meaning.kind === 'renamed') renamed = true;
    else ignored.push(meaning.why);
  }
  return { changes, renamed, ignored };
}

/** When a signed body says that it was made: a CloudEvent's `time`, or the `timestamp` of Polaris's events without an envelope. */
export function bodyTime(body: Uint8Array): EpochMillis | undefined {
  const value = parse(body);
  return isObject(value) ? timeOf({ attributes: value, data: value['data'] }) : undefined;
}

function eventsOf(headers: IncomingHttpHeaders, body: Uint8Array): readonly Event[] {
  // The data of a binary event may be missing, as Lakekeeper's is `null`.
  if (headers['ce-specversion'] !== undefined) return [binary(headers, body.length === 0 ? undefined : parse(body))];
  const value = parse(body);
  if (!Array.isArray(value)) return [structured(value)];
  return value.map(structured);
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown;
  } catch {
    throw new UnreadableEvent('The body is not JSON.');
  }
}

function structured(value: unknown): Event {
  if (!isObject(value)) throw new UnreadableEvent('An event is an object.');
  return { attributes: value, data: value['data'] };
}

/** Attributes are headers with the prefix `ce-`, whose values are percent-encoded (HTTP binding of CloudEvents, 3.1.3.2). */
function binary(headers: IncomingHttpHeaders, data: unknown): Event {
  const attributes = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith('ce-') && typeof value === 'string' ? [[name.slice(3), unescaped(value)] as const] : [],
  );
  return { attributes: Object.fromEntries(attributes), data };
}

function unescaped(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function timeOf({ attributes, data }: Event): EpochMillis | undefined {
  const time = attributes['time'] ?? attributes['timestamp'] ?? (isObject(data) ? data['timestamp'] : undefined);
  if (typeof time === 'number') return Number.isSafeInteger(time) && time >= 0 ? time : undefined;
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

function meaningOf(event: Event, warehouse: string | undefined): Meaning {
  const { attributes } = event;
  const type = text(attributes['type']) ?? text(attributes['event_type']);
  const data = isObject(event.data) ? event.data : attributes;
  const polaris = /^(?:org\.apache\.polaris\.)?((?:before|after)_[a-z_]+)$/i.exec(type ?? '')?.[1];
  if (polaris !== undefined) return polarisMeaning(polaris.toLowerCase(), data, warehouse);
  const own = /^polaris-push\.table\.(created|updated|dropped)$/.exec(type ?? '')?.[1];
  if (own !== undefined && isOfOther(data['catalog'], warehouse)) return ignored('another catalog');
  if (own !== undefined) return changed(plainTable(data), own === 'dropped');
  if (type !== undefined && text(attributes['tabular-type']) !== undefined) return lakekeeperMeaning(type, attributes);
  if (data['namespace'] === undefined || data['table'] === undefined) {
    if (type === undefined) throw new UnreadableEvent('An event without a type names a namespace and a table.');
    return ignored(`type ${type.slice(0, 80)}`);
  }
  return changed(plainTable(data), false);
}

/**
 * Lakekeeper 0.5 and later (crates/lakekeeper/src/service/events/publisher.rs): the table is in extension attributes; the data
 * is `null`, or the commit's request. It publishes to Kafka and NATS, so these come through a bridge.
 */
function lakekeeperMeaning(type: string, attributes: Json): Meaning {
  if (attributes['tabular-type'] !== 'table') return ignored('not a table');
  // It names only the old name. The listing shows both at once, so that the table isn't gone in between.
  if (type === 'renameTable') return { kind: 'renamed' };
  if (!LAKEKEEPER_TYPES.has(type)) return ignored(`type ${type.slice(0, 80)}`);
  const { namespace, name } = attributes;
  if (typeof namespace !== 'string') throw new UnreadableEvent('An event of Lakekeeper has no namespace.');
  // The levels as the REST protocol joins them; a bridge may have left the separator encoded.
  const levels = namespace.replaceAll(/%1F/gi, LEVEL_SEPARATOR).split(LEVEL_SEPARATOR);
  return changed(tableOf(levels, name), type === 'dropTable');
}

const LAKEKEEPER_TYPES: ReadonlySet<string> = new Set([
  'createTable',
  'registerTable',
  'updateTable',
  'dropTable',
  'undropTabulars',
]);

/**
 * Polaris (CloudEventsEventJsonMapper, and WebhookEventListener of earlier builds, which sends no envelope and writes the
 * table as a text). What reads a table announces itself as well: to follow that would be to answer our own polls by reads.
 */
function polarisMeaning(type: string, data: Json, warehouse: string | undefined): Meaning {
  if (!POLARIS_TYPES.has(type)) return ignored(`type ${type.slice(0, 80)}`);
  if (isOfOther(data['catalog_name'], warehouse)) return ignored('another catalog');
  if (type === 'after_rename_table' && data['destination'] !== undefined)
    return {
      kind: 'change',
      change: { kind: 'renamed', table: fromLevels(data['source']), to: fromLevels(data['destination']) },
    };
  const { table_identifier: identifier, namespace, table_name: name } = data;
  if (identifier !== undefined) return changed(fromLevels(identifier), type === 'after_drop_table');
  if (namespace !== undefined && name !== undefined)
    return changed(tableOf(levelsOf(namespace), name), type === 'after_drop_table');
  return ignored('no table named');
}

const POLARIS_TYPES: ReadonlySet<string> = new Set(
  ['create', 'register', 'update', 'commit', 'rename', 'drop'].map((what) => `after_${what}_table`),
);

const ignored = (why: string): Meaning => ({ kind: 'ignored', why });

const changed = (table: TableIdentifier, dropped: boolean): Meaning => ({
  kind: 'change',
  change: { kind: dropped ? 'dropped' : 'upserted', table },
});

const isOfOther = (catalog: unknown, warehouse: string | undefined): boolean =>
  typeof catalog === 'string' && warehouse !== undefined && catalog !== warehouse;

const plainTable = (data: Json): TableIdentifier => tableOf(levelsOf(data['namespace']), data['table']);

/** `["a", "b"]`, or `"a.b"` for names without dots. */
const levelsOf = (namespace: unknown): unknown => (typeof namespace === 'string' ? namespace.split('.') : namespace);

/** `["a", "b", "table"]` or `"a.b.table"`. */
function fromLevels(identifier: unknown): TableIdentifier {
  const levels = levelsOf(identifier);
  if (!Array.isArray(levels)) throw new UnreadableEvent('A table is named by a list of texts, or by a text with dots.');
  return tableOf(levels.slice(0, -1), levels.at(-1));
}

/** Longer than any catalog allows. */
const LONGEST_NAME = 4096;
const MOST_LEVELS = 64;

function tableOf(namespace: unknown, name: unknown): TableIdentifier {
  if (!Array.isArray(namespace) || namespace.length === 0 || namespace.length > MOST_LEVELS || !namespace.every(isName))
    throw new UnreadableEvent(
      `A namespace is a list of 1 to ${MOST_LEVELS} texts, or a text with dots between its levels.`,
    );
  if (!isName(name)) throw new UnreadableEvent('A table has a name, which is a text.');
  return { namespace, name };
}

const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME;

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
