// Prepares the Polaris of compose.yaml: an EXTERNAL catalog, and a principal with the five privileges that the agent needs.
// Then writes the agent's configuration and secrets. It may be run again: what is there stays, save the principal, whose
// secret Polaris shows only once. Needs nothing but Node.js, as it is run alone.
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CATALOG = 'hive_mirror';
const NAME = 'sync_agent';
const PRIVILEGES = ['TABLE_CREATE', 'TABLE_WRITE_PROPERTIES', 'TABLE_DROP', 'NAMESPACE_CREATE', 'NAMESPACE_DROP'];

type Principal = { readonly credentials: { readonly clientId: string; readonly clientSecret: string } };

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`the environment variable ${name} is not set`);
  return value;
}

const polaris = setting('POLARIS');

async function token(): Promise<string> {
  const response = await fetch(`${polaris}/api/catalog/v1/oauth/tokens`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: setting('POLARIS_ADMIN_ID'),
      client_secret: setting('POLARIS_ADMIN_SECRET'),
      scope: 'PRINCIPAL_ROLE:ALL',
    }),
  });
  if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
  const { access_token: issued } = (await response.json()) as { access_token: string };
  return issued;
}

const authorization = `Bearer ${await token()}`;

/** One request to the management API. `fine` are the statuses, besides success, that mean: nothing to do. */
async function manage(method: string, path: string, body?: object, fine: readonly number[] = []): Promise<unknown> {
  const response = await fetch(`${polaris}/api/management/v1/${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok && !fine.includes(response.status)) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

const EXISTS = [409];
const ABSENT = [404];
const warehouse = setting('WAREHOUSE');
const catalog = {
  type: 'EXTERNAL',
  name: CATALOG,
  properties: { 'default-base-location': warehouse },
  storageConfigInfo: { storageType: 'FILE', allowedLocations: [warehouse] },
};
await manage('POST', 'catalogs', { catalog }, EXISTS);
await manage('DELETE', `principals/${NAME}`, undefined, ABSENT);
const { credentials } = (await manage('POST', 'principals', { principal: { name: NAME } })) as Principal;
await manage('POST', 'principal-roles', { principalRole: { name: NAME } }, EXISTS);
await manage('PUT', `principals/${NAME}/principal-roles`, { principalRole: { name: NAME } });
await manage('POST', `catalogs/${CATALOG}/catalog-roles`, { catalogRole: { name: NAME } }, EXISTS);
await manage('PUT', `principal-roles/${NAME}/catalog-roles/${CATALOG}`, { catalogRole: { name: NAME } });
for (const privilege of PRIVILEGES)
  await manage('PUT', `catalogs/${CATALOG}/catalog-roles/${NAME}/grants`, { grant: { type: 'catalog', privilege } });

const output = setting('OUTPUT');
const owner = Number(setting('OWNER'));
const template = readFileSync(setting('TEMPLATE'), 'utf8');
mkdirSync(output, { recursive: true });
const files = {
  'polaris-push.yaml': template.replace('${POLARIS_CLIENT_ID}', credentials.clientId),
  'client-secret': credentials.clientSecret,
  'http-token': randomBytes(24).toString('hex'),
};
for (const [name, text] of Object.entries(files)) {
  const file = join(output, name);
  writeFileSync(file, text, { mode: 0o400 });
  chownSync(file, owner, owner);
}
process.stdout.write(`${CATALOG} is ready; the agent is ${credentials.clientId}.\n`);
