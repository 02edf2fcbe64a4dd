import { randomUUID } from 'node:crypto';
import { type Replay, type Topic, notification, textAt } from '../replay.ts';

const MANAGEMENT = '/api/management/v1';
const FIVE = ['TABLE_CREATE', 'TABLE_WRITE_PROPERTIES', 'TABLE_DROP', 'NAMESPACE_CREATE', 'NAMESPACE_DROP'];
const READING = ['TABLE_READ_PROPERTIES', 'TABLE_LIST', 'NAMESPACE_LIST', 'NAMESPACE_READ_PROPERTIES'];
const SETS = [
  ['CATALOG_MANAGE_CONTENT'],
  ['TABLE_FULL_METADATA', 'NAMESPACE_FULL_METADATA'],
  ['TABLE_WRITE_DATA', 'NAMESPACE_CREATE', 'NAMESPACE_DROP'],
  ['TABLE_FULL_METADATA'],
  ['CATALOG_MANAGE_METADATA'],
  ['CATALOG_MANAGE_ACCESS'],
];

export const privileges: Topic = {
  title: 'privileges: which suffice, and when they take effect',
  async run(replay) {
    const agent = await Agent.provision(replay);
    await agent.login('perm-oauth-sync-agent', 'PRINCIPAL_ROLE:ALL');
    await agent.tryAll('none');
    for (const privilege of FIVE) await agent.grant(privilege, `perm-grant-${privilege}`);
    await agent.tryAll('all-five');
    for (const privilege of FIVE) {
      await agent.revoke(privilege);
      await agent.tryAll(`five-minus-${privilege}`);
      await agent.grant(privilege);
    }
    await agent.revoke(...FIVE);
    for (const set of SETS) {
      await agent.grantAll(set);
      await agent.tryAll(`only:${set.join('+')}`);
      await agent.revoke(...set);
    }
    await agent.grantAll([...FIVE, ...READING]);
    await agent.tryAll(`five+read(${READING.join(',')})`);
    await agent.otherCatalog();

    await agent.revoke(...FIVE);
    for (const privilege of FIVE) await agent.grantOnNamespace(privilege);
    await agent.tryAll('five-on-namespace-only');
    await agent.grantAll(FIVE);
    await agent.login('perm-oauth-scope-single-role', `PRINCIPAL_ROLE:${replay.named('sync_agent_role')}`);
    await agent.tryAll('token-scoped-to-role');
    await agent.revoke('TABLE_CREATE');
    await agent.tryAll('revoked-with-live-token');
    await agent.grant('TABLE_CREATE');
    await agent.remove();
    await agent.tryAll('principal-deleted-live-token');
  },
};

/** A principal with one role, whose grants change from step to step. */
class Agent {
  readonly #replay: Replay;
  readonly #credentials: { readonly clientId: string; readonly clientSecret: string };
  readonly #grants: string;
  #token = '';
  #timestamp = 10;
  #tables = 0;

  private constructor(replay: Replay, credentials: { clientId: string; clientSecret: string }) {
    this.#replay = replay;
    this.#credentials = credentials;
    this.#grants = `${MANAGEMENT}/catalogs/${replay.named('perm')}/catalog-roles/${replay.named('sync_cr')}/grants`;
  }

  static async provision(replay: Replay): Promise<Agent> {
    const [principal, role, catalogRole] = ['sync_agent', 'sync_agent_role', 'sync_cr'].map((n) => replay.named(n));
    const catalog = replay.named('perm');
    for (const path of [`/principals/${principal}`, `/principal-roles/${role}`]) {
      replay.cleanUpLater(async () => {
        const { status, text } = await replay.send('DELETE', MANAGEMENT + path);
        // The principal is deleted by its own scenario, if that was reached.
        return status === 204 || status === 404 ? undefined : `${path}: ${status} ${text}`;
      });
    }
    const created = await replay.call('perm-principal-create', 'POST', `${MANAGEMENT}/principals`, {
      body: { principal: { name: principal, properties: {} }, credentialRotationRequired: false },
    });
    await replay.call('perm-principal-role-create', 'POST', `${MANAGEMENT}/principal-roles`, {
      body: { principalRole: { name: role } },
    });
    const roles = `${MANAGEMENT}/principals/${principal}/principal-roles`;
    await replay.call('perm-assign-principal-role', 'PUT', roles, { body: { principalRole: { name: role } } });
    await replay.call('perm-catalog-role-create', 'POST', `${MANAGEMENT}/catalogs/${catalog}/catalog-roles`, {
      body: { catalogRole: { name: catalogRole } },
    });
    const assign = `${MANAGEMENT}/principal-roles/${role}/catalog-roles/${catalog}`;
    await replay.call('perm-assign-catalog-role', 'PUT', assign, { body: { catalogRole: { name: catalogRole } } });
    return new Agent(replay, {
      clientId: textAt(created, 'credentials', 'clientId'),
      clientSecret: textAt(created, 'credentials', 'clientSecret'),
    });
  }

