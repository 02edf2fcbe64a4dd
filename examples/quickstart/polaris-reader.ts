export type PolarisAccess = {
  /** Of the catalog API, such as `https://polaris.example.com/api/catalog`. */
  readonly uri: string;
  readonly catalog: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly realm?: string | undefined;
};

/** So many tables are loaded at once. */
const CONCURRENCY = 8;
const TIMEOUT_MS = 10_000;

/**
 * Reads a catalog the way any other client of Polaris does. It shares no code with the agent's own client, as what it
 * finds is the verdict on the agent.
 */
export class PolarisReader {
  readonly #access: PolarisAccess;
  #token: string | undefined;

  constructor(access: PolarisAccess) {
    this.#access = access;
  }

  /** Every Iceberg table that Polaris serves: its name with dots → the metadata location of its loaded metadata. */
  async tables(): Promise<Map<string, string>> {
    const found: string[][] = [];
    for (const namespace of await this.#namespaces([])) {
      const list = await this.#pages(`namespaces/${path(namespace)}/tables`, {}, 'identifiers');
      for (const { namespace: levels, name } of list as { namespace: string[]; name: string }[])
        found.push([...levels, name]);
    }
    const tables = new Map<string, string>();
    const load = async () => {
      for (let table = found.pop(); table !== undefined; table = found.pop()) {
        const response = await this.#get(`namespaces/${path(table.slice(0, -1))}/tables/${path(table.slice(-1))}`);
        // Dropped since it was listed: it isn't served.
        if (response.status === 404) continue;
        const body = (await response.json()) as { 'metadata-location'?: string; error?: { message?: string } };
        tables.set(
          table.join('.'),
          body['metadata-location'] ?? `(not served: ${response.status} ${body.error?.message})`,
        );
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, load));
    return tables;
  }

  async #namespaces(parent: readonly string[]): Promise<string[][]> {
    const query: Record<string, string> = parent.length === 0 ? {} : { parent: parent.join('\u001F') };
    const children = (await this.#pages('namespaces', query, 'namespaces')) as string[][];
    const below: string[][] = [];
    for (const child of children) below.push(child, ...(await this.#namespaces(child)));
    return below;
  }

  async #pages(resource: string, query: Record<string, string>, member: string): Promise<unknown[]> {
    const items: unknown[] = [];
    for (let pageToken: string | undefined = ''; pageToken !== undefined;) {
      const search = new URLSearchParams(pageToken === '' ? query : { ...query, pageToken });
      const response = await this.#get(`${resource}?${search.toString()}`);
      // A namespace that was dropped since it was listed holds nothing.
      if (response.status === 404) return items;
      if (!response.ok) throw new Error(`Polaris answered ${response.status} to ${resource}: ${await response.text()}`);
      const body = (await response.json()) as Record<string, unknown>;
      items.push(...((body[member] as unknown[] | undefined) ?? []));
      pageToken = (body['next-page-token'] as string | null | undefined) ?? undefined;
    }
    return items;
  }

  async #get(resource: string): Promise<Response> {
    const { uri, catalog } = this.#access;
    this.#token ??= await logIn(this.#access);
    const request = async () =>
      fetch(`${uri}/v1/${encodeURIComponent(catalog)}/${resource}`, {
        headers: { authorization: `Bearer ${this.#token}`, ...realmHeader(this.#access) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    const response = await request();
    if (response.status !== 401) return response;
    this.#token = await logIn(this.#access);
    return request();
  }
}

/** A token of all the roles that the client has. Throws if Polaris gives none. */
export async function logIn(access: PolarisAccess): Promise<string> {
  const { uri, clientId, clientSecret } = access;
  const response = await fetch(`${uri}/v1/oauth/tokens`, {
    method: 'POST',
    headers: realmHeader(access),
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      scope: 'PRINCIPAL_ROLE:ALL',
    }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`Polaris gave no token: ${response.status}.`);
  return ((await response.json()) as { access_token: string }).access_token;
}

const realmHeader = ({ realm }: PolarisAccess): Record<string, string> =>
  realm === undefined ? {} : { 'Polaris-Realm': realm };

/** Levels of a name as one segment of a path. */
const path = (levels: readonly string[]): string => encodeURIComponent(levels.join('\u001F'));
