import { backoffMs } from './backoff.ts';
import { decide, type Decision } from './decide.ts';
import { fold } from './fold.ts';
import type { Policy } from './policy.ts';
import { REFUSALS } from './refusal.ts';
import type {
  Entry,
  EntryRecord,
  EpochMillis,
  Notification,
  NotificationType,
  Outcome,
  ParkCode,
  Served,
  TableIdentifier,
  TableState,
} from './types.ts';

/**
 * The life of one entry while there is work for it. A lane never overtakes itself: at most one read, notification or
 * probe is under way.
 */
export type Lane = {
  readonly entry: Entry;
  readonly phase: 'idle' | 'due' | 'reading' | 'asking' | 'validating' | 'sending' | 'probing' | 'waiting' | 'awaiting';
  /** How many hints the read under way covers. */
  readonly readAt: number;
  /** What is being delivered. */
  readonly sending?: Sending | undefined;
  /** Failures in a row. */
  readonly attempts: number;
  /** Timestamps in a row that Polaris refused as old. */
  readonly leaps: number;
  /** How far the next timestamp leaps for that; once only, as a retry is above the leap anyway. */
  readonly leapMs: number;
  /** The table's new name has settled, so its DROP needn't wait any more. */
  readonly released: boolean;
  /** The table was absent before the last wait, too: its DROP has waited long enough. */
  readonly graced: boolean;
};

type Sending = Omit<Extract<Decision, { kind: 'send' }>, 'kind'>;

/** A moment as the driver knows it: its clock, and a random number in [0, 1) for jitter. */
export type Moment = { readonly nowMs: EpochMillis; readonly random: number };

export type LaneEvent =
  /** Hints came. `after`: the table was renamed to that; `doubt`: Polaris serves something else than the ledger says. */
  | {
      readonly kind: 'changed';
      readonly count: number;
      readonly after?: TableIdentifier | undefined;
      readonly doubt?: true | undefined;
    }
  /** The time that a `wait` asked for has come. */
  | { readonly kind: 'due' }
  /** The read begins now: hints up to here are covered by it. */
  | { readonly kind: 'reading' }
  | ({ readonly kind: 'resolved'; readonly state: TableState; readonly mayDrop: boolean } & Moment)
  /** The source couldn't say. */
  | ({ readonly kind: 'unresolved' } & Moment)
  | ({ readonly kind: 'answered'; readonly outcome: Outcome } & Moment)
  | ({ readonly kind: 'probed'; readonly served: Served | 'unknown' } & Moment)
  /** The notification was not sent after all, as its table was hinted at while it waited to be. */
  | { readonly kind: 'withdrawn' }
  /** The new name that an `await` named has settled, or the time is up. */
  | { readonly kind: 'released' };

/**
 * What the driver must do, in this order. A `notify` starts only when every record of the lane before it is durable:
 * a record alone doesn't hold up what follows it, since folding the ledger after a crash repeats a read but never forgets a send.
 */
export type Effect =
  | { readonly kind: 'record'; readonly record: EntryRecord }
  | { readonly kind: 'resolve'; readonly table: TableIdentifier }
  | { readonly kind: 'notify'; readonly notification: Notification }
  | { readonly kind: 'probe'; readonly table: TableIdentifier; readonly metadataLocation: string }
  /** A `due` after `delayMs`, by a clock that never steps. */
  | { readonly kind: 'wait'; readonly delayMs: number }
  | { readonly kind: 'await'; readonly table: TableIdentifier };

export type Step = { readonly lane: Lane; readonly effects: readonly Effect[] };

/** A lane as a start finds it in the ledger. `due` wakes it when work was left over. */
export const restore = (entry: Entry): Lane => ({
  entry,
  phase: entry.seen > entry.settled || entry.open !== undefined ? 'waiting' : 'idle',
  readAt: entry.settled,
  attempts: 0,
  leaps: 0,
  leapMs: 0,
  released: false,
  graced: false,
});

/** Whether hints came that the last read doesn't cover. */
export const isOvertaken = (lane: Lane): boolean => lane.entry.seen > lane.readAt;

/** The next state of a lane and what must be done for it. */
export function step(lane: Lane, event: LaneEvent, policy: Policy): Step {
  switch (event.kind) {
    case 'changed':
      return changed(lane, event);
    case 'due':
      return lane.phase === 'waiting' ? read(lane) : stay(lane);
    case 'reading':
      return lane.phase === 'due' ? stay({ ...lane, phase: 'reading', readAt: lane.entry.seen }) : stay(lane);
    case 'resolved':
      return lane.phase === 'reading' ? resolved(lane, event, policy) : stay(lane);
    case 'unresolved':
      return lane.phase === 'reading' ? retry(lane, event, policy) : stay(lane);
    case 'answered':
      if (lane.phase === 'validating') return validated(lane, event, policy);
      return lane.phase === 'sending' ? answered(lane, event, policy) : stay(lane);
    case 'probed':
      if (lane.phase === 'asking') return asked(lane, event, policy);
      return lane.phase === 'probing' ? probed(lane, event, policy) : stay(lane);
    case 'withdrawn':
      return lane.phase === 'sending' ? withdrawn(lane) : stay(lane);
    case 'released':
      return lane.phase === 'awaiting' ? read({ ...lane, released: true }) : stay(lane);
  }
}

