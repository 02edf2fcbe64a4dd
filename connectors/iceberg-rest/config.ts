import { z } from 'zod';
import {
  extraHeaders,
  httpTimeouts,
  tlsConfig,
  webAddress,
  webhookSecret,
  type HttpTimeouts,
} from '../../src/runtime/http-schema.ts';
import { duration, secret, size } from '../../src/runtime/schema.ts';

/** How the agent proves to the catalog who it is. */
export type RestAuth =
  | { readonly type: 'none' }
  | { readonly type: 'bearer'; readonly token: string }
  /** Read when first needed, and again whenever it changes. */
  | { readonly type: 'bearer-file'; readonly path: string }
  | OAuth2Auth
  | TokenExchangeAuth
  | SigV4Auth;

type Grant = {
  /** Undefined: the catalog's own, `<uri>/v1/oauth/tokens`. */
  readonly tokenUri: string | undefined;
  /** Empty: the parameter is left out. */
  readonly scope: string;
  readonly audience: string | undefined;
  readonly resource: string | undefined;
};

/** Client credentials, RFC 6749 section 4.4. */
export type OAuth2Auth = Grant & {
  readonly type: 'oauth2';
  readonly clientId: string | undefined;
  readonly clientSecret: string;
};

/** Token exchange, RFC 8693. */
export type TokenExchangeAuth = Grant & {
  readonly type: 'token-exchange';
  readonly clientId: string | undefined;
  readonly clientSecret: string | undefined;
  readonly subjectToken: { readonly text: string } | { readonly path: string };
  readonly subjectTokenType: string;
};

/** AWS Signature Version 4. */
export type SigV4Auth = {
  readonly type: 'sigv4';
  readonly service: string;
  readonly region: string;
  readonly role: { readonly arn: string; readonly externalId: string | undefined } | undefined;
};

export type RestConfig = {
  readonly kind: 'iceberg-rest';
  /** The part before `/v1`, without a trailing slash. */
  readonly uri: string;
  readonly warehouse: string | undefined;
  readonly auth: RestAuth;
  readonly headers: Readonly<Record<string, string>>;
  readonly caFile: string | undefined;
  readonly timeouts: HttpTimeouts;
  /** Requests under way at once. */
  readonly concurrency: number;
  readonly poll: {
    /** Between two looks at all names. */
    readonly listMs: number;
    /** The budget of everything that is sent. */
    readonly requestsPerSecond: number;
    /** Every table is asked at least so often, if the budget allows. */
    readonly maxAgeMs: number;
  };
  readonly webhook: { readonly secret: string; readonly maxBodyBytes: number } | undefined;
  readonly maxClockSkewMs: number;
};

/** What the Java and the Python client of Iceberg ask for unless told otherwise. */
const DEFAULT_SCOPE = 'catalog';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

const bearerToken = () =>
  secret().regex(/^[\x21-\x7e]+$/, { error: 'has blanks or other characters that no bearer token holds' });

const tokenFile = (what: string) =>
  z
    .string()
    .min(1)
    .optional()
    .describe(`A file with ${what} that something else renews; read again whenever it changes.`);

const grantKeys = () => ({
  token_uri: webAddress()
    .optional()
    .describe('Token endpoint, usually of an identity provider. Default: <uri>/v1/oauth/tokens.'),
  scope: z
    .string()
    .default(DEFAULT_SCOPE)
    .describe('OAuth scope; PRINCIPAL_ROLE:ALL for a Polaris. Empty leaves the parameter out.'),
  audience: z.string().min(1).optional().describe('Sent as `audience`, where the identity provider wants one.'),
  resource: z.string().min(1).optional().describe('Sent as `resource` (RFC 8707), where it wants one.'),
});

const noAuth = z.strictObject({ type: z.literal('none').describe('`none`: not at all.') });

