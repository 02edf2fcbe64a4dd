import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the parts of an agent are led to. */
export type Ports = {
  readonly http: number;
  readonly postgres: number;
  /** Where the agent itself listens. */
  readonly listen: number;
  /** Where nothing listens. */
  readonly nowhere: number;
};

type Content = Readonly<Record<string, unknown>>;

/** Configurations that have, taken together, a marked value under every secret key there is. By name. */
export function planted(folder: string, ports: Ports): Readonly<Record<string, Content>> {
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const uri = `http://127.0.0.1:${ports.http}/api/catalog`;
  const states = file(
    'states.ndjson',
    `${JSON.stringify({
      table: ['sales', 'orders'],
      state: 'present',
      metadata_location: 'file:///warehouse/ext/sales/orders/metadata/1.json',
      incarnation: '1',
      as_of: 1_700_000_000_000,
    })}\n`,
  );
  const target = (auth: Content) => ({
    name: 'main',
    uri,
    catalog: 'ext',
    auth,
    headers: { 'X-Gateway-Key': 'MARKED-gateway' },
    timeouts: { connect: '1s', headers: '2s', body: '1s', total: '3s' },
  });
  const everywhere = {
    http: {
      listen: `127.0.0.1:${ports.listen}`,
      token: 'MARKED-http-token-0123456789',
      admin_token: 'MARKED-admin-token-0123456789',
    },
    forward: [
      {
        kind: 'webhook',
        url: `http://127.0.0.1:${ports.http}/events`,
        secret: 'whsec_MARKED0123456789012345678901234567',
        headers: { 'X-Tenant-Key': 'MARKED-tenant' },
      },
      {
        kind: 'kafka',
        brokers: [`127.0.0.1:${ports.nowhere}`],
        topic: 'events',
        sasl: { mechanism: 'plain', username: 'agent', password: 'MARKED-sasl' },
        timeout: '1s',
      },
    ],
  };
  const rest = (auth: Content) => ({
    kind: 'iceberg-rest',
    uri,
    auth,
    headers: { 'X-Api-Key': 'MARKED-api-key' },
    webhook: { secret: 'MARKED-announcements-0123' },
    timeouts: { connect: '1s', headers: '2s', body: '1s', total: '3s' },
  });
  const credentials = { client_id: 'sync_agent', client_secret: 'MARKED/client secret&+' };
  const grant = { client_id: 'reader', client_secret: 'MARKED-reader' };
  const configs: Record<string, Content> = {
    hive: {
      source: {
        kind: 'hive',
        connection: `postgresql://polaris_push:MARKED%2Fpass%20word@127.0.0.1:${ports.postgres}/metastore`,
        connect_timeout: '1s',
        query_timeout: '1s',
      },
      targets: [target(credentials)],
    },
    bearer: {
      source: rest({ type: 'bearer', token: 'MARKED-bearer' }),
      targets: [target({ token: 'MARKED-target-token' })],
    },
    oauth2: { source: rest({ type: 'oauth2', ...grant }), targets: [target(credentials)] },
    'token-exchange': {
      source: rest({ type: 'token-exchange', subject_token: 'MARKED-subject', ...grant }),
      targets: [target({ token_file: file('token', 'MARKED-file-token\n') })],
    },
    glue: {
      source: {
        kind: 'glue',
        region: 'eu-west-1',
        endpoint: `http://127.0.0.1:${ports.http}`,
        queue_url: `http://127.0.0.1:${ports.http}/123456789012/polaris-push`,
      },
      targets: [target(credentials)],
    },
    file: { source: { kind: 'file', path: states }, targets: [target(credentials)] },
    'secret files': {
      source: { kind: 'file', path: states },
      targets: [target({ client_id: 'sync_agent', client_secret_file: file('client-secret', 'MARKED-file-secret\n') })],
    },
  };
  return Object.fromEntries(
    Object.entries(configs).map(([name, content]) => [
      name,
      { ...content, ...everywhere, ledger: { path: join(folder, `${name.replace(' ', '-')}.db`) } },
    ]),
  );
}
