import { createHash } from 'node:crypto';
import { keyOf, type TableKey } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ApplicablePolicy, PolicyClient, PolicyFilter } from './policies.ts';
import { SingleFlight } from '../runtime/single-flight.ts';

/** What a policy's content says: JSON, or the error that names the policy (`POLICY_CONTENT_INVALID`). */
export type PolicyContent =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'none' }
  | { readonly kind: 'invalid'; readonly error: PushError };

export type CachedPolicy = ApplicablePolicy & {
  /** Parsed once per version of the policy, and shared by all tables that it applies to: not to be changed. */
  readonly parsed: PolicyContent;
  /**
   * Tells this version from every other policy and version, a policy that was dropped and created anew included, whose
   * version begins at 0 again. Work done for one revision needn't be done again for the same.
   */
  readonly revision: string;
};

export type PolicyCacheOptions = {
  readonly clock: Clock;
  /** How old an answer may be, counted from before it was asked for: how late a changed policy is noticed, at most. */
  readonly maxAgeMs: number;
  /** Tables kept; those not asked for the longest go first. */
  readonly maxTables?: number | undefined;
};

const MAX_TABLES = 10_000;
/** A longer content is named as an error and not kept: a policy has some hundred bytes. */
const MAX_CONTENT_CHARS = 1024 * 1024;
/** All contents kept. */
const MAX_TOTAL_CHARS = 64 * 1024 * 1024;

/** A content of one version of a policy, with how many tables hold it. */
type Content = {
  readonly key: string;
  readonly text: string | undefined;
  readonly parsed: PolicyContent;
  readonly revision: string;
  readonly chars: number;
  tables: number;
};

type Kept = {
  readonly loadedMs: number;
  readonly policies: readonly CachedPolicy[];
  readonly contents: readonly Content[];
};

type Slot = { readonly flight: SingleFlight<Kept>; kept?: Kept | undefined };

/**
 * Applicable policies by table: one request per table within `maxAgeMs`, whatever the number of events and of types
 * asked for, and however many ask together. A table's answer brings all of its policies with their versions, so contents
 * are kept by policy and version: one that hundreds of tables inherit is parsed once and held once. Failures are not
 * kept. Memory is bounded by `maxTables` and by the size of the contents.
 */
export class PolicyCache implements Disposable {
  readonly #client: Pick<PolicyClient, 'applicable'>;
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #maxTables: number;
  readonly #closing = new AbortController();
  /** In the order of use, the longest unused first. */
  readonly #slots = new Map<TableKey, Slot>();
  readonly #contents = new Map<string, Content>();
  #chars = 0;

  constructor(client: Pick<PolicyClient, 'applicable'>, options: PolicyCacheOptions) {
    this.#client = client;
    this.#clock = options.clock;
    this.#maxAgeMs = options.maxAgeMs;
    this.#maxTables = options.maxTables ?? MAX_TABLES;
  }

  /**
   * The policies that apply to a table, at most `maxAgeMs` old. An abort ends the waiting, not the request, which others
   * may wait for. Throws as `PolicyClient.applicable` does.
   */
  async get(table: TableIdentifier, filter: PolicyFilter, signal: AbortSignal): Promise<readonly CachedPolicy[]> {
    signal.throwIfAborted();
    const key = keyOf(table);
    const slot = this.#slots.get(key) ?? { flight: new SingleFlight(() => this.#load(table, key)) };
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    const fresh = slot.kept !== undefined && this.#clock.monotonicMs() - slot.kept.loadedMs < this.#maxAgeMs;
    const { policies } = fresh && slot.kept !== undefined ? slot.kept : await slot.flight.join(signal);
    return filter.type === undefined ? policies : policies.filter(({ type }) => type === filter.type);
  }

  /** The next `get` of this table asks Polaris: after a DROP, which takes the table's own policies off it (recorded). */
  forget(table: TableIdentifier): void {
    this.#evict(keyOf(table));
  }

  /** Ends requests under way. The client stays open. */
  [Symbol.dispose](): void {
    this.#closing.abort(new Error('The cache of policies was closed.'));
  }

  async #load(table: TableIdentifier, key: TableKey): Promise<Kept> {
    const loadedMs = this.#clock.monotonicMs();
    const slot = this.#slots.get(key);
    const found = await this.#client.applicable(table, {}, this.#closing.signal);
    const contents = found.map((policy) => this.#acquire(policy));
    const policies = found.map((policy, i): CachedPolicy => {
      const { text, parsed, revision } = contents[i] as Content;
      // The one text that all tables share, instead of each answer's own.
      return { ...policy, content: text, parsed, revision };
    });
    const kept: Kept = { loadedMs, policies, contents };
    if (slot === undefined || this.#slots.get(key) !== slot) {
      // Forgotten meanwhile: good for those who wait, and for nobody after them.
      this.#release(kept);
      return kept;
    }
    this.#release(slot.kept);
    slot.kept = kept;
    this.#shrink(key);
    return kept;
  }

  #acquire(policy: ApplicablePolicy): Content {
    const key = JSON.stringify([...policy.namespace, policy.name, policy.version]);
    const known = this.#contents.get(key);
    const content = known !== undefined && known.text === policy.content ? known : contentOf(key, policy);
    if (content !== known) {
      this.#contents.set(key, content);
      this.#chars += content.chars;
    }
    content.tables++;
    return content;
  }

  #release(kept: Kept | undefined): void {
    for (const content of kept?.contents ?? []) {
      content.tables--;
      if (content.tables > 0) continue;
      this.#chars -= content.chars;
      if (this.#contents.get(content.key) === content) this.#contents.delete(content.key);
    }
  }

  #shrink(except: TableKey): void {
    for (const key of this.#slots.keys()) {
      if (this.#slots.size <= this.#maxTables && this.#chars <= MAX_TOTAL_CHARS) return;
      if (key !== except) this.#evict(key);
    }
  }

  #evict(key: TableKey): void {
    this.#release(this.#slots.get(key)?.kept);
    this.#slots.delete(key);
  }
}

function contentOf(key: string, { namespace, name, version, content }: ApplicablePolicy): Content {
  const hash = createHash('sha256')
    .update(content ?? '')
    .digest('hex')
    .slice(0, 16);
  const revision = `${JSON.stringify([...namespace, name])}@${version}-${hash}`;
  const parsed = parseContent({ namespace, name, version, content });
  const text = content !== undefined && content.length <= MAX_CONTENT_CHARS ? content : undefined;
  return { key, text, parsed, revision, chars: text?.length ?? 0, tables: 0 };
}

/** The content of a policy, or the error that names it: no policy makes another one unreadable. */
export function parseContent(
  policy: Pick<ApplicablePolicy, 'namespace' | 'name' | 'version' | 'content'>,
): PolicyContent {
  const { namespace, name, version, content } = policy;
  if (content === undefined) return { kind: 'none' };
  const refuse = (why: string, cause?: unknown): PolicyContent => ({
    kind: 'invalid',
    error: new PushError(
      'POLICY_CONTENT_INVALID',
      `The content of policy ${[...namespace, name].join('.')}, version ${version}, ${why}.`,
      { cause },
    ),
  });
  if (content.length > MAX_CONTENT_CHARS) {
    return refuse(`has ${content.length} characters, more than the ${MAX_CONTENT_CHARS} that are read`);
  }
  try {
    return { kind: 'json', value: JSON.parse(content) as unknown };
  } catch (error) {
    return refuse(`is not JSON: ${(error as SyntaxError).message}`, error);
  }
}
