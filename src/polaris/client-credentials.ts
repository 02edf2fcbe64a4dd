import { OAuth2Tokens, type OAuth2Options, type TokenRefusal } from '../runtime/oauth2.ts';
import type { TokenSource } from '../runtime/token.ts';
import { readAnswer } from './answer.ts';
import { classifyFailure, type Failure } from './classify.ts';
import type { AuthConfig } from './config.ts';

export type ClientCredentialsOptions = Omit<OAuth2Options<Failure>, 'form' | 'refusal'> & {
  readonly auth: Extract<AuthConfig, { readonly kind: 'client-credentials' }>;
};

/** OAuth 2.0 client credentials (RFC 6749 section 4.4). */
export function clientCredentials(options: ClientCredentialsOptions): TokenSource<Failure> {
  const { auth, redactor, tokenUri } = options;
  redactor.add(auth.clientSecret);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: auth.clientId,
    client_secret: auth.clientSecret,
  });
  if (auth.scope !== '') form.set('scope', auth.scope);
  return new OAuth2Tokens<Failure>({
    ...options,
    form: () => Promise.resolve(form),
    refusal: (refusal) => readRefusal(refusal, auth, tokenUri),
  });
}

function readRefusal(
  { status, headers, body }: TokenRefusal,
  auth: ClientCredentialsOptions['auth'],
  tokenUri: URL,
): Failure {
  const answer = readAnswer(status, headers, body);
  const failure = classifyFailure(answer);
  const said = `${tokenUri.href} answered: ${failure.message}`;
  // RFC 6749 section 5.2: what is wrong stands in `error`, with status 400 or 401.
  if (answer.type === 'invalid_scope') {
    const message = `${said}. Correct auth.scope (${JSON.stringify(auth.scope)}): PRINCIPAL_ROLE:ALL, or PRINCIPAL_ROLE: and a role.`;
    return { kind: 'unauthorized', message };
  }
  if (status === 400 || status === 401 || status === 403) {
    const message = `${said} (${answer.type ?? status}). Check auth.client_id (${JSON.stringify(auth.clientId)}) and auth.client_secret.`;
    return { kind: 'unauthorized', message };
  }
  if (failure.kind === 'refused' && failure.reason === 'no-such-realm') return failure;
  if (failure.kind === 'refused') {
    const message = `${said}. Is ${tokenUri.href} the token endpoint? Correct uri or auth.token_uri.`;
    return { kind: 'unauthorized', message };
  }
  return { kind: 'unavailable', retryAfterMs: retryOf(failure), message: said };
}

const retryOf = (failure: Failure): number | undefined =>
  failure.kind === 'unavailable' ? failure.retryAfterMs : undefined;