const bearerAuth = z
  .strictObject({
    type: z.literal('bearer').describe('`bearer`: by a token that it is given.'),
    token: bearerToken().optional().describe('A bearer token, used as it is.'),
    token_file: tokenFile('a bearer token'),
  })
  .superRefine((auth, context) => {
    if ((auth.token === undefined) === (auth.token_file === undefined))
      context.addIssue({ code: 'custom', message: 'expected exactly one of token and token_file' });
  });

const oauth2Auth = z.strictObject({
  type: z.literal('oauth2').describe('`oauth2`: by client credentials (RFC 6749), renewed before they expire.'),
  client_id: z.string().min(1).optional().describe('Client id. Some catalogs know an agent by its secret alone.'),
  client_secret: secret().describe('Client secret.'),
  ...grantKeys(),
});

const exchangeAuth = z
  .strictObject({
    type: z.literal('token-exchange').describe('`token-exchange`: by exchanging another token (RFC 8693).'),
    subject_token: bearerToken().optional().describe('The token to exchange.'),
    subject_token_file: tokenFile('the token to exchange'),
    subject_token_type: z.string().min(1).default(ACCESS_TOKEN).describe('What kind of token it is.'),
    client_id: z.string().min(1).optional().describe('Client id, if the token endpoint wants to know the client.'),
    client_secret: secret().optional().describe('Client secret, likewise.'),
    ...grantKeys(),
  })
  .superRefine((auth, context) => {
    const refuse = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path });
    if ((auth.subject_token === undefined) === (auth.subject_token_file === undefined))
      refuse('expected exactly one of subject_token and subject_token_file');
    if (auth.client_id === undefined && auth.client_secret !== undefined)
      refuse('missing; client_secret needs it', 'client_id');
  });

const sigv4Auth = z.strictObject({
  type: z.literal('sigv4').describe("`sigv4`: by AWS Signature Version 4, with the AWS SDK's default credentials."),
  service: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, { error: 'expected the signing name of a service, such as glue' })
    .optional()
    .describe(
      'Signing name of the service: glue, s3tables, execute-api (API Gateway). Default: what the host of `uri` says, else execute-api.',
    ),
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]+$/, { error: 'expected a region such as eu-west-1' })
    .optional()
    .describe('Region of the service. Default: what the host of `uri` says.'),
  role: z
    .strictObject({
      arn: z
        .string()
        .regex(/^arn:aws[a-z-]*:iam::[0-9]{12}:role\/\S+$/, {
          error: 'expected the ARN of a role, such as arn:aws:iam::123456789012:role/polaris-push',
        })
        .describe('The role to assume.'),
      external_id: z.string().min(2).optional().describe("The external id that the role's trust policy asks for."),
    })
    .optional()
    .describe('A role to assume with the default credentials.'),
});

const authConfig = z.discriminatedUnion('type', [noAuth, bearerAuth, oauth2Auth, exchangeAuth, sigv4Auth], {
  error: 'expected type: none, bearer, oauth2, token-exchange or sigv4',
});

const pollConfig = z
  .strictObject({
    list: duration().prefault('60s').describe('How often the names of all tables are looked at.'),
    requests_per_second: z
      .number()
      .min(0.1)
      .max(10_000)
      .default(20)
      .describe('Budget of requests per second, of everything that is asked. Tables that change often get more of it.'),
    max_age: duration()
      .prefault('15m')
      .describe('Every table is asked at least so often, however quiet it is, as far as the budget allows.'),
  })
  .transform(({ list, requests_per_second, max_age }) => ({
    listMs: list,
    requestsPerSecond: requests_per_second,
    maxAgeMs: max_age,
  }));

const webhookConfig = z
  .strictObject({
    secret: webhookSecret().describe(
      'Signs the deliveries (HMAC), as in Standard Webhooks: `whsec_` and Base64, or any text.',
    ),
    max_body: size().prefault('256KiB').describe('A larger delivery is refused.'),
  })
  .transform(({ secret: key, max_body }) => ({ secret: key, maxBodyBytes: max_body }));