function changed(lane: Lane, { count, after, doubt }: LaneEvent & { kind: 'changed' }): Step {
  const seen = recorded(lane, { kind: 'seen', count, after, doubt });
  // A later rename waits for its own new name, and a table that came back waits for nothing.
  const next = { ...seen, lane: { ...seen.lane, released: false } };
  return lane.phase === 'idle' || lane.phase === 'awaiting' ? then(next, read(next.lane)) : next;
}

function resolved(lane: Lane, event: LaneEvent & { kind: 'resolved' }, policy: Policy): Step {
  const { entry, released, leapMs } = lane;
  // A table parked for its timestamp gets one try at the source's clock, not another climb.
  const leaps = entry.parked?.code === 'TIMESTAMP_AHEAD' ? policy.leapsMs.length : lane.leaps;
  const decision = decide(entry, event.state, { policy, mayDrop: event.mayDrop, released, leapMs });
  const at = { ...lane, leaps };
  switch (decision.kind) {
    case 'skip':
      return settle(at, decision.reason);
    case 'await':
      return { lane: { ...at, phase: 'awaiting' }, effects: [{ kind: 'await', table: decision.table }] };
    case 'hold':
      return park(at, { code: 'DROP_HELD', detail: decision.detail, type: 'DROP', since: event.nowMs });
    case 'send':
      // A DROP needs a read after the last hint, which may be of the table's return.
      if (decision.notification.type === 'DROP' && isOvertaken(lane)) return read(at);
      if (isEarly(at, decision, policy)) return graceOf(at, policy);
      return mayAlreadyBeServed(entry, decision, policy) ? ask(at, decision) : validateOrSend(at, decision);
  }
}

/** A DROP that may yet turn out to be half of a re-creation. */
const isEarly = ({ graced }: Lane, { notification, more }: Sending, policy: Policy): boolean =>
  notification.type === 'DROP' && !more && !graced && policy.dropGraceMs > 0;

const graceOf = (lane: Lane, { dropGraceMs }: Policy): Step => ({
  lane: { ...lane, phase: 'waiting', graced: true },
  effects: [{ kind: 'wait', delayMs: dropGraceMs }],
});

/** A table that this ledger never told Polaris of may have come there by an earlier ledger, or by hand. */
const mayAlreadyBeServed = (entry: Entry, { notification }: Sending, policy: Policy): boolean =>
  policy.adopt && notification.type === 'CREATE' && entry.lastTimestamp === undefined;

function ask(lane: Lane, { notification, precheck, more }: Sending): Step {
  const { table, metadataLocation = '' } = notification;
  return {
    lane: { ...lane, phase: 'asking', sending: { notification, precheck, more } },
    effects: [{ kind: 'probe', table, metadataLocation }],
  };
}

function asked(lane: Lane, event: LaneEvent & { kind: 'probed' }, policy: Policy): Step {
  const { sending } = lane;
  if (sending === undefined) return stay(lane);
  if (event.served === 'unknown') return retry(lane, event, policy);
  if (event.served !== 'this') return validateOrSend(lane, sending);
  // Nothing was sent, but from here on the timestamp counts as used, and Polaris is known to hold the table.
  const intent = recorded(lane, { kind: 'intent', notification: sending.notification });
  const answer = then(intent, recorded(intent.lane, { kind: 'outcome', outcome: 'served' }));
  return then(answer, delivered(answer.lane));
}

/** A VALIDATE changes nothing, so nothing is recorded of it; a notification's intent is recorded before it is sent. */
function validateOrSend(lane: Lane, { notification, precheck, more }: Sending): Step {
  const sending = { notification, precheck, more };
  if (!precheck) return send(lane, sending);
  return {
    lane: { ...lane, phase: 'validating', sending },
    effects: [{ kind: 'notify', notification: { ...notification, type: 'VALIDATE' } }],
  };
}

function send(lane: Lane, sending: Sending): Step {
  const { notification } = sending;
  const intent = recorded({ ...lane, phase: 'sending', sending, leapMs: 0 }, { kind: 'intent', notification });
  return then(intent, { lane: intent.lane, effects: [{ kind: 'notify', notification }] });
}

function withdrawn(lane: Lane): Step {
  const answer = recorded(lane, { kind: 'outcome', outcome: 'withdrawn' });
  return then(answer, read(answer.lane));
}

function validated(lane: Lane, event: LaneEvent & { kind: 'answered' }, policy: Policy): Step {
  const { sending } = lane;
  if (sending === undefined) return stay(lane);
  if (event.outcome.kind === 'admitted') return send(lane, sending);
  return failed(lane, event, policy, 'VALIDATE');
}

