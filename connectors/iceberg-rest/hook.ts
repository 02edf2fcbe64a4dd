import { createHmac, timingSafeEqual } from 'node:crypto';
import { keyOf } from '../../src/core/table.ts';
import type { Change, EpochMillis, TableIdentifier } from '../../src/core/types.ts';
import type { HttpRequest, HttpResponse } from '../../src/runtime/http-server.ts';
import { TOLERANCE_MS, verifyWebhook } from '../../src/runtime/webhook-signature.ts';
import { bodyTime, readAnnounced, UnreadableEvent, type Announced, type AnnouncedChange } from './events.ts';
import type { HintQueue } from './hints.ts';
import type { RestParts } from './parts.ts';

export const HOOK_PATH = '/hooks/iceberg-rest';

/** Tables that may wait to be handed over. */
const MOST_HINTS = 10_000;
/** Requests that may wait for their hints to be recorded. */
const MOST_WAITING = 256;
/** How long one may: senders give up after ten to thirty seconds. */
const RECORD_TIMEOUT_MS = 10_000;
/** How long the id of a delivery is remembered: after that, its time is too old for it to be taken again. */
const REMEMBER_MS = 2 * TOLERANCE_MS;
const MOST_IDS = 100_000;
/** Names that nobody knows yet, asked for at once; further ones are found by looking at the names. */
const MOST_UNKNOWN = 100;
const RETRY_AFTER = { 'retry-after': '5' };

export type HookContext = Pick<RestParts, 'config' | 'deps' | 'known'> & {
  readonly hints: HintQueue;
  /** Has the names of all tables looked at before long. */
  readonly lookSoon: () => void;
};

type Outcome = 'recorded' | 'late' | 'ended';
type Delivered = { readonly id: string } | { readonly refused: string };
/** `outcome` is undefined once the hints are recorded. */
type Remembered = { readonly sinceMs: number; outcome: Promise<Outcome> | undefined };

/**
 * Takes what a catalog, or something behind it, announces of its tables. 202 means that the hints are recorded in the ledger.
 * Nothing that is announced is believed: each hint leads to a read.
 */
export class Hook implements Disposable {
  readonly #context: HookContext;
  readonly #secret: string;
  readonly #route: Disposable | undefined;
  readonly #ids = new Map<string, Remembered>();
  readonly #unknown: Allowance;
  #watch: AbortSignal | undefined;
  #waiting = 0;

  constructor(context: HookContext) {
    const { config, deps } = context;
    this.#context = context;
    this.#secret = config.webhook?.secret ?? '';
    this.#unknown = new Allowance(config.poll.requestsPerSecond / 4);
    if (config.webhook !== undefined)
      this.#route = deps.hooks?.route('POST', HOOK_PATH, (request) => this.#handle(request));
  }

  /** From here on what comes is handed over, until `watch` aborts. */
  open(watch: AbortSignal): void {
    this.#watch = watch;
  }

  [Symbol.dispose](): void {
    this.#route?.[Symbol.dispose]();
  }

  async #handle(request: HttpRequest): Promise<HttpResponse> {
    const { config, deps } = this.#context;
    const body = await request.body(config.webhook?.maxBodyBytes ?? 0);
    const delivered = authenticate(this.#secret, request, { body, now: deps.clock.now() });
    if ('refused' in delivered) {
      deps.log.warn('webhook-refused', { reason: delivered.refused });
      return answer(401, { error: `The delivery is not taken: ${delivered.refused}.` });
    }
    const before = this.#ids.get(delivered.id);
    // Sent again, by a sender that missed the answer or by somebody who has listened: nothing to do twice.
    if (before !== undefined) return before.outcome === undefined ? TAKEN : answerTo(await before.outcome);
    try {
      const announced = readAnnounced(request.headers, body, config);
      return await this.#take(delivered.id, announced);
    } catch (error) {
      if (!(error instanceof UnreadableEvent)) throw error;
      deps.log.warn('webhook-unreadable', { detail: error.message });
      return answer(400, { error: error.message });
    }
  }

