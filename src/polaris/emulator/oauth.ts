import type { Exchange } from './exchange.ts';
import { type Reply, nullPointer, ok } from './reply.ts';
import { isValidScope, rolesOf } from './tokens.ts';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** POST /oauth/tokens: client credentials in the body or as Basic authorization, or an own token exchanged for a new one. */
export function issueToken(exchange: Exchange): Reply {
  const form = new URLSearchParams(exchange.body);
  const grant = form.get('grant_type');
  if (grant === null) throw nullPointer('Cannot invoke "Object.equals(Object)" because "o" is null');
  if (grant !== 'client_credentials' && grant !== TOKEN_EXCHANGE) {
    return oauthError(400, 'unsupported_grant_type', 'The grant type is invalid');
  }
  const scope = form.get('scope') ?? '';
  if (!isValidScope(scope)) return oauthError(400, 'invalid_scope', 'The scope is invalid');
  const clientId =
    grant === TOKEN_EXCHANGE
      ? exchange.world.tokens.verify(form.get('subject_token') ?? '')?.clientId
      : authenticated(exchange, form);
  if (clientId === undefined) return oauthError(401, 'unauthorized_client', 'The client is not authorized');
  const { tokens } = exchange.world;
  return ok({
    access_token: tokens.issue({ clientId, roles: rolesOf(scope) }),
    token_type: 'bearer',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    expires_in: tokens.lifetimeSeconds,
  });
}

function authenticated(exchange: Exchange, form: URLSearchParams): string | undefined {
  const [id, secret] = basicCredentials(exchange.headers.authorization) ?? [
    form.get('client_id') ?? '',
    form.get('client_secret') ?? '',
  ];
  return exchange.world.principals.withSecret(id, secret)?.clientId;
}

function basicCredentials(header: string | undefined): readonly [string, string] | undefined {
  const encoded = /^Basic\s+(.+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return [text.slice(0, colon), text.slice(colon + 1)];
}

const oauthError = (status: number, error: string, description: string): Reply => ({
  status,
  body: { error, error_description: description, error_uri: null },
});
