import { z } from 'zod';
import { duration, secret } from '../runtime/schema.ts';

/** How the agent proves who it is. */
export type AuthConfig =
  | {
      readonly kind: 'client-credentials';
      readonly clientId: string;
      readonly clientSecret: string;
      /** Empty: the parameter is left out. */
      readonly scope: string;
      /** The token endpoint of an external identity provider; undefined: Polaris's own, below `uri`. */
      readonly tokenUri?: string | undefined;
    }
  | { readonly kind: 'token'; readonly token: string }
  /** Read when first needed, and again whenever it changes. */
  | { readonly kind: 'token-file'; readonly path: string };

/** One target of the configuration, normalised. */
export type TargetConfig = {
  readonly name: string;
  /** Without a trailing slash. */
  readonly uri: string;
  readonly catalog: string;
  readonly realm?: string | undefined;
  readonly auth: AuthConfig;
  readonly tls: { readonly caFile?: string | undefined };
  readonly timeouts: {
    readonly connectMs: number;
    readonly headersMs: number;
    readonly bodyMs: number;
    readonly totalMs: number;
  };
  readonly concurrency: { readonly min: number; readonly max: number };
  readonly headers: Readonly<Record<string, string>>;
};

const DEFAULT_SCOPE = 'PRINCIPAL_ROLE:ALL';

/** What the client sets itself on every request; an extra header of such a name would be sent twice or break the framing. */
const OWN_HEADERS = new Set([
  'accept',
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'if-none-match',
  'keep-alive',
  'polaris-realm',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
]);

/** A header field name, RFC 9110 section 5.1. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible ASCII and inner blanks: anything else would be refused at the first request. */
const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

const webAddress = () =>
  z.string().superRefine((text, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', message });
    const url = URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol)) return refuse('expected an http:// or https:// address');
    // The address appears in logs and errors, so it can't hold a secret.
    if (url.username !== '' || url.password !== '') refuse('put credentials under auth, not into the address');
    if (url.search !== '' || url.hash !== '') refuse('expected an address without ? and #');
  });

const authConfig = z
  .strictObject({
    client_id: z.string().min(1).optional().describe('Client id of the principal that Polaris knows the agent by.'),
    client_secret: secret().optional().describe('Its client secret.'),
    scope: z
      .string()
      .optional()
      .describe(
        `OAuth scope: which principal roles to activate; the identity provider's own scope with token_uri. Empty leaves the parameter out. Default: ${DEFAULT_SCOPE}.`,
      ),
    token_uri: webAddress()
      .optional()
      .describe('Token endpoint of an external identity provider. Default: <uri>/v1/oauth/tokens.'),
    token: secret().optional().describe('A bearer token, used as it is.'),
    token_file: z
      .string()
      .min(1)
      .optional()
      .describe('A file with a bearer token that something else renews; read again whenever it changes.'),
  })
  .superRefine((auth, context) => {
    const refuse = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path });
    const ways = [
      ...(auth.client_id !== undefined || auth.client_secret !== undefined ? ['client_id and client_secret'] : []),
      ...(auth.token !== undefined ? ['token'] : []),
      ...(auth.token_file !== undefined ? ['token_file'] : []),
    ];
    if (ways.length !== 1) {
      const found = ways.length === 0 ? 'none of them' : ways.join(' beside ');
      return refuse(`expected exactly one of client_id and client_secret, token, or token_file, got ${found}`);
    }
    if (ways[0] !== 'client_id and client_secret') {
      for (const key of ['scope', 'token_uri'] as const) {
        if (auth[key] !== undefined) refuse('goes with client_id and client_secret only', key);
      }
    } else {
      if (auth.client_id === undefined) refuse('missing; client_secret needs it', 'client_id');
      if (auth.client_secret === undefined)
        refuse('missing; client_id needs it (or client_secret_file)', 'client_secret');
    }
    if (auth.token !== undefined && !/^[\x21-\x7e]+$/.test(auth.token)) {
      refuse('has blanks or other characters that no bearer token holds', 'token');
    }
  })
  .transform((auth): AuthConfig => {
    if (auth.token !== undefined) return { kind: 'token', token: auth.token };
    if (auth.token_file !== undefined) return { kind: 'token-file', path: auth.token_file };
    return {
      kind: 'client-credentials',
      clientId: auth.client_id ?? '',
      clientSecret: auth.client_secret ?? '',
      scope: auth.scope ?? DEFAULT_SCOPE,
      tokenUri: auth.token_uri,
    };
  });

const timeoutsConfig = z
  .strictObject({
    connect: duration().prefault('5s').describe('For name look-up, TCP and TLS together.'),
    headers: duration().prefault('30s').describe('From the request to the first line of the answer.'),
    body: duration().prefault('10s').describe('Between two pieces of an answer.'),
    total: duration()
      .prefault('60s')
      .describe('For one request from first to last; what it did in Polaris is unknown afterwards.'),
  })
  .transform(({ connect, headers, body, total }) => ({
    connectMs: connect,
    headersMs: headers,
    bodyMs: body,
    totalMs: total,
  }));

const concurrencyConfig = z
  .strictObject({
    min: z.int().min(1).default(1).describe('Notifications under way at once that the throttle never goes below.'),
    max: z.int().min(1).max(1024).default(64).describe('Notifications under way at once that it never goes above.'),
  })
  .refine(({ min, max }) => min <= max || max < 1, { error: 'min is greater than max', path: ['min'] });

const headersConfig = z
  .record(z.string(), secret().regex(HEADER_VALUE, { error: 'has characters that a header cannot hold' }))
  .superRefine((headers, context) => {
    for (const name of Object.keys(headers)) {
      const refuse = (message: string) => context.addIssue({ code: 'custom', message, path: [name] });
      if (!HEADER_NAME.test(name)) refuse('not the name of a header');
      if (OWN_HEADERS.has(name.toLowerCase())) refuse('this header is set by polaris-push itself');
    }
  })
  .default({});

/** One entry of `targets`: an EXTERNAL catalog of one Polaris. */
export const targetConfig = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, {
        error: 'expected 1 to 63 letters, digits, - and _, starting with a letter or digit',
      })
      .describe('Names the target in the ledger, logs and metrics; renaming it means starting anew.'),
    uri: webAddress().describe("Address of Polaris's catalog API, such as https://polaris.example.com/api/catalog."),
    catalog: z.string().min(1).describe('Name of the EXTERNAL catalog in Polaris.'),
    realm: z
      .string()
      .regex(HEADER_VALUE, { error: 'has characters that a header cannot hold' })
      .optional()
      .describe("Sent as Polaris-Realm. Default: none, which is Polaris's default realm."),
    auth: authConfig.describe('How the agent proves who it is: exactly one way.'),
    tls: z
      .strictObject({
        ca_file: z
          .string()
          .min(1)
          .optional()
          .describe('PEM file of certificate authorities to trust besides those of the system.'),
      })
      .prefault({})
      .describe('For https addresses, the token endpoint included.'),
    timeouts: timeoutsConfig.prefault({}).describe('How long one request may take.'),
    concurrency: concurrencyConfig.prefault({}).describe('Limits of the adaptive throttle.'),
    headers: headersConfig.describe('Extra headers of every request to Polaris, for a gateway before it.'),
  })
  .transform(({ tls, uri, ...target }): TargetConfig => ({
    ...target,
    uri: uri.replace(/\/+$/, ''),
    tls: { caFile: tls.ca_file },
  }));
