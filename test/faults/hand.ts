import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeMetadata } from '../conformance/table-files.ts';
import { CATALOG, type World } from './world.ts';

export type Sent = {
  readonly table: string;
  readonly type: 'CREATE' | 'UPDATE' | 'DROP';
  /** Epoch ms. */
  readonly timestamp: number;
  readonly location?: string | undefined;
};

const SCHEMA = { type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'id', required: true, type: 'long' }] };

/** Somebody with a token of their own, who does by hand to the world's Polaris what the agent doesn't expect. */
export class Hand {
  readonly #world: World;
  readonly #token: string;

  private constructor(world: World, token: string) {
    this.#world = world;
    this.#token = token;
  }

  static async of(world: World): Promise<Hand> {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: 'root',
      client_secret: 's3cr3t',
      scope: 'PRINCIPAL_ROLE:ALL',
    });
    const answer = await fetch(`${world.emulator.uri}/api/catalog/v1/oauth/tokens`, { method: 'POST', body });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    return new Hand(world, token);
  }

  /** Sends a notification; resolves with the status. */
  notify({ table, type, timestamp, location }: Sent): Promise<number> {
    const [, name] = table.split('.');
    const payload = {
      'table-name': name,
      timestamp,
      'table-uuid': '00000000-0000-0000-0000-000000000000',
      'metadata-location': location,
      metadata: null,
    };
    return this.#send('POST', `v1/${CATALOG}/${resource(table)}/notifications`, {
      'notification-type': type,
      payload,
    });
  }

  /** Drops a table in Polaris itself, and so its timestamp. */
  dropTable(table: string): Promise<number> {
    return this.#send('DELETE', `v1/${CATALOG}/${resource(table)}`);
  }

  /** An EXTERNAL catalog takes views by their metadata file only. */
  async registerView(view: string): Promise<void> {
    const [namespace = '', name = ''] = view.split('.');
    const folder = join(this.#world.warehouse, `${namespace}.db`, name);
    mkdirSync(join(folder, 'metadata'), { recursive: true });
    const file = join(folder, 'metadata', 'v1.metadata.json');
    writeFileSync(file, JSON.stringify(viewMetadata(pathToFileURL(folder).href, namespace)));
    const body = { name, 'metadata-location': pathToFileURL(file).href };
    assertDone(await this.#send('POST', `v1/${CATALOG}/namespaces/${namespace}/register-view`, body), view);
  }

  async dropView(view: string): Promise<void> {
    assertDone(await this.#send('DELETE', `v1/${CATALOG}/${resource(view, 'views')}`), view);
  }

  async createGenericTable(table: string): Promise<void> {
    const [namespace, name] = table.split('.');
    const body = { name, format: 'delta', properties: {} };
    assertDone(await this.#send('POST', `polaris/v1/${CATALOG}/namespaces/${namespace}/generic-tables`, body), table);
  }

  async dropGenericTable(table: string): Promise<void> {
    assertDone(await this.#send('DELETE', `polaris/v1/${CATALOG}/${resource(table, 'generic-tables')}`), table);
  }

  /** The location of a metadata file of somebody else's table. */
  foreignMetadata(table: string): string {
    return writeMetadata(join(this.#world.warehouse, 'foreign', table)).uri;
  }

  async #send(method: string, path: string, body?: object): Promise<number> {
    const response = await fetch(`${this.#world.emulator.uri}/api/catalog/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    await response.arrayBuffer();
    return response.status;
  }
}

/** The least that Iceberg's specification of views asks for. */
const viewMetadata = (location: string, namespace: string) => ({
  'view-uuid': '22222222-2222-4222-8222-222222222222',
  'format-version': 1,
  location,
  schemas: [SCHEMA],
  'current-version-id': 1,
  versions: [
    {
      'version-id': 1,
      'timestamp-ms': 1_700_000_000_000,
      'schema-id': 0,
      summary: {},
      representations: [{ type: 'sql', sql: 'select 1 as id', dialect: 'spark' }],
      'default-namespace': [namespace],
    },
  ],
  'version-log': [{ 'timestamp-ms': 1_700_000_000_000, 'version-id': 1 }],
  properties: {},
});

function resource(table: string, kind = 'tables'): string {
  const [namespace = '', name = ''] = table.split('.');
  return `namespaces/${namespace}/${kind}/${name}`;
}

function assertDone(status: number, what: string): void {
  if (status >= 300) throw new Error(`Polaris answered ${status} about ${what}.`);
}
