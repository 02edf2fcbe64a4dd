import { showTable } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import { CatalogDirectory } from './addressing.ts';
import { parseJson } from './answer.ts';
import { saysNoSuchNamespace, saysNoSuchPath, saysNoSuchTable } from './classify.ts';
import { openSession, type PolarisDeps } from './client.ts';
import type { TargetConfig } from './config.ts';
import { toError } from './failure.ts';
import { forbidden, loadTable, type LoadedTable, type LoadTableOptions } from './load-table.ts';
import { encodeNamespace, encodeTable, type Addressing, type Encoded } from '../runtime/rest-names.ts';
import { failureOf, type Reply, type Session } from './session.ts';

/** A policy as it applies to one table or namespace. */
export type ApplicablePolicy = {
  /** E.g. `system.data-compaction`. */
  readonly type: string;
  /** Whether policies of this type pass from catalog to namespace to table. */
  readonly inheritable: boolean;
  readonly name: string;
  readonly description?: string | undefined;
  /** Usually JSON, but Polaris doesn't promise it for every type. */
  readonly content?: string | undefined;
  /** Counts updates from 0; a policy that was dropped and created anew begins at 0 again. */
  readonly version: number;
  /** Attached to something that contains the table, not to the table itself. */
  readonly inherited: boolean;
  /** Where the policy is defined, which says nothing about where it is attached. */
  readonly namespace: readonly string[];
};

export type PolicyFilter = {
  /** Only policies of this type. */
  readonly type?: string | undefined;
};

/** What a maintenance service asks of one catalog of one Polaris. Every request is sent once; the caller repeats it. */
export interface PolicyClient extends AsyncDisposable {
  /** The name of the target that it was opened for. */
  readonly name: string;
  /**
   * The policies that apply to a table: of each inheritable type the nearest one, and whatever else is attached to the
   * table itself. In no particular order, all pages. Throws `PushError`: `POLARIS_NO_SUCH_TABLE`, `POLARIS_FORBIDDEN`
   * (with the commands that grant what is missing), `POLARIS_UNAVAILABLE` when asking again may help.
   */
  applicable(table: TableIdentifier, filter: PolicyFilter, signal: AbortSignal): Promise<readonly ApplicablePolicy[]>;
  /** The same of a namespace, or of the catalog itself: no levels. */
  applicableWithin(
    namespace: readonly string[],
    filter: PolicyFilter,
    signal: AbortSignal,
  ): Promise<readonly ApplicablePolicy[]>;
  /** Where a table stands, and its metadata; with delegation also how to get at its files. Throws `PushError`. */
  loadTable(table: TableIdentifier, options: LoadTableOptions, signal: AbortSignal): Promise<LoadedTable>;
}

/** Asks nothing yet. Throws `PushError` CONFIG_INVALID when the CA file can't be used. */
export async function openPolicies(config: TargetConfig, deps: PolarisDeps): Promise<PolicyClient> {
  return new SessionPolicies(await openSession(config, deps));
}

/** Polaris takes no request of more than 10 MiB, and every type of policy is there at most once. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Polaris 1.7.0 sends all in one (recorded), and a table has few. */
const MAX_PAGES = 100;

/** What is asked about. */
type Subject = { readonly namespace: readonly string[]; readonly name?: string | undefined };

class SessionPolicies implements PolicyClient {
  readonly name: string;
  readonly #session: Session;
  readonly #directory: CatalogDirectory;

  constructor(session: Session) {
    this.name = session.config.name;
    this.#session = session;
    this.#directory = new CatalogDirectory(session);
  }

  applicable(table: TableIdentifier, filter: PolicyFilter, signal: AbortSignal): Promise<readonly ApplicablePolicy[]> {
    return this.#applicable(table, filter, signal);
  }

  applicableWithin(
    namespace: readonly string[],
    filter: PolicyFilter,
    signal: AbortSignal,
  ): Promise<readonly ApplicablePolicy[]> {
    return this.#applicable({ namespace }, filter, signal);
  }

