import { openPolicies, type PolicyClient } from '../../src/polaris/policies.ts';
import type { PolarisDeps } from '../../src/polaris/client.ts';
import { targetConfig } from '../../src/polaris/config.ts';
import type { EmulatorOptions } from '../../src/polaris/emulator/options.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { Session, type Reply } from './emulator-session.ts';

export const CONTENT = '{"version":"2025-02-03","enable":true,"config":{"target_file_size_bytes":"134217728"}}';
export const COMPACTION = 'system.data-compaction';

const POLARIS = '/api/catalog/polaris/v1/ext';
const MANAGEMENT = '/api/management/v1';
const JSON_BODY = { 'content-type': 'application/json' };

/** An emulated Polaris with tables that policies can be attached to, without metadata files. */
export class PolicyServer implements AsyncDisposable {
  readonly session: Session;

  private constructor(session: Session) {
    this.session = session;
  }

  static async open(options: EmulatorOptions = {}): Promise<PolicyServer> {
    return new PolicyServer(await Session.open({ readMetadata: 'never', ...options }));
  }

  get uri(): string {
    return `${this.session.emulator.uri}/api/catalog`;
  }

  /** A table whose namespaces are made on the way. */
  async table(namespace: readonly string[], name: string, timestamp = 1): Promise<void> {
    await this.notify([namespace, name], 'CREATE', timestamp);
  }

  async notify(
    [namespace, name]: readonly [readonly string[], string],
    type: string,
    timestamp: number,
  ): Promise<void> {
    const levels = encodeURIComponent(namespace.join('\u001F'));
    const location = `file://${this.session.warehouse}/files/metadata/1.metadata.json`;
    const payload = { 'table-name': name, timestamp, 'metadata-location': location };
    await this.must(
      'POST',
      `/api/catalog/v1/ext/namespaces/${levels}/tables/${encodeURIComponent(name)}/notifications`,
      { 'notification-type': type, payload },
    );
  }

  /** Defines a policy, or changes it to its next version. */
  async define(
    namespace: readonly string[],
    name: string,
    { type = COMPACTION, content = CONTENT, version }: { type?: string; content?: string; version?: number } = {},
  ): Promise<void> {
    const path = policiesOf(namespace);
    if (version === undefined) await this.must('POST', path, { name, type, content });
    else await this.must('PUT', `${path}/${name}`, { content, 'current-policy-version': version - 1 });
  }

  /** `at`: a table as `['ns', 'table']` with `table-like`, a namespace, or nothing for the catalog. */
  async attach(
    policy: readonly [namespace: readonly string[], name: string],
    type: string,
    at: readonly string[] = [],
  ) {
    await this.must('PUT', `${policiesOf(policy[0])}/${policy[1]}/mappings`, { target: { type, path: at } });
  }

  /** A principal with these privileges on the catalog; gives its credentials, as a target's `auth` has them. */
  async principal(name: string, privileges: readonly string[]) {
    const created = await this.must('POST', `${MANAGEMENT}/principals`, { principal: { name } });
    const { credentials } = JSON.parse(created.text) as { credentials: { clientId: string; clientSecret: string } };
    await this.must('POST', `${MANAGEMENT}/principal-roles`, { principalRole: { name: `${name}_role` } });
    const roles = `${MANAGEMENT}/catalogs/ext/catalog-roles`;
    await this.must('POST', roles, { catalogRole: { name: `${name}_catalog_role` } });
    for (const privilege of privileges) {
      await this.must('PUT', `${roles}/${name}_catalog_role/grants`, { grant: { type: 'catalog', privilege } });
    }
    await this.must('PUT', `${MANAGEMENT}/principals/${name}/principal-roles`, {
      principalRole: { name: `${name}_role` },
    });
    await this.must('PUT', `${MANAGEMENT}/principal-roles/${name}_role/catalog-roles/ext`, {
      catalogRole: { name: `${name}_catalog_role` },
    });
    return { client_id: credentials.clientId, client_secret: credentials.clientSecret };
  }

  send(method: string, path: string, body?: unknown): Promise<Reply> {
    const text = body === undefined ? {} : { headers: JSON_BODY, body: JSON.stringify(body) };
    return this.session.send(method, path, text);
  }

  /** The same, for what has to succeed. */
  async must(method: string, path: string, body?: unknown): Promise<Reply> {
    const reply = await this.send(method, path, body);
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
    return reply;
  }

  /** A client with the administrator's credentials unless told. */
  client(auth: object = { client_id: 'root', client_secret: 's3cr3t' }, deps: Partial<PolarisDeps> = {}) {
    return clientOf(this.uri, auth, deps);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
  }
}

/** A client of the catalog `ext` at an address. */
export const clientOf = (uri: string, auth: object, deps: Partial<PolarisDeps> = {}): Promise<PolicyClient> =>
  openPolicies(targetConfig.parse({ name: 'main', uri, catalog: 'ext', auth }), {
    clock: systemClock,
    log: silentLog,
    ...deps,
  });

export const policiesOf = (namespace: readonly string[]): string =>
  `${POLARIS}/namespaces/${encodeURIComponent(namespace.join('\u001F'))}/policies`;
