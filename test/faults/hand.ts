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

  async createView(view: string): Promise<void> {
    const [namespace, name] = view.split('.');
    const version = {
      'version-id': 1,
      'timestamp-ms': 1_700_000_000_000,
      'schema-id': 0,
      summary: {},
      representations: [{ type: 'sql', sql: 'select 1 as id', dialect: 'spark' }],
      'default-namespace': [namespace],
    };
    const location = pathToFileURL(join(this.#world.warehouse, `view-${name}`)).href;
    const body = { name, location, schema: SCHEMA, 'view-version': version, properties: {} };
    assertDone(await this.#send('POST', `v1/${CATALOG}/namespaces/${namespace}/views`, body), view);
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

  async createNamespace(namespace: string): Promise<void> {
    assertDone(await this.#send('POST', `v1/${CATALOG}/namespaces`, { namespace: [namespace] }), namespace);
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

function resource(table: string, kind = 'tables'): string {
  const [namespace = '', name = ''] = table.split('.');
  return `namespaces/${namespace}/${kind}/${name}`;
}

function assertDone(status: number, what: string): void {
  if (status >= 300) throw new Error(`Polaris answered ${status} about ${what}.`);
}