function answered(lane: Lane, event: LaneEvent & { kind: 'answered' }, policy: Policy): Step {
  const { outcome } = event;
  const { sending } = lane;
  if (sending === undefined) return stay(lane);
  const { notification } = sending;
  if (outcome.kind === 'stale' && notification.metadataLocation !== undefined) {
    // A 409 is a question: Polaris may already serve what we sent. The intent stays open until that is known.
    const { table, metadataLocation } = notification;
    return { lane: { ...lane, phase: 'probing' }, effects: [{ kind: 'probe', table, metadataLocation }] };
  }
  const answer = recorded(lane, { kind: 'outcome', outcome: outcome.kind });
  if (outcome.kind === 'admitted') return then(answer, delivered(answer.lane));
  return then(answer, failed(answer.lane, event, policy, notification.type));
}

/** Polaris holds what was sent. */
function delivered(lane: Lane): Step {
  return lane.sending?.more === true ? read({ ...lane, attempts: 0, leaps: 0, leapMs: 0 }) : settle(lane);
}

function probed(lane: Lane, event: LaneEvent & { kind: 'probed' }, policy: Policy): Step {
  if (event.served === 'this') {
    const answer = recorded(lane, { kind: 'outcome', outcome: 'served' });
    return then(answer, delivered(answer.lane));
  }
  const answer = recorded(lane, { kind: 'outcome', outcome: 'stale' });
  if (event.served === 'unknown') return then(answer, retry(answer.lane, event, policy));
  const leaps = lane.leaps + 1;
  const leapMs = policy.leapsMs[leaps - 1];
  if (leapMs !== undefined) return then(answer, read({ ...answer.lane, leaps, leapMs }));
  const { timestamp = 0, type = 'UPDATE' } = lane.sending?.notification ?? {};
  const detail = `Polaris admitted a timestamp above ${timestamp} from another sender.`;
  return then(answer, park(answer.lane, { code: 'TIMESTAMP_AHEAD', detail, type, since: event.nowMs }));
}

/** Whatever Polaris answered, it wasn't admitted: try again, or park what only the outside can mend. */
function failed(lane: Lane, event: LaneEvent & { kind: 'answered' }, policy: Policy, type: NotificationType): Step {
  const { outcome, nowMs } = event;
  const parked = (code: ParkCode, detail: string) => park(lane, { code, detail, type, since: nowMs });
  switch (outcome.kind) {
    case 'admitted':
    case 'stale':
    case 'lost-race':
    case 'unauthorized':
    case 'unknown':
      return retry(lane, event, policy);
    case 'unavailable':
      return retry(lane, event, policy, outcome.retryAfterMs);
    case 'name-taken':
      return parked('NAME_TAKEN', outcome.message);
    case 'refused': {
      const refusal = REFUSALS[outcome.reason];
      if (refusal.scope === 'target' || lane.attempts < refusal.retries) return retry(lane, event, policy);
      return parked(refusal.park, outcome.message);
    }
  }
}

const stay = (lane: Lane): Step => ({ lane, effects: [] });

const then = (first: Step, second: Step): Step => ({
  lane: second.lane,
  effects: [...first.effects, ...second.effects],
});

type WithoutEntry<R> = R extends EntryRecord ? Omit<R, 'target' | 'table'> : never;

function recorded(lane: Lane, what: WithoutEntry<EntryRecord>): Step {
  const { target, table } = lane.entry;
  const record = { target, table, ...what } as EntryRecord;
  return { lane: { ...lane, entry: fold(lane.entry, record) }, effects: [{ kind: 'record', record }] };
}

const read = (lane: Lane): Step => ({
  lane: { ...lane, phase: 'due', sending: undefined },
  effects: [{ kind: 'resolve', table: lane.entry.table }],
});

/** However long a server asks to be left alone: it may be wrong, and somebody waits. */
const MAX_RETRY_AFTER_MS = 300_000;

/** A retry reads the source again, so it never sends an old fact. */
function retry(lane: Lane, { random }: Moment, policy: Policy, atLeastMs: number = 0): Step {
  const delayMs = Math.max(
    Math.min(atLeastMs, MAX_RETRY_AFTER_MS),
    backoffMs(lane.attempts, { ...policy.backoff, random }),
  );
  return {
    lane: { ...lane, phase: 'waiting', sending: undefined, attempts: lane.attempts + 1 },
    effects: [{ kind: 'wait', delayMs }],
  };
}

/** Done with what the read covered; a hint that came later needs a read of its own. */
const settle = (lane: Lane, skipped?: string): Step =>
  finish(recorded(lane, { kind: 'settled', seen: lane.readAt, skipped }));

/** What is found parked again for the same reason has been so since it was found first. */
function park(lane: Lane, found: NonNullable<Entry['parked']>): Step {
  const before = lane.entry.parked;
  const parked = before?.code === found.code ? { ...found, since: before.since } : found;
  return finish(recorded(lane, { kind: 'parked', seen: lane.readAt, parked }));
}

function finish({ lane, effects }: Step): Step {
  const rest: Lane = {
    ...lane,
    phase: 'idle',
    sending: undefined,
    attempts: 0,
    leaps: 0,
    leapMs: 0,
    released: false,
    graced: false,
  };
  const ended = { lane: rest, effects };
  return isOvertaken(rest) ? then(ended, read(rest)) : ended;
}
