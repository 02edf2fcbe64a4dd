import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { type Emulator, startEmulator } from '../../src/polaris/emulator/emulator.ts';
import type { EmulatorOptions } from '../../src/polaris/emulator/options.ts';
import { type MetadataFile, type MetadataOptions, writeMetadata } from '../conformance/table-files.ts';

export type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The type of an Iceberg-style error. */
  readonly error: string | undefined;
};

/** An emulator with one EXTERNAL catalog `ext` in a temporary folder, and a logged-in administrator. */
export class Session implements AsyncDisposable {
  readonly emulator: Emulator;
  readonly warehouse: string;
  /** A connection for each request, so that none is found closed by a pause. */
  readonly #agent = new Agent({ pipelining: 0 });
  #token = '';

  private constructor(emulator: Emulator, warehouse: string) {
    this.emulator = emulator;
    this.warehouse = warehouse;
  }

  static async open(options: EmulatorOptions = {}): Promise<Session> {
    const warehouse = mkdtempSync(join(tmpdir(), 'emulator-'));
    const catalogs = [{ name: 'ext', baseLocation: `file://${warehouse}` }, ...(options.catalogs ?? [])];
    const session = new Session(await startEmulator({ ...options, catalogs }), warehouse);
    await session.login();
    return session;
  }

  async login(): Promise<void> {
    const form = { grant_type: 'client_credentials', client_id: 'root', client_secret: 's3cr3t' };
    const reply = await this.send('POST', '/api/catalog/v1/oauth/tokens', {
      headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: undefined },
      body: new URLSearchParams({ ...form, scope: 'PRINCIPAL_ROLE:ALL' }).toString(),
    });
    this.#token = (JSON.parse(reply.text) as { access_token: string }).access_token;
  }

  metadata(table: string, options?: MetadataOptions): MetadataFile {
    return writeMetadata(`${this.warehouse}/${table}`, options);
  }

  path(table: string, catalog = 'ext'): string {
    return `/api/catalog/v1/${catalog}/namespaces/ns/tables/${table}`;
  }

  /** `timestamp` is written as it is: text for numbers that JavaScript can't hold. */
  notify(
    table: string,
    type: string,
    timestamp: number | string,
    location: string | undefined,
    catalog?: string,
  ): Promise<Reply> {
    const body = JSON.stringify({
      'notification-type': type,
      payload: { 'table-name': table, timestamp: '<timestamp>', 'metadata-location': location },
    });
    return this.send('POST', `${this.path(table, catalog)}/notifications`, {
      headers: { 'content-type': 'application/json' },
      body: body.replace('"<timestamp>"', String(timestamp)),
    });
  }

  async send(
    method: string,
    path: string,
    options: { readonly headers?: Record<string, string | undefined>; readonly body?: string } = {},
  ): Promise<Reply> {
    const headers = { authorization: `Bearer ${this.#token}`, ...options.headers };
    const response = await request(this.emulator.uri + path, {
      dispatcher: this.#agent,
      method,
      headers,
      body: options.body ?? null,
    });
    const text = await response.body.text();
    return { status: response.statusCode, headers: response.headers, text, error: errorTypeOf(text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
    await this.emulator[Symbol.asyncDispose]();
    rmSync(this.warehouse, { recursive: true });
  }
}

function errorTypeOf(text: string): string | undefined {
  if (!text.startsWith('{"error":{')) return undefined;
  return (JSON.parse(text) as { error: { type: string } }).error.type;
}
