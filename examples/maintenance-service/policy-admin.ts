import { logIn, type PolarisAccess } from '../quickstart/polaris-reader.ts';
import { DATA_COMPACTION } from './compaction-policy.ts';

/** What a policy is attached to: the catalog (an empty path), a namespace, or a table (`table-like`). */
export type PolicyTarget = {
  readonly type: 'catalog' | 'namespace' | 'table-like';
  readonly path: readonly string[];
};

const TIMEOUT_MS = 10_000;
/** The only version of its schema that Polaris 1.7 knows. */
const SCHEMA_VERSION = '2025-02-03';

/** The administrator of a catalog, who creates policies and attaches them, through Polaris's REST API. */
export class PolicyAdmin {
  readonly #access: PolarisAccess;
  #token: string | undefined;

  constructor(access: PolarisAccess) {
    this.#access = access;
  }

  /** Creates a compaction policy in a namespace (of one level) and attaches it. */
  async create(namespace: string, name: string, content: object, target: PolicyTarget): Promise<void> {
    await this.#send('POST', policiesOf(namespace), { name, type: DATA_COMPACTION, content: textOf(content) });
    await this.#send('PUT', `${policiesOf(namespace)}/${encodeURIComponent(name)}/mappings`, { target });
  }

  /** Changes the content of a policy from the version that the caller knows: it becomes the next one. */
  async update(namespace: string, name: string, content: object, version: number): Promise<void> {
    const change = { content: textOf(content), 'current-policy-version': version };
    await this.#send('PUT', `${policiesOf(namespace)}/${encodeURIComponent(name)}`, change);
  }

  async #send(method: 'POST' | 'PUT', resource: string, body: object): Promise<void> {
    const { uri, catalog } = this.#access;
    this.#token ??= await logIn(this.#access);
    const response = await fetch(`${uri}/polaris/v1/${encodeURIComponent(catalog)}/${resource}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Polaris answered ${response.status} to ${method} ${resource}: ${text}`);
  }
}

const policiesOf = (namespace: string): string => `namespaces/${encodeURIComponent(namespace)}/policies`;

const textOf = (content: object): string => JSON.stringify({ version: SCHEMA_VERSION, ...content });
