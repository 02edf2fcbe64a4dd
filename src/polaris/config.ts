import { z } from 'zod';
import {
  extraHeaders,
  headerValue,
  httpTimeouts,
  tlsConfig,
  webAddress,
  type HttpTimeouts,
} from '../runtime/http-schema.ts';
import { secret } from '../runtime/schema.ts';

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
  readonly timeouts: HttpTimeouts;
  readonly concurrency: { readonly min: number; readonly max: number };
  readonly headers: Readonly<Record<string, string>>;
};

const DEFAULT_SCOPE = 'PRINCIPAL_ROLE:ALL';

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

const concurrencyConfig = z
  .strictObject({
    min: z.int().min(1).default(1).describe('Notifications under way at once that the throttle never goes below.'),
    max: z.int().min(1).max(1024).default(64).describe('Notifications under way at once that it never goes above.'),
  })
  .refine(({ min, max }) => min <= max || max < 1, { error: 'min is greater than max', path: ['min'] });

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
    realm: headerValue().optional().describe("Sent as Polaris-Realm. Default: none, which is Polaris's default realm."),
    auth: authConfig.describe('How the agent proves who it is: exactly one way.'),
    tls: tlsConfig().prefault({}).describe('For https addresses, the token endpoint included.'),
    timeouts: httpTimeouts('For one request from first to last; what it did in Polaris is unknown afterwards.')
      .prefault({})
      .describe('How long one request may take.'),
    concurrency: concurrencyConfig.prefault({}).describe('Limits of the adaptive throttle.'),
    headers: extraHeaders(['polaris-realm']).describe(
      'Extra headers of every request to Polaris, for a gateway before it.',
    ),
  })
  .transform(({ tls, uri, ...target }): TargetConfig => ({
    ...target,
    uri: uri.replace(/\/+$/, ''),
    tls: { caFile: tls.ca_file },
  }));
