import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { Change, EpochMillis, TableIdentifier } from '../../src/core/types.ts';
import type { ConnectorDeps } from '../../src/connector/connector.ts';
import type { Announced } from './announced.ts';
import { watchesDatabase, type GlueConfig } from './config.ts';
import { decodeBody, type Announcement, type Ignored, type Origin } from './decode.ts';
import { HeardEvents } from './heard.ts';
import type { KnownTables } from './known.ts';
import type { Meter } from './meter.ts';
import type { Received } from './queue.ts';

/** A hint of one message at one table. */
export type Hint = { readonly change: Change; readonly at: EpochMillis | undefined };

/** What a message comes to. */
export type Taken =
  /** `ids` are those of its events, to be remembered when its hints are durable. */
  | { readonly kind: 'hints'; readonly hints: readonly Hint[]; readonly ids: readonly string[] }
  /** Nothing that concerns us: deleted at once. */
  | { readonly kind: 'nothing' }
  /** Not understood: left to the redrive policy. */
  | { readonly kind: 'unreadable'; readonly detail: string };

export type EventContext = {
  readonly config: GlueConfig;
  readonly deps: ConnectorDeps;
  readonly meter: Meter;
  readonly known: KnownTables;
  readonly announced: Announced;
  /** Asked for each message, as the account becomes known with the first list. */
  readonly origin: () => Origin;
};

/** Kinds of events that were told of, at most: a detail-type is another's text. */
const TOLD = 1_000;

/** Turns messages into hints at tables of ours. */
export class EventIntake {
  readonly #context: EventContext;
  readonly #heard = new HeardEvents();
  /** Of messages that are held: another copy adds nothing, and must not be deleted before them. */
  readonly #underWay = new Set<string>();
  readonly #told = new Set<string>();

  constructor(context: EventContext) {
    this.#context = context;
  }

  take({ body }: Received): Taken {
    const { config, meter } = this.#context;
    const bytes = Buffer.byteLength(body);
    if (bytes > config.maxMessageBytes)
      return {
        kind: 'unreadable',
        detail: `Its body has ${bytes} bytes, and max_message_size is ${config.maxMessageBytes}.`,
      };
    const decoded = decodeBody(body, this.#context.origin(), config.body);
    if (decoded.kind === 'unreadable') return decoded;
    for (const ignored of decoded.ignored) this.#ignore(ignored);
    const ids = decoded.announcements.flatMap(({ id }) => (id === undefined ? [] : [id]));
    const hints: Hint[] = [];
    let copies = 0;
    for (const announcement of decoded.announcements) {
      const { id } = announcement;
      const isCopy = id !== undefined && (this.#heard.has(id) || this.#underWay.has(id));
      if (isCopy) copies += 1;
      else hints.push(...this.#hintsOf(announcement));
    }
    meter.add('duplicates', copies);
    // A copy of an event whose hint isn't durable yet is kept until it is.
    const waits = copies > 0 && ids.some((id) => this.#underWay.has(id));
    for (const id of ids) if (!this.#heard.has(id)) this.#underWay.add(id);
    return hints.length === 0 && !waits ? this.#nothing(ids) : { kind: 'hints', hints, ids };
  }

  /** The hints of these events are durable. */
  recorded(ids: readonly string[]): void {
    for (const id of ids) {
      this.#underWay.delete(id);
      this.#heard.add(id);
    }
  }

  /** The messages of these events are given back: they will come again, and count. */
  forget(ids: readonly string[]): void {
    for (const id of ids) this.#underWay.delete(id);
  }

  #nothing(ids: readonly string[]): Taken {
    this.forget(ids);
    return { kind: 'nothing' };
  }

  #hintsOf(announcement: Announcement): Hint[] {
    const { config, known, announced, meter, deps } = this.#context;
    const { kind, at, whole } = announcement;
    // Glue folds names to lower case; CloudTrail has them as the caller wrote them.
    const database = announcement.database.toLowerCase();
    if (!watchesDatabase(config, database)) {
      meter.ignored('other-database');
      return [];
    }
    const named = announcement.tables.map((name) => (known.has(database, name) ? name : name.toLowerCase()));
    const names = new Set([...named, ...(whole ? known.names(database) : [])]);
    return [...names].map((name) => {
      const table: TableIdentifier = { namespace: [database], name };
      announced.told(table, { kind, at }, meter.awsTime(deps.clock.now()), known.fingerprint(database, name));
      if (kind === 'upserted') known.heard(database, name);
      return { change: { kind, table }, at };
    });
  }

  #ignore({ kind, detail }: Ignored): void {
    const { deps, meter } = this.#context;
    meter.ignored(kind);
    const key = `${kind} ${detail}`;
    if (this.#told.has(key) || this.#told.size >= TOLD) return;
    this.#told.add(key);
    switch (kind) {
      case 'foreign':
        return deps.log.warn('event-of-another-catalog', {
          detail: `Events of ${detail} are not about this catalog, and are thrown away.`,
          fix: "Let the EventBridge rule match this catalog's events alone; or name its account in source.accounts.",
        });
      case 'nameless':
        return deps.log.warn('event-without-names', {
          operation: detail,
          detail: 'CloudTrail cut the names of the tables; the next list finds what changed.',
        });
      case 'other-type':
        return deps.log.info('event-ignored', { type: detail });
      case 'failed-call':
      case 'other-operation':
        return deps.log.debug('event-ignored', { kind, detail });
    }
  }
}

/** One change per table, the one that happened last by the events' own times; in the order in which tables first came. */
export function changesOf(hints: Iterable<Hint>): Change[] {
  const last = new Map<TableKey, Hint>();
  for (const hint of hints) {
    const key = keyOf(hint.change.table);
    const before = last.get(key);
    if (before?.at === undefined || hint.at === undefined || hint.at >= before.at) last.set(key, hint);
  }
  return [...last.values()].map(({ change }) => change);
}
