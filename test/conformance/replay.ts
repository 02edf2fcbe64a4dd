import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { request } from 'undici';
import { type Persistence, type RecordedAnswer, patternOf, readRecording, sameShape, shapeOf } from './recording.ts';
import type { ConformanceServer, ServerSetup } from './server.ts';
import { type MetadataFile, type MetadataOptions, writeMetadata } from './table-files.ts';

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed where it is JSON. */
  readonly body: unknown;
  readonly text: string;
};

/** What a JSON body holds at a path of keys; undefined where there is no such thing. */
export function at(body: unknown, ...path: readonly string[]): unknown {
  let value = body;
  for (const key of path) value = (value as Readonly<Record<string, unknown>> | null | undefined)?.[key];
  return value;
}

/** The text at a path of keys. Throws when there is none: the scenario can't go on. */
export function textAt(answer: Answer, ...path: readonly string[]): string {
  const value = at(answer.body, ...path);
  if (typeof value !== 'string')
    throw new Error(`Expected text at ${path.join('.')} of ${answer.status} ${answer.text}`);
  return value;
}

export type CallOptions = {
  readonly body?: unknown;
  readonly raw?: string | Buffer | undefined;
  /** Undefined for the administrator's, null for none. */
  readonly token?: string | null | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Where to send it, instead of the server's address. */
  readonly base?: string | undefined;
  /** Several requests race: any answer that was recorded of a race will do. */
  readonly raced?: boolean | undefined;
};

/** What a replay has found. */
export type Results = {
  readonly replayed: Map<string, { requests: number; equal: number }>;
  mismatches: Mismatch[];
};

export type Mismatch = { readonly scenario: string; readonly answered: unknown; readonly recorded: unknown };

export const SEPARATOR = '\u001F';
export const encoded = encodeURIComponent;
export const namespacePath = (levels: readonly string[]): string => encoded(levels.join(SEPARATOR));

/** Sends the requests of recorded scenarios to a server and compares its answers with the recorded ones. */
export class Replay implements AsyncDisposable {
  readonly server: ConformanceServer;
  readonly persistence: Persistence | undefined;
  /** Ends the names of this run's catalogs and principals, so that it can run on a server in use. */
  readonly suffix: string;
  /** This run's own folder. */
  readonly root: string;
  readonly results: Results;
  readonly #recording = readRecording();
  readonly #created: (() => Promise<string | undefined>)[] = [];
  #adminToken: string | null = null;

  /** `run` is the replay that this one is a part of, on another server. */
  constructor(server: ConformanceServer, run?: Replay) {
    this.server = server;
    this.persistence = server.persistence;
    this.suffix = run?.suffix ?? `_${randomBytes(4).toString('hex')}`;
    this.root = run?.root ?? `${server.warehouse}/run${this.suffix}`;
    this.results = run?.results ?? { replayed: new Map(), mismatches: [] };
    mkdirSync(this.root, { recursive: true });
  }