  async #take(id: string, { changes, renamed, ignored }: Announced): Promise<HttpResponse> {
    const { hints, lookSoon, deps } = this.#context;
    if (changes.length > MOST_HINTS) return answer(413, { error: `One delivery names ${MOST_HINTS} tables at most.` });
    if (this.#watch === undefined || this.#watch.aborted) return answerTo('ended');
    if (hints.size + changes.length > MOST_HINTS || this.#waiting >= MOST_WAITING)
      return answer(503, { error: 'Too much waits to be recorded.' }, RETRY_AFTER);
    const asked = this.#affordable(changes);
    if (renamed || asked.length < changes.length) lookSoon();
    deps.log.debug('webhook-taken', { tables: asked.length, ignored: ignored.length, renamed });
    const remembered: Remembered = { sinceMs: deps.clock.monotonicMs(), outcome: undefined };
    this.#remember(id, remembered);
    if (asked.length === 0) return TAKEN;
    remembered.outcome = this.#record(asked, this.#watch);
    const outcome = await remembered.outcome;
    remembered.outcome = undefined;
    // So that it is taken when it is sent again.
    if (outcome !== 'recorded') this.#ids.delete(id);
    return answerTo(outcome);
  }

  /**
   * All that is known, and so many unknown names as may be asked for. The others aren't lost: a table that nobody knows is new
   * or doesn't exist, and looking at the names tells which, now and at every start.
   */
  #affordable(changes: readonly AnnouncedChange[]): readonly AnnouncedChange[] {
    const { deps, hints, known } = this.#context;
    const isKnown = (table: TableIdentifier) => known.get(table) !== undefined || hints.has(keyOf(table));
    const nowMs = deps.clock.monotonicMs();
    return changes.filter(({ change }) =>
      namesIn(change).every((table) => isKnown(table) || this.#unknown.take(nowMs)),
    );
  }

  async #record(changes: readonly AnnouncedChange[], watch: AbortSignal): Promise<Outcome> {
    const { hints, deps } = this.#context;
    const over = new AbortController();
    const ended = AbortSignal.any([watch, over.signal]);
    const { promise: recorded, resolve } = Promise.withResolvers<void>();
    let left = changes.length;
    const onRecorded = () => {
      if (--left === 0) resolve();
    };
    this.#waiting++;
    try {
      for (const { change, at } of changes) hints.add(change, { at, onRecorded });
      const late = deps.clock.sleep(RECORD_TIMEOUT_MS, ended);
      return await Promise.race([
        recorded.then((): Outcome => 'recorded'),
        late.then((): Outcome => (watch.aborted ? 'ended' : 'late')),
      ]);
    } finally {
      this.#waiting--;
      over.abort();
    }
  }

  #remember(id: string, remembered: Remembered): void {
    this.#ids.set(id, remembered);
    for (const [oldest, { sinceMs }] of this.#ids) {
      if (this.#ids.size <= MOST_IDS && remembered.sinceMs - sinceMs <= REMEMBER_MS) break;
      this.#ids.delete(oldest);
    }
  }
}

const namesIn = (change: Change): readonly TableIdentifier[] =>
  change.kind === 'renamed' ? [change.table, change.to] : [change.table];

/** So many at once, and so many more each second. */
class Allowance {
  readonly #perSecond: number;
  #left = MOST_UNKNOWN;
  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  take(nowMs: number): boolean {
    this.#left = Math.min(MOST_UNKNOWN, this.#left + ((nowMs - this.#sinceMs) / 1000) * this.#perSecond);
    this.#sinceMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

/**
 * By Standard Webhooks, or as Polaris's own webhook listener signs: `X-Polaris-Signature-256: sha256=<hex>` over the body
 * alone, so that the body has to tell its time, and stands for its id.
 */
function authenticate(
  secret: string,
  { headers }: HttpRequest,
  { body, now }: { readonly body: Uint8Array; readonly now: EpochMillis },
): Delivered {
  const signature = headers['x-polaris-signature-256'];
  if (typeof signature !== 'string') {
    const verified = verifyWebhook(secret, headers, body, now);
    return verified.kind === 'valid' ? { id: verified.id } : { refused: verified.reason };
  }
  const expected = createHmac('sha256', secret).update(body).digest();
  const given = Buffer.from(/^sha256=([0-9a-f]{64})$/.exec(signature)?.[1] ?? '', 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    return { refused: 'its signature is not that of the secret' };
  const time = timeIn(body);
  if (time === undefined)
    return { refused: 'its body tells no time, without which it could be sent again at any time' };
  if (Math.abs(now - time) > TOLERANCE_MS) return { refused: 'its time is more than 5 minutes off' };
  return { id: `sha256=${expected.toString('hex')}` };
}

function timeIn(body: Uint8Array): EpochMillis | undefined {
  try {
    return bodyTime(body);
  } catch {
    return undefined;
  }
}

function answerTo(outcome: Outcome): HttpResponse {
  if (outcome === 'recorded') return TAKEN;
  const error = outcome === 'late' ? 'It could not be recorded in time.' : 'The catalog is not watched at the moment.';
  return answer(503, { error }, RETRY_AFTER);
}

const answer = (status: number, content: object, headers: Readonly<Record<string, string>> = {}): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: `${JSON.stringify(content)}\n`,
});

const TAKEN = answer(202, {});
