/** A table as Polaris serves it to any Iceberg client. */
export type ServedTable = {
  readonly metadataLocation: string;
  readonly tableUuid: string;
  readonly snapshotId: string | null;
  readonly columns: number;
};

export type Credentials = { readonly clientId: string; readonly clientSecret: string };
type Call = { readonly method: 'GET' | 'POST' | 'PUT'; readonly path: string; readonly body?: unknown };

/** What the agent needs, as the user guide grants it. */
export const AGENT_PRIVILEGES = [
  'TABLE_CREATE',
  'TABLE_WRITE_PROPERTIES',
  'TABLE_DROP',
  'NAMESPACE_CREATE',
  'NAMESPACE_DROP',
];
/** What somebody needs who queries tables: Iceberg clients ask for credentials to read the data along with a table. */
export const READER_PRIVILEGES = ['TABLE_READ_DATA'];

/**
 * A Polaris as seen by somebody else than the agent: a few lines over the REST API that share no code with the
 * agent's client, so that a mistake there can't hide itself here.
 */
export class Polaris {
  readonly #uri: string;
  readonly #token: string;

  private constructor(uri: string, token: string) {
    this.#uri = uri;
    this.#token = token;
  }

  /** `uri` is the server's, without a path. */
  static async login(uri: string, { clientId, clientSecret }: Credentials): Promise<Polaris> {
    const response = await fetch(`${uri}/api/catalog/v1/oauth/tokens`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: clientId,
        client_secret: clientSecret,
        scope: 'PRINCIPAL_ROLE:ALL',
      }),
    });
    if (!response.ok) throw new Error(`Polaris gave no token: ${response.status} ${await response.text()}`);
    return new Polaris(uri, ((await response.json()) as { access_token: string }).access_token);
  }

  /** Creates a principal that has these privileges on the catalog, and nothing else. */
  async createPrincipal(catalog: string, name: string, privileges: readonly string[]): Promise<Credentials> {
    const management = (method: 'POST' | 'PUT', path: string, body: unknown) =>
      this.#call({ method, path: `/api/management/v1${path}`, body });
    const principalRole = { principalRole: { name: `${name}_role` } };
    const catalogRole = { catalogRole: { name: `${name}_catalog_role` } };
    const principal = { name, properties: {} };
    const created = await management('POST', '/principals', { principal, credentialRotationRequired: false });
    await management('POST', '/principal-roles', principalRole);
    await management('PUT', `/principals/${name}/principal-roles`, principalRole);
    await management('POST', `/catalogs/${catalog}/catalog-roles`, catalogRole);
    await management('PUT', `/principal-roles/${name}_role/catalog-roles/${catalog}`, catalogRole);
    for (const privilege of privileges) {
      const grant = { type: 'catalog', privilege };
      await management('PUT', `/catalogs/${catalog}/catalog-roles/${name}_catalog_role/grants`, { grant });
    }
    return (created as { credentials: Credentials }).credentials;
  }

  /** Every table of the catalog, in namespaces of any depth, by its dotted name. */
  async tables(catalog: string): Promise<ReadonlyMap<string, ServedTable>> {
    const tables = new Map<string, ServedTable>();
    const pending: (readonly string[])[] = [[]];
    for (let namespace = pending.shift(); namespace !== undefined; namespace = pending.shift()) {
      pending.push(...(await this.#children(catalog, namespace)));
      if (namespace.length === 0) continue;
      for (const name of await this.#names(catalog, namespace)) {
        const served = await this.#load(catalog, namespace, name);
        if (served !== undefined) tables.set([...namespace, name].join('.'), served);
      }
    }
    return tables;
  }

  async #children(catalog: string, namespace: readonly string[]): Promise<readonly (readonly string[])[]> {
    const query = namespace.length === 0 ? '' : `?parent=${levels(namespace)}`;
    const page = await this.#get(`/api/catalog/v1/${catalog}/namespaces${query}`);
    return (page as { namespaces: readonly (readonly string[])[] }).namespaces;
  }

  async #names(catalog: string, namespace: readonly string[]): Promise<readonly string[]> {
    const page = await this.#get(`/api/catalog/v1/${catalog}/namespaces/${levels(namespace)}/tables`);
    return (page as { identifiers: readonly { name: string }[] }).identifiers.map(({ name }) => name);
  }

  /** Undefined: dropped since it was listed. A table whose metadata can't be read is reported by its error. */
  async #load(catalog: string, namespace: readonly string[], name: string): Promise<ServedTable | undefined> {
    const path = `/api/catalog/v1/${catalog}/namespaces/${levels(namespace)}/tables/${encodeURIComponent(name)}`;
    const loaded = (await this.#get(path)) as
      | {
          'metadata-location': string;
          metadata: {
            'table-uuid': string;
            'current-snapshot-id'?: string | null;
            'current-schema-id': number;
            /** Absent where the emulated Polaris reads no metadata files. */
            schemas?: readonly { 'schema-id': number; fields: readonly unknown[] }[];
          };
        }
      | { readonly failure: string };
    if ('failure' in loaded) {
      if (loaded.failure.includes('NoSuchTableException')) return undefined;
      return { metadataLocation: loaded.failure, tableUuid: '', snapshotId: null, columns: 0 };
    }
    const { metadata } = loaded;
    const schema = metadata.schemas?.find((each) => each['schema-id'] === metadata['current-schema-id']);
    const snapshotId = metadata['current-snapshot-id'] ?? null;
    return {
      metadataLocation: loaded['metadata-location'],
      tableUuid: metadata['table-uuid'],
      snapshotId: snapshotId === '-1' ? null : snapshotId,
      columns: schema?.fields.length ?? 0,
    };
  }

  async #get(path: string): Promise<unknown> {
    return this.#call({ method: 'GET', path });
  }

  async #call({ method, path, body }: Call): Promise<unknown> {
    const response = await fetch(`${this.#uri}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok && method === 'GET' && response.status === 404) return { failure: text };
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text, exact);
  }
}

const levels = (namespace: readonly string[]): string => encodeURIComponent(namespace.join('\u{1f}'));

/** Keeps integers that a double can't hold, as snapshot ids are, in their own digits. */
function exact(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return key.endsWith('snapshot-id') && typeof value === 'number' ? (context?.source ?? String(value)) : value;
}
