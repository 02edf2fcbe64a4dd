import { createHash, timingSafeEqual } from 'node:crypto';
import type { z } from 'zod';
import { parseTable, showTable } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';
import type { PipelineEvent } from '../pipeline/events.ts';
import type { Clock } from '../runtime/clock.ts';
import type { HttpHandler, HttpRequest, HttpResponse, Routes } from '../runtime/http-server.ts';
import type { Log } from '../runtime/log.ts';
import {
  orderSchema,
  type HistoryAnswer,
  type NotificationAnswer,
  type SearchAnswer,
  type StatusAnswer,
  type TableAnswer,
  type TablesAnswer,
} from './api-schema.ts';
import { LiveStatus, type News } from './live-status.ts';
import { ADMIN_HEADER, openApi } from './openapi.ts';
import { SAFE_HEADERS, servePage } from './page-files.ts';
import { RecentNotifications } from './recent-notifications.ts';
import type { AgentSnapshot } from './snapshot.ts';
import { statusAnswer } from './status-answer.ts';
import { HISTORY_EVERY_MS, StatusHistory } from './status-history.ts';
import {
  isWaiting,
  listTables,
  searchTables,
  tableOnTargets,
  waitingTables,
  type TableLedger,
  type TableState,
} from './table-views.ts';

/** What an operator may ask for here. */
export type AdminOrder = {
  readonly kind: 'retry' | 'release';
  readonly tables: readonly TableIdentifier[];
  readonly target?: string | undefined;
};

export type StatusApiParts = {
  readonly clock: Clock;
  readonly log: Log;
  readonly snapshot: () => AgentSnapshot;
  readonly ledger: TableLedger;
  /** Leaves a request for the agent; its number. Throws `PushError`. */
  readonly submit: (order: AdminOrder) => number;
  /** Undefined: nobody may change anything. */
  readonly adminToken?: string | undefined;
  /** Masks secrets. */
  readonly mask: (text: string) => string;
};

const MOST_ORDER_BYTES = 1024 ** 2;
/** Of an order that names no tables; whoever has more gives it again. */
const MOST_ORDERED = 10_000;
const MOST_NAME = 20_000;
const LAST_NOTIFICATIONS = 20;

/** The status page at `/`, and what it shows as JSON under `/api/v1`. */
export class StatusApi implements AsyncDisposable {
  readonly #parts: StatusApiParts;
  readonly #recent = new RecentNotifications();
  readonly #history = new StatusHistory();
  readonly #live: LiveStatus;
  readonly #token: Buffer | undefined;
  readonly #openApi = `${JSON.stringify(openApi())}\n`;
  readonly #closing = new AbortController();
  #sampling: Promise<void> | undefined;
  #searching = false;

  constructor(parts: StatusApiParts) {
    this.#parts = parts;
    this.#token = parts.adminToken === undefined ? undefined : digest(parts.adminToken);
    this.#live = new LiveStatus(() => this.#news(), parts);
  }

  see(event: PipelineEvent): void {
    if (event.kind === 'notified') this.#recent.add(event, this.#parts.clock.now());
  }

  /** Answers until the routes are disposed, and keeps a history until this is. */
  serve(routes: Routes): Disposable {
    this.#sampling ??= this.#sample();
    const stack = new DisposableStack();
    stack.use(servePage(routes));
    const get = (path: string, handler: HttpHandler) => stack.use(routes.route('GET', `/api/v1/${path}`, handler));
    const post = (path: string, handler: HttpHandler) => stack.use(routes.route('POST', `/api/v1/${path}`, handler));
    get('status', async () => this.#json(200, this.#status()));
    get('history', async () => this.#json(200, this.#history.answer()));
    get('notifications', async (request) => this.#notifications(request));
    get('tables', async (request) => this.#tables(request));
    get('tables/search', (request) => this.#search(request));
    get('table', async (request) => this.#table(request));
    get('events', async (request) => this.#events(request));
    get('openapi.json', async () => ({ status: 200, headers: JSON_HEADERS, body: this.#openApi }));
    post('retry', (request) => this.#order(request, 'retry'));
    post('drops/release', (request) => this.#order(request, 'release'));
    return stack;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#live[Symbol.dispose]();
    await this.#sampling;
  }

  async #sample(): Promise<void> {
    const { clock, log, snapshot } = this.#parts;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        this.#history.add(snapshot());
      } catch (error) {
        log.error('status-failed', { error });
      }
      await clock.sleep(HISTORY_EVERY_MS, signal);
    }
  }

  get #targets(): readonly string[] {
    return this.#parts.snapshot().targets.map(({ name }) => name);
  }

  #status(): StatusAnswer {
    const snapshot = this.#parts.snapshot();
    return statusAnswer(snapshot, {
      admin: this.#token !== undefined,
      perSecond: this.#history.perSecond(snapshot),
    });
  }

  #news(): News {
    return {
      status: this.#masked(this.#status()),
      seen: this.#recent.seen,
      notifications: () => this.#masked({ notifications: this.#recent.last(LAST_NOTIFICATIONS) }),
    };
  }

  #masked(answer: Answer): string {
    return this.#parts.mask(JSON.stringify(answer));
  }

  #json(status: number, answer: Answer): HttpResponse {
    return { status, headers: JSON_HEADERS, body: `${this.#masked(answer)}\n` };
  }

  #refuse(status: number, error: string): HttpResponse {
    return this.#json(status, { error });
  }

  #notifications({ query }: HttpRequest): HttpResponse {
    const limit = limitOf(query);
    if (limit === undefined) return this.#refuse(400, WRONG_LIMIT);
    return this.#json(200, { notifications: this.#recent.last(limit) });
  }

  #tables({ query }: HttpRequest): HttpResponse {
    const limit = limitOf(query);
    if (limit === undefined) return this.#refuse(400, WRONG_LIMIT);
    const state = query.get('state') ?? 'attention';
    if (!isState(state)) return this.#refuse(400, `state is one of ${STATES.join(', ')}.`);
    const targets = this.#chosen(query.get('target') ?? undefined);
    if (targets === undefined) return this.#refuse(400, `target is one of ${this.#targets.join(', ')}.`);
    return this.#json(200, listTables(this.#parts.ledger, { state, targets, limit }));
  }

  async #search({ query, signal }: HttpRequest): Promise<HttpResponse> {
    const text = (query.get('q') ?? '').trim();
    if (text === '') return this.#refuse(400, 'q is missing.');
    // One at a time, as it may go through the whole ledger.
    if (this.#searching) return this.#refuse(503, 'Another search goes on; try again.');
    this.#searching = true;
    try {
      const options = { targets: this.#targets, first: this.#recent.tables(), signal };
      return this.#json(200, await searchTables(this.#parts.ledger, text, options));
    } finally {
      this.#searching = false;
    }
  }

  #table({ query }: HttpRequest): HttpResponse {
    const table = tableIn(query.get('name') ?? '');
    if (table === undefined) return this.#refuse(400, 'name is no name of a table; write namespace.table.');
    const targets = tableOnTargets(this.#parts.ledger, table, this.#targets);
    const notifications = this.#recent.of(table);
    if (targets.length === 0 && notifications.length === 0)
      return this.#refuse(404, `Nothing is known of ${showTable(table)}.`);
    return this.#json(200, { table: showTable(table), targets, notifications });
  }

  #events({ signal, method }: HttpRequest): HttpResponse {
    // HEAD gets no stream that would have to end.
    const body = method === 'HEAD' ? '' : this.#live.follow(signal);
    if (body === undefined) return this.#refuse(503, 'Too many follow already.');
    return { status: 200, headers: EVENT_HEADERS, body };
  }

  #chosen(target: string | undefined): readonly string[] | undefined {
    if (target === undefined) return this.#targets;
    return this.#targets.includes(target) ? [target] : undefined;
  }

