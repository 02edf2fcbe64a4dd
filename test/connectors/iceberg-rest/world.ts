import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { restConfig, type RestConfig } from '../../../connectors/iceberg-rest/config.ts';
import { openRest, type RestConnector } from '../../../connectors/iceberg-rest/connector.ts';
import type { Connector } from '../../../src/connector/connector.ts';
import type { TableIdentifier, TableState } from '../../../src/core/types.ts';
import { startEmulator, type Emulator } from '../../../src/polaris/emulator/emulator.ts';
import type { EmulatedRequest, EmulatorOptions } from '../../../src/polaris/emulator/options.ts';
import { systemClock, type Clock } from '../../../src/runtime/clock.ts';
import { writeMetadata } from '../../conformance/table-files.ts';
import { KeptLog } from '../../polaris/stand-in.ts';

export const SECRET = 's3cr3t';
export const TENANT = 'planted-tenant-header';
const MANAGEMENT = '/api/management/v1';
export const never = new AbortController().signal;

/** A connector on a catalog, with what it logged. */
export class RestWorld implements AsyncDisposable {
  readonly log = new KeptLog();
  readonly clock: Clock;
  readonly #uri: string;
  readonly #connectors: RestConnector[] = [];

  constructor(uri: string, clock: Clock = systemClock) {
    this.#uri = uri;
    this.clock = clock;
  }

  get deps() {
    return { clock: this.clock, log: this.log };
  }

  /** As if it stood in the YAML. */
  config(changes: Readonly<Record<string, unknown>> = {}): RestConfig {
    return restConfig.parse({
      kind: 'iceberg-rest',
      uri: this.#uri,
      warehouse: 'lake',
      timeouts: { connect: '2s', headers: '5s', body: '5s', total: '8s' },
      poll: { requests_per_second: 10_000 },
      ...changes,
    });
  }

  async connector(changes: Readonly<Record<string, unknown>> = {}): Promise<RestConnector> {
    const connector = await openRest(this.config(changes), this.deps);
    this.#connectors.push(connector);
    return connector;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connector of this.#connectors) await connector[Symbol.asyncDispose]();
  }
}

/** Another Polaris as the source: the emulator with a catalog `lake`, and somebody who writes to it. */
export class PolarisWorld extends RestWorld {
  readonly emulator: Emulator;
  readonly seen: EmulatedRequest[] = [];
  readonly #folder: string;
  #token = '';
  #time = 1_700_000_000_000;
  readonly #uuids = new Map<string, string>();

  private constructor(emulator: Emulator, folder: string, clock: Clock | undefined) {
    super(`${emulator.uri}/api/catalog`, clock);
    this.emulator = emulator;
    this.#folder = folder;
    emulator.onRequest((request) => void this.seen.push(request));
  }

