import type { TargetConfig } from './config.ts';

/**
 * What every type of notification needs, VALIDATE and DROP included, on the catalog: missing any one of them refuses
 * all, and the same five on a namespace are not enough (recorded from Polaris 1.7.0).
 */
export const PRIVILEGES = [
  'TABLE_CREATE',
  'TABLE_WRITE_PROPERTIES',
  'TABLE_DROP',
  'NAMESPACE_CREATE',
  'NAMESPACE_DROP',
] as const;

const CATALOG_ROLE = 'polaris_push';

/** Commands that give the agent's principal role these privileges, for an administrator's `$TOKEN`. Each may be run again. */
export function grantCommands(
  config: TargetConfig,
  principalRole: string | undefined,
  privileges: readonly string[] = PRIVILEGES,
): string {
  const catalogs = `${managementUri(config)}/catalogs/${encodeURIComponent(config.catalog)}`;
  const roles = `${catalogs}/catalog-roles`;
  const assign = `${managementUri(config)}/principal-roles/${principalRole === undefined ? 'PRINCIPAL_ROLE' : encodeURIComponent(principalRole)}/catalog-roles/${encodeURIComponent(config.catalog)}`;
  return [
    ...(principalRole === undefined ? ["# PRINCIPAL_ROLE: the principal role of the agent's principal"] : []),
    curl(config, `POST ${roles}`, JSON.stringify({ catalogRole: { name: CATALOG_ROLE } })),
    `for privilege in ${privileges.join(' ')}; do`,
    `  ${curl(config, `PUT ${roles}/${CATALOG_ROLE}/grants`, '{"grant":{"type":"catalog","privilege":"\'$privilege\'"}}', true)}`,
    'done',
    curl(config, `PUT ${assign}`, JSON.stringify({ catalogRole: { name: CATALOG_ROLE } })),
  ].join('\n');
}

/** The command that makes the EXTERNAL catalog. Its locations are the operator's to choose. */
export function createCatalogCommand(config: TargetConfig, catalog: string = config.catalog): string {
  const body = {
    catalog: {
      type: 'EXTERNAL',
      name: catalog,
      properties: { 'default-base-location': 's3://BUCKET/WAREHOUSE' },
      storageConfigInfo: {
        storageType: 'S3',
        roleArn: 'arn:aws:iam::ACCOUNT:role/ROLE',
        allowedLocations: ['s3://BUCKET/WAREHOUSE'],
      },
    },
  };
  return [
    '# Fill in where the tables lie; storageType is S3, GCS, AZURE or FILE',
    curl(config, `POST ${managementUri(config)}/catalogs`, JSON.stringify(body)),
  ].join('\n');
}

/** The command that shows the catalog's type and allowed locations. */
export const showCatalogCommand = (config: TargetConfig): string =>
  curl(config, `GET ${managementUri(config)}/catalogs/${encodeURIComponent(config.catalog)}`);

/** Polaris's management API is a sibling of the catalog API. */
const managementUri = ({ uri }: TargetConfig): string => `${uri.replace(/\/api\/catalog$/, '')}/api/management/v1`;

/** `request` is method and address, with a blank between them. `spliced`: the body leaves and re-enters the quotes by itself, for a shell variable. */
function curl(config: TargetConfig, request: string, body?: string, spliced: boolean = false): string {
  const [method = '', url = ''] = request.split(' ');
  return [
    `curl -fsS -X ${method} ${quote(url)} -H "Authorization: Bearer $TOKEN"`,
    ...(config.realm === undefined ? [] : [`-H ${quote(`Polaris-Realm: ${config.realm}`)}`]),
    ...(body === undefined ? [] : ["-H 'Content-Type: application/json'", `-d ${spliced ? `'${body}'` : quote(body)}`]),
  ].join(' ');
}

const quote = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