  /** A part of this replay on a server that is set up otherwise. */
  async onVariant(setup: ServerSetup): Promise<Replay> {
    if (this.server.variant === undefined) throw new Error('This server has no variants.');
    return new Replay(await this.server.variant(setup), this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** The name on this server of a recorded catalog or principal. */
  named(name: string): string {
    return name + this.suffix;
  }

  /** A folder below this run's root, created. */
  folder(path: string): string {
    const folder = `${this.root}/${path}`;
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  metadata(path: string, options?: MetadataOptions): MetadataFile {
    return writeMetadata(`${this.root}/${path}`, options);
  }

  catalogPath(catalog: string): string {
    return `/api/catalog/v1/${encoded(this.named(catalog))}`;
  }

  /** Polaris's own additions to the catalog API. */
  polarisPath(catalog: string): string {
    return `/api/catalog/polaris/v1/${encoded(this.named(catalog))}`;
  }

  tablePath(catalog: string, namespace: readonly string[], table?: string): string {
    const tables = `${this.catalogPath(catalog)}/namespaces/${namespacePath(namespace)}/tables`;
    return table === undefined ? tables : `${tables}/${encoded(table)}`;
  }

  notificationPath(catalog: string, namespace: readonly string[], table: string): string {
    return `${this.tablePath(catalog, namespace, table)}/notifications`;
  }

  async login(): Promise<void> {
    const { clientId, clientSecret } = this.server.credentials;
    const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret };
    const answer = await this.token('', { ...form, scope: 'PRINCIPAL_ROLE:ALL' });
    this.#adminToken = textAt(answer, 'access_token');
  }

  get adminToken(): string {
    if (this.#adminToken === null) throw new Error('Nobody has logged in yet.');
    return this.#adminToken;
  }

  useAdminToken(token: string): void {
    this.#adminToken = token;
  }

  /** A request to the token endpoint; unrecorded when the scenario is ''. */
  token(scenario: string, form: Readonly<Record<string, string>>, options: CallOptions = {}): Promise<Answer> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', ...options.headers };
    const raw = new URLSearchParams(form).toString();
    return this.call(scenario, 'POST', '/api/catalog/v1/oauth/tokens', { token: null, raw, ...options, headers });
  }

  /** Sends a request without comparing anything. */
  send(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    return this.call('', method, path, options);
  }

  /** Sends a scenario's request, and notes whether the answer is among the recorded ones. */
  async call(scenario: string, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const headers: Record<string, string> = { ...options.headers };
    const token = options.token === undefined ? this.#adminToken : options.token;
    if (token !== null) headers['authorization'] ??= `Bearer ${token}`;
    const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    if (body !== undefined) headers['content-type'] ??= 'application/json';
    const response = await request((options.base ?? this.server.uri) + path, { method, headers, body: body ?? null });
    const text = await response.body.text();
    const answer = { status: response.statusCode, headers: response.headers, text, body: parsed(text) };
    if (scenario !== '') this.#compare(scenario, answer, options.raced === true);
    return answer;
  }

  notify(
    scenario: string,
    table: readonly [namespace: readonly string[], name: string],
    type: string,
    payload: { timestamp: number; file?: MetadataFile; location?: string; uuid?: string; name?: string },
    options: CallOptions & { readonly catalog?: string | undefined } = {},
  ): Promise<Answer> {
    const [namespace, name] = table;
    const { timestamp, file } = payload;
    const body = notification(type, {
      'table-name': payload.name ?? name,
      timestamp,
      'table-uuid': payload.uuid ?? file?.uuid,
      'metadata-location': payload.location ?? file?.uri,
    });
    const path = this.notificationPath(options.catalog ?? 'ext', namespace, name);
    return this.call(scenario, 'POST', path, { body, ...options });
  }

  load(scenario: string, table: readonly [namespace: readonly string[], name: string]): Promise<Answer> {
    return this.call(scenario, 'GET', this.tablePath('ext', table[0], table[1]));
  }

  /** States something about an answer that status, type, message and shape don't say. */
  expect(scenario: string, statement: string, holds: boolean): void {
    if (!holds) this.results.mismatches.push({ scenario, answered: `not: ${statement}`, recorded: statement });
  }

  takeMismatches(): readonly Mismatch[] {
    const taken = this.results.mismatches;
    this.results.mismatches = [];
    return taken;
  }

  /** Remembers what to remove at the end; it says what is left. Later things go first. */
  cleanUpLater(remove: () => Promise<string | undefined>): void {
    this.#created.unshift(remove);
  }

  /** Removes what this run created. Returns what could not be removed. */
  async cleanUp(): Promise<readonly string[]> {
    const left: string[] = [];
    for (const remove of this.#created) left.push(...[(await remove()) ?? []].flat());
    return left;
  }

  #compare(scenario: string, answer: Answer, raced: boolean): void {
    const recorded = this.#recording.get(scenario);
    if (recorded === undefined) throw new Error(`No scenario ${scenario} was recorded.`);
    const pool = raced ? this.#answersOfRaces() : recorded.answers;
    const candidates = pool.filter(
      ({ on }) => this.persistence === undefined || raced || on[this.persistence] !== undefined,
    );
    // What was recorded on one persistence alone holds for the other as well.
    const expected = candidates.length > 0 ? candidates : pool;
    const got = this.#recordable(answer);
    const equal = expected.some((candidate) => this.#equal(got, candidate));
    const count = this.results.replayed.get(scenario) ?? { requests: 0, equal: 0 };
    this.results.replayed.set(scenario, { requests: count.requests + 1, equal: count.equal + (equal ? 1 : 0) });
    if (!equal) this.results.mismatches.push({ scenario, answered: got, recorded: expected });
  }

  #answersOfRaces(): readonly RecordedAnswer[] {
    return [...this.#recording.values()]
      .filter(({ scenario }) => scenario.startsWith('conc-') && !scenario.endsWith('-load'))
      .flatMap(({ answers }) => answers);
  }

  #recordable(answer: Answer): Omit<RecordedAnswer, 'on'> {
    const { body } = answer;
    const contentType = answer.headers['content-type'];
    const common = {
      status: answer.status,
      ...(typeof contentType === 'string' ? { contentType } : {}),
      ...(answer.headers['etag'] === undefined ? {} : { etag: true }),
      ...(answer.headers['www-authenticate'] === undefined
        ? {}
        : { challenge: String(answer.headers['www-authenticate']) }),
    };
    if (answer.text === '') return common;
    const error = at(body, 'error');
    if (typeof error === 'string') return { ...common, type: error, message: String(at(body, 'error_description')) };
    if (error === undefined) return { ...common, shape: typeof body === 'string' ? 'text' : shapeOf(body) };
    const message = at(error, 'message');
    return {
      ...common,
      type: String(at(error, 'type')),
      message: typeof message === 'string' ? this.#comparable(message) : null,
    };
  }

  #equal(got: Omit<RecordedAnswer, 'on'>, recorded: RecordedAnswer): boolean {
    return (
      got.status === recorded.status &&
      got.type === recorded.type &&
      (got.message === recorded.message ||
        (typeof recorded.message === 'string' && tableless(patternOf(recorded.message)) === tableless(got.message))) &&
      sameShape(got.shape, recorded.shape) &&
      got.contentType === recorded.contentType &&
      got.etag === recorded.etag &&
      got.challenge === recorded.challenge
    );
  }

  /** A message as the recorded server would have said it. */
  #comparable(message: string): string {
    return patternOf(message.replaceAll(this.root, '/warehouse').replaceAll(this.suffix, ''));
  }
}

/** In a race any of its tables may be named. */
const tableless = (message: string | null | undefined): string | null | undefined =>
  message?.replace(/(conc\d\.x\.y|fan\.n\d+)\.\w+/, '<raced table>');

export const notification = (type: string, payload: Readonly<Record<string, unknown>>) => ({
  'notification-type': type,
  payload,
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What a server may offer beyond its API: other set-ups, a restart, its health. */
export type Offer = 'variant' | 'restart' | 'managementUri';

/** Scenarios about one subject, in the order in which they build on each other. */
export type Topic = {
  readonly title: string;
  readonly needs?: Offer | undefined;
  readonly run: (replay: Replay) => Promise<void>;
};