  static async start(options: EmulatorOptions & { readonly sourceClock?: Clock } = {}): Promise<PolarisWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'rest-source-'));
    const { sourceClock, ...rest } = options;
    const emulator = await startEmulator({ catalogs: [{ name: 'lake', baseLocation: `file://${folder}` }], ...rest });
    const world = new PolarisWorld(emulator, folder, sourceClock);
    await world.login();
    return world;
  }

  async login(): Promise<void> {
    const form = { grant_type: 'client_credentials', client_id: 'root', client_secret: SECRET };
    const response = await fetch(`${this.emulator.uri}/api/catalog/v1/oauth/tokens`, {
      method: 'POST',
      body: new URLSearchParams({ ...form, scope: 'PRINCIPAL_ROLE:ALL' }),
    });
    this.#token = ((await response.json()) as { access_token: string }).access_token;
  }

  override config(changes: Readonly<Record<string, unknown>> = {}): RestConfig {
    const auth = { type: 'oauth2', client_id: 'root', client_secret: SECRET, scope: 'PRINCIPAL_ROLE:ALL' };
    return super.config({ auth, headers: { 'x-tenant': TENANT }, ...changes });
  }

  async create(table: TableIdentifier): Promise<string> {
    this.#uuids.delete(JSON.stringify(table));
    return await this.#notify(table, 'CREATE');
  }

  async commit(table: TableIdentifier): Promise<string> {
    return await this.#notify(table, 'UPDATE');
  }

  async drop(table: TableIdentifier): Promise<void> {
    await this.send('DELETE', pathOf(table));
  }

  async createView(view: TableIdentifier): Promise<void> {
    await this.createNamespace(view.namespace);
    const folder = this.#folderOf(view);
    const content = JSON.stringify({
      'view-uuid': `uuid-of-${view.name}`,
      'format-version': 1,
      location: `file://${folder}`,
    });
    const { uri } = writeMetadata(folder, { content });
    await this.send('POST', `${namespacePath(view.namespace)}/register-view`, {
      name: view.name,
      'metadata-location': uri,
    });
  }

  /** A principal with privileges on the catalog, and how it logs in. */
  async principal(name: string, privileges: readonly string[]): Promise<object> {
    const created = await this.send('POST', `${MANAGEMENT}/principals`, { principal: { name } });
    const { credentials } = JSON.parse(created) as { credentials: { clientId: string; clientSecret: string } };
    await this.send('POST', `${MANAGEMENT}/principal-roles`, { principalRole: { name: `${name}_role` } });
    await this.send('PUT', `${MANAGEMENT}/principals/${name}/principal-roles`, {
      principalRole: { name: `${name}_role` },
    });
    await this.send('POST', `${MANAGEMENT}/catalogs/lake/catalog-roles`, { catalogRole: { name } });
    for (const privilege of privileges)
      await this.send('PUT', `${MANAGEMENT}/catalogs/lake/catalog-roles/${name}/grants`, {
        grant: { type: 'catalog', privilege },
      });
    await this.send('PUT', `${MANAGEMENT}/principal-roles/${name}_role/catalog-roles/lake`, { catalogRole: { name } });
    const { clientId, clientSecret } = credentials;
    return { type: 'oauth2', client_id: clientId, client_secret: clientSecret, scope: 'PRINCIPAL_ROLE:ALL' };
  }

  /** With its parents. */
  async createNamespace(namespace: readonly string[]): Promise<void> {
    for (let depth = 1; depth <= namespace.length; depth++)
      await this.send('POST', '/api/catalog/v1/lake/namespaces', { namespace: namespace.slice(0, depth) }, [200, 409]);
  }

  async send(
    method: string,
    path: string,
    body?: unknown,
    expected: readonly number[] = [200, 201, 204],
  ): Promise<string> {
    const response = await fetch(this.emulator.uri + path, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!expected.includes(response.status)) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  }

  /** Of requests for tables and listings, not of those for tokens and what the test itself sends. */
  async asked(work: () => Promise<unknown>): Promise<readonly string[]> {
    const before = this.seen.length;
    await work();
    return this.seen.slice(before).map(({ method, path }) => `${method} ${path.replace('/api/catalog/v1/', '')}`);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.emulator[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true });
  }

  async #notify(table: TableIdentifier, type: string): Promise<string> {
    const key = JSON.stringify(table);
    const uuid = this.#uuids.get(key);
    const metadata = writeMetadata(this.#folderOf(table), { uuid });
    this.#uuids.set(key, metadata.uuid);
    await this.send('POST', `${pathOf(table)}/notifications`, {
      'notification-type': type,
      payload: { 'table-name': table.name, timestamp: this.#time++, 'metadata-location': metadata.uri },
    });
    return metadata.uri;
  }

  #folderOf({ namespace, name }: TableIdentifier): string {
    // A file's URI must not need quoting.
    return join(this.#folder, ...[...namespace, name].map((level) => Buffer.from(level).toString('hex')));
  }
}

const namespacePath = (namespace: readonly string[]): string =>
  `/api/catalog/v1/lake/namespaces/${namespace.map(encodeURIComponent).join('%1F')}`;

export const pathOf = ({ namespace, name }: TableIdentifier): string =>
  `${namespacePath(namespace)}/tables/${encodeURIComponent(name)}`;

export async function listAll(connector: Connector, signal = never): Promise<readonly TableState[]> {
  const states: TableState[] = [];
  for await (const page of connector.list(signal)) states.push(...page);
  return states;
}

export const table = (...levels: string[]): TableIdentifier => ({
  namespace: levels.slice(0, -1),
  name: levels.at(-1) ?? '',
});