  async login(scenario: string, scope: string): Promise<void> {
    const { clientId, clientSecret } = this.#credentials;
    const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope };
    this.#token = textAt(await this.#replay.token(scenario, form), 'access_token');
  }

  async grant(privilege: string, scenario = ''): Promise<void> {
    await this.#replay.call(scenario, 'PUT', this.#grants, { body: { grant: { type: 'catalog', privilege } } });
  }

  async grantAll(privilegeNames: readonly string[]): Promise<void> {
    for (const privilege of privilegeNames) await this.grant(privilege);
  }

  async revoke(...privilegeNames: readonly string[]): Promise<void> {
    for (const privilege of privilegeNames) {
      await this.#replay.send('POST', this.#grants, { body: { grant: { type: 'catalog', privilege } } });
    }
  }

  async grantOnNamespace(privilege: string): Promise<void> {
    const grant = { type: 'namespace', namespace: ['ns'], privilege };
    await this.#replay.call(`perm-ns-grant-${privilege}`, 'PUT', this.#grants, { body: { grant } });
  }

  /** Everything that a sync agent does, as the recording did it after each change of grants. */
  async tryAll(label: string): Promise<void> {
    const replay = this.#replay;
    const name = `t${this.#tables}`;
    this.#tables += 1;
    const file = replay.metadata(`perm/ns/${name}`);
    const next = replay.metadata(`perm/ns/${name}`, { uuid: file.uuid, version: 1 });
    const existing = `ex${name}`;
    await replay.notify('', [['ns'], existing], 'CREATE', { timestamp: 1, file }, { catalog: 'perm' });
    const notify = async (type: string, table: string, what: typeof file, namespace = 'ns') => {
      this.#timestamp += 1;
      const payload = { timestamp: this.#timestamp, file: what };
      const options = { catalog: 'perm', token: this.#token };
      await replay.notify(`perm[${label}]-${type}`, [[namespace], table], type, payload, options);
    };
    await notify('VALIDATE', name, file);
    await notify('CREATE', name, file);
    await notify('UPDATE', existing, next);
    await notify('DROP', existing, next);
    await notify('CREATE', `${name}x`, file, `newns${this.#tables}`);
    const get = (scenario: string, path: string, method = 'GET') =>
      replay.call(`perm[${label}]-${scenario}`, method, path, { token: this.#token });
    await get('loadTable', replay.tablePath('perm', ['ns'], name));
    await get('listTables', replay.tablePath('perm', ['ns']));
    await get('listNs', `${replay.catalogPath('perm')}/namespaces`);
    await get('headTable', replay.tablePath('perm', ['ns'], name), 'HEAD');
    await get('config', `/api/catalog/v1/config?warehouse=${replay.named('perm')}`);
  }

  async otherCatalog(): Promise<void> {
    const replay = this.#replay;
    const token = this.#token;
    const config = `/api/catalog/v1/config?warehouse=${replay.named('ext')}`;
    await replay.call('perm-config-other-catalog', 'GET', config, { token });
    const body = notification('CREATE', { timestamp: 9, 'table-uuid': randomUUID(), 'metadata-location': 'x' });
    const path = replay.notificationPath('ext', ['probe'], 't0');
    await replay.call('perm-notify-other-catalog(403)', 'POST', path, { token, body });
    await replay.call('perm-grants-list', 'GET', this.#grants);
  }

  async remove(): Promise<void> {
    const path = `${MANAGEMENT}/principals/${this.#replay.named('sync_agent')}`;
    await this.#replay.call('perm-delete-principal', 'DELETE', path);
  }
}