  async loadTable(table: TableIdentifier, options: LoadTableOptions, signal: AbortSignal): Promise<LoadedTable> {
    const addressing = await this.#addressing(signal);
    return await loadTable({ session: this.#session, addressing, table }, options, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#directory[Symbol.asyncDispose](), this.#session[Symbol.asyncDispose]()]);
  }

  async #addressing(signal: AbortSignal): Promise<Addressing> {
    signal.throwIfAborted();
    const answer = await this.#directory.config(signal);
    if (answer.kind !== 'config') throw toError(answer, this.name, 'Asking how to address the catalog failed');
    return answer.config.addressing;
  }

  async #applicable(subject: Subject, { type }: PolicyFilter, signal: AbortSignal): Promise<ApplicablePolicy[]> {
    const addressing = await this.#addressing(signal);
    const query = this.#query(subject, addressing.separator);
    if (type !== undefined) query.push(`policyType=${encodeURIComponent(type)}`);
    const found: ApplicablePolicy[] = [];
    const asked = new Set<string>();
    let left = MAX_BYTES;
    for (let token: string | undefined; asked.size < MAX_PAGES;) {
      const page = token === undefined ? query : [...query, `pageToken=${encodeURIComponent(token)}`];
      const body = await this.#ask(
        `polaris/v1/${addressing.prefix}/applicable-policies`,
        page,
        { subject, left },
        signal,
      );
      left -= Buffer.byteLength(body);
      const { policies, next } = this.#read(body, subject);
      found.push(...policies);
      // A type that Polaris doesn't know is no filter to it (source), so it is looked at here too.
      if (next === undefined) return type === undefined ? found : found.filter((policy) => policy.type === type);
      if (asked.has(next)) throw this.#error(subject, 'its next page is one that was read before');
      asked.add(next);
      token = next;
    }
    throw this.#error(subject, `it has no end after ${MAX_PAGES} pages`);
  }

  /** Throws for what has no name in Polaris: an empty table name, say, would ask about the namespace. */
  #query({ namespace, name }: Subject, separator: string): string[] {
    if (name === undefined && namespace.length === 0) return [];
    const levels = encodeNamespace(namespace, separator);
    const whole = name === undefined ? levels : encodeTable({ namespace, name }, separator);
    if (whole.kind === 'unaddressable' || levels.kind === 'unaddressable') {
      const { reason } = whole as Extract<Encoded, { readonly kind: 'unaddressable' }>;
      throw new PushError(
        'POLARIS_NO_SUCH_TABLE',
        `Target ${this.name}: ${showSubject({ namespace, name })}: ${reason}`,
      );
    }
    const inside = `namespace=${levels.path}`;
    return name === undefined ? [inside] : [inside, `target-name=${encodeURIComponent(name)}`];
  }

  async #ask(
    path: string,
    query: readonly string[],
    { subject, left }: { readonly subject: Subject; readonly left: number },
    signal: AbortSignal,
  ): Promise<string> {
    const reply = await this.#session.call(
      {
        kind: 'policies',
        method: 'GET',
        path: query.length === 0 ? path : `${path}?${query.join('&')}`,
        maxBodyBytes: Math.max(1, left),
      },
      signal,
    );
    if (reply.kind === 'answer' && reply.answer.status === 200) {
      if (reply.cut) throw this.#error(subject, `it is longer than ${MAX_BYTES} bytes`);
      return reply.body;
    }
    throw this.#failure(reply, subject);
  }

  #failure(reply: Reply, subject: Subject): PushError {
    const failure = failureOf(reply);
    const what = `Asking for the policies of ${showSubject(subject)} failed`;
    if (reply.kind === 'answer') {
      const { answer } = reply;
      if (saysNoSuchTable(answer) || saysNoSuchNamespace(answer)) {
        return new PushError('POLARIS_NO_SUCH_TABLE', `Target ${this.name}: ${what}: ${answer.message}`);
      }
      if (saysNoSuchPath(answer)) {
        // A catalog that was made anew may have another prefix.
        this.#directory.forget();
        return new PushError('POLARIS_REFUSED', `Target ${this.name}: ${what}: ${answer.message}`, {
          fix: 'Does this server have policies? Apache Polaris has them since 1.0.',
        });
      }
    }
    if (failure.kind === 'refused' && failure.reason === 'not-authorized') {
      return forbidden(failure.message, { session: this.#session, what, privileges: [privilegeFor(subject)] });
    }
    if (failure.kind === 'refused' && failure.reason === 'no-such-catalog') this.#directory.forget();
    return toError(failure, this.name, what);
  }

  #read(body: string, subject: Subject): { policies: readonly ApplicablePolicy[]; next: string | undefined } {
    const answer = parseJson(body);
    if (typeof answer !== 'object' || answer === null) throw this.#error(subject, 'it is not JSON');
    const { 'applicable-policies': listed, 'next-page-token': next } = answer as Readonly<Record<string, unknown>>;
    if (!Array.isArray(listed)) throw this.#error(subject, 'it has no list of applicable policies');
    const policies = listed.map((each: unknown) => {
      const policy = readPolicy(each);
      if (policy === undefined)
        throw this.#error(subject, 'one of its policies lacks a name, type, version or namespace');
      return policy;
    });
    return { policies, next: typeof next === 'string' && next !== '' ? next : undefined };
  }

  #error(subject: Subject, why: string): PushError {
    const what = `the answer to asking for the policies of ${showSubject(subject)}`;
    return new PushError('POLARIS_REFUSED', `Target ${this.name}: ${what} can't be read: ${why}.`);
  }
}

/** What Polaris wants for the question (source: PolarisAuthorizableOperation, RbacOperationSemantics). */
function privilegeFor({ namespace, name }: Subject): string {
  if (name !== undefined) return 'TABLE_READ_PROPERTIES';
  return namespace.length === 0 ? 'CATALOG_READ_PROPERTIES' : 'NAMESPACE_READ_PROPERTIES';
}

function readPolicy(value: unknown): ApplicablePolicy | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const policy = value as Readonly<Record<string, unknown>>;
  const { name, version, namespace, inheritable, inherited, description, content } = policy;
  const type = policy['policy-type'];
  if (typeof name !== 'string' || typeof type !== 'string' || !Number.isSafeInteger(version)) return undefined;
  if (!Array.isArray(namespace) || !namespace.every((level) => typeof level === 'string')) return undefined;
  return {
    type,
    inheritable: inheritable === true,
    name,
    ...(typeof description === 'string' ? { description } : {}),
    ...(typeof content === 'string' ? { content } : {}),
    version: version as number,
    inherited: inherited === true,
    namespace,
  };
}

const showSubject = ({ namespace, name }: Subject): string => {
  if (name !== undefined) return showTable({ namespace, name });
  return namespace.length === 0 ? 'the catalog' : `namespace ${JSON.stringify(namespace)}`;
};