  async #order(request: HttpRequest, kind: AdminOrder['kind']): Promise<HttpResponse> {
    const { log, ledger, submit } = this.#parts;
    const refused = this.#refusedAdmin(request);
    if (refused !== undefined) return refused;
    if (!/^application\/json *(;|$)/i.test(request.headers['content-type'] ?? ''))
      return this.#refuse(415, 'The body is to be application/json.');
    const order = orderIn(await request.body(MOST_ORDER_BYTES));
    if (order === undefined) return this.#refuse(400, 'The body is not an order; see /api/v1/openapi.json.');
    const targets = this.#chosen(order.target);
    if (targets === undefined) return this.#refuse(400, `target is one of ${this.#targets.join(', ')}.`);
    const state = kind === 'retry' ? 'parked' : 'held';
    const named = order.tables?.map((name) => ({ name, table: tableIn(name) }));
    const strange = named?.find(({ table }) => table === undefined || !isWaiting(ledger, state, { table, targets }));
    if (strange !== undefined) return this.#refuse(400, `Not ${state}: ${strange.name}`);
    const tables =
      named?.flatMap(({ table }) => table ?? []) ?? waitingTables(ledger, state, { targets, most: MOST_ORDERED });
    if (tables.length === 0) return this.#json(202, { tables: 0 });
    const number = submit({ kind, tables, target: order.target });
    log.info('admin-request', { kind, tables: tables.length, target: order.target, request: number });
    return this.#json(202, { tables: tables.length, request: number });
  }

  #refusedAdmin({ headers, path }: HttpRequest): HttpResponse | undefined {
    if (this.#token === undefined)
      return this.#refuse(403, 'Nothing can be changed here: http.admin_token is not configured.');
    const given = headers[ADMIN_HEADER];
    if (typeof given !== 'string') return this.#refuse(403, `It needs the admin token, in the header ${ADMIN_HEADER}.`);
    if (timingSafeEqual(digest(given), this.#token)) return undefined;
    this.#parts.log.warn('admin-token-refused', { path });
    return this.#refuse(403, 'That is not the admin token.');
  }
}

type Answer =
  | StatusAnswer
  | HistoryAnswer
  | TablesAnswer
  | SearchAnswer
  | TableAnswer
  | { readonly notifications: readonly NotificationAnswer[] }
  | { readonly tables: number; readonly request?: number | undefined }
  | { readonly error: string };

const JSON_HEADERS = {
  ...SAFE_HEADERS,
  'content-type': 'application/json',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Proxies must pass each event on at once. */
const EVENT_HEADERS = { ...JSON_HEADERS, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' };

const STATES: readonly TableState[] = ['parked', 'held', 'pending', 'attention'];
const isState = (text: string): text is TableState => STATES.some((state) => state === text);

const WRONG_LIMIT = 'limit is a number from 1 to 1000.';

function limitOf(query: URLSearchParams): number | undefined {
  const text = query.get('limit') ?? '100';
  return /^[1-9][0-9]{0,3}$/.test(text) && Number(text) <= 1000 ? Number(text) : undefined;
}

function tableIn(text: string): TableIdentifier | undefined {
  if (text.length > MOST_NAME) return undefined;
  try {
    return parseTable(text);
  } catch {
    return undefined;
  }
}

function orderIn(body: Buffer): z.output<typeof orderSchema> | undefined {
  try {
    return orderSchema.safeParse(JSON.parse(body.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