/** The section `source` of the configuration, for `kind: iceberg-rest`. */
export const restConfig = z
  .strictObject({
    kind: z.literal('iceberg-rest').describe('Any catalog that speaks the Iceberg REST protocol.'),
    uri: webAddress().describe(
      'Address of the catalog: the part before /v1, such as https://catalog.example.com/api/catalog.',
    ),
    warehouse: z
      .string()
      .min(1)
      .optional()
      .describe('Which of its warehouses or catalogs; sent to /v1/config. Absent: its only one, or its default.'),
    auth: authConfig.prefault({ type: 'none' }).describe('How the agent proves who it is.'),
    headers: extraHeaders(['x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256']).describe(
      'Extra headers of every request to the catalog, for a gateway before it or a tenant.',
    ),
    tls: tlsConfig().prefault({}).describe('For https addresses, the token endpoint included.'),
    timeouts: httpTimeouts('For one request from first to last.')
      .prefault({})
      .describe('How long one request may take.'),
    concurrency: z.int().min(1).max(256).default(8).describe('How many requests may be under way at once.'),
    poll: pollConfig.prefault({}).describe('How changes are found.'),
    webhook: webhookConfig
      .optional()
      .describe(
        'Takes hints at POST /hooks/iceberg-rest, so that a change needs no poll to be found. Needs http.listen.',
      ),
    max_clock_skew: duration().describe("A clock that differs by more from the catalog's is warned of.").prefault('5s'),
  })
  .transform((config, context): RestConfig => {
    const uri = config.uri.replace(/\/+$/, '');
    return {
      kind: config.kind,
      uri,
      warehouse: config.warehouse,
      auth: authOf(config.auth, uri, context),
      headers: config.headers,
      caFile: config.tls.ca_file,
      timeouts: config.timeouts,
      concurrency: config.concurrency,
      poll: config.poll,
      webhook: config.webhook,
      maxClockSkewMs: config.max_clock_skew,
    };
  });

type Written = z.output<typeof authConfig>;

function authOf(auth: Written, uri: string, context: z.RefinementCtx): RestAuth {
  switch (auth.type) {
    case 'none':
      return auth;
    case 'bearer':
      return auth.token_file === undefined
        ? { type: 'bearer', token: auth.token ?? '' }
        : { type: 'bearer-file', path: auth.token_file };
    case 'oauth2':
      return { type: auth.type, clientId: auth.client_id, clientSecret: auth.client_secret, ...grantOf(auth) };
    case 'token-exchange':
      return {
        type: auth.type,
        clientId: auth.client_id,
        clientSecret: auth.client_secret,
        subjectToken:
          auth.subject_token_file === undefined
            ? { text: auth.subject_token ?? '' }
            : { path: auth.subject_token_file },
        subjectTokenType: auth.subject_token_type,
        ...grantOf(auth),
      };
    case 'sigv4': {
      const { service, region } = awsOf(new URL(uri).hostname);
      const found = auth.region ?? region;
      if (found === undefined)
        context.addIssue({
          code: 'custom',
          message: 'missing; the host of uri does not tell it',
          path: ['auth', 'region'],
        });
      const role = auth.role === undefined ? undefined : { arn: auth.role.arn, externalId: auth.role.external_id };
      return { type: auth.type, service: auth.service ?? service, region: found ?? '', role };
    }
  }
}

const grantOf = (auth: Extract<Written, { readonly type: 'oauth2' | 'token-exchange' }>): Grant => ({
  tokenUri: auth.token_uri,
  scope: auth.scope,
  audience: auth.audience,
  resource: auth.resource,
});

/** `glue.eu-west-1.amazonaws.com` and the like; API Gateway's hosts have the signing name behind an id. */
function awsOf(host: string): { readonly service: string; readonly region: string | undefined } {
  const [, service, region] =
    /(?:^|\.)(glue|s3tables|execute-api)(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-[0-9]+)\./.exec(host) ?? [];
  return { service: service ?? 'execute-api', region };
}
