import { PushError } from '../../src/errors/errors.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import type { HttpTimeouts } from '../../src/runtime/http-schema.ts';
import type { Log } from '../../src/runtime/log.ts';
import { OAuth2Tokens, type TokenRefusal } from '../../src/runtime/oauth2.ts';
import type { Redactor } from '../../src/runtime/redact.ts';
import { retryAfterMs } from '../../src/runtime/retry-after.ts';
import { TokenFile } from '../../src/runtime/token-file.ts';
import { StaticToken, type TokenAnswer, type TokenFailure, type TokenSource } from '../../src/runtime/token.ts';
import { Transport } from '../../src/runtime/transport.ts';
import type { OAuth2Auth, RestConfig, TokenExchangeAuth } from './config.ts';
import { sentence } from './failure.ts';
import { readProblem } from './problem.ts';

export type Proof = Readonly<Record<string, string>>;

/** How a request proves who sends it. */
export interface Authorizer extends AsyncDisposable {
  /** The headers that do. Throws `PushError`, or the signal's reason. */
  prove(request: { readonly method: string; readonly url: URL }, signal: AbortSignal): Promise<Proof>;
  /** The catalog refused that proof (401). Whether another one may be had, so that the request is worth sending again. */
  renew(refused: Proof, signal: AbortSignal): Promise<boolean>;
}

export type AuthDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly redactor: Redactor;
  /** PEM, as `tls.ca_file` holds it. */
  readonly ca: string | undefined;
  /** The catalog's clock as far as it is known, epoch ms: AWS refuses signatures of another time. */
  readonly catalogTime: () => number;
};

/** The AWS SDK is loaded only when requests are to be signed. */
export async function openAuthorizer(config: RestConfig, deps: AuthDeps): Promise<Authorizer> {
  const { auth } = config;
  switch (auth.type) {
    case 'none':
      return NOBODY;
    case 'bearer':
      return new Bearer(new StaticToken(auth.token, deps.redactor));
    case 'bearer-file':
      return new Bearer(new TokenFile(auth.path, deps));
    case 'oauth2':
    case 'token-exchange':
      return new Bearer(openGrant(auth, config, deps));
    case 'sigv4': {
      const { openSigner } = await import('./auth-sigv4.ts');
      return openSigner(auth, deps);
    }
  }
}

const NOBODY: Authorizer = {
  prove: () => Promise.resolve({}),
  renew: () => Promise.resolve(false),
  async [Symbol.asyncDispose]() {},
};

/** A bearer token, wherever it comes from. */
class Bearer implements Authorizer {
  readonly #tokens: TokenSource;

  constructor(tokens: TokenSource) {
    this.#tokens = tokens;
  }

  async prove(_request: unknown, signal: AbortSignal): Promise<Proof> {
    return { authorization: `${SCHEME}${accepted(await this.#tokens.token(signal))}` };
  }

  async renew(refused: Proof, signal: AbortSignal): Promise<boolean> {
    const token = refused['authorization']?.slice(SCHEME.length) ?? '';
    const other = await this.#tokens.replacement(token, signal);
    return other !== undefined && accepted(other) !== token;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tokens[Symbol.asyncDispose]();
  }
}

const SCHEME = 'Bearer ';

function accepted(answer: TokenAnswer): string {
  if (answer.kind === 'token') return answer.value;
  throw new PushError(answer.kind === 'unauthorized' ? 'REST_TOKEN_REFUSED' : 'REST_UNREACHABLE', answer.message);
}

type Grant = OAuth2Auth | TokenExchangeAuth;

function openGrant(auth: Grant, config: RestConfig, deps: AuthDeps): TokenSource {
  const { redactor, clock, log, ca } = deps;
  if (auth.clientSecret !== undefined) redactor.add(auth.clientSecret);
  const tokenUri = new URL(auth.tokenUri ?? `${config.uri}/v1/oauth/tokens`);
  return new OAuth2Tokens<TokenFailure>({
    form: auth.type === 'oauth2' ? () => Promise.resolve(credentialsForm(auth)) : exchangeForms(auth, deps),
    refusal: (refusal) => readRefusal(refusal, auth, tokenUri),
    transport: new Transport({ origin: tokenUri.origin, connections: 1, timeouts: tokenTimeouts(config), ca, clock }),
    tokenUri,
    headers: auth.tokenUri === undefined ? config.headers : {},
    clock,
    log,
    redactor,
  });
}

/** Everything waits for the token, so that it is given up sooner than a slow listing would be. */
const tokenTimeouts = ({ timeouts }: RestConfig): HttpTimeouts => ({
  ...timeouts,
  totalMs: Math.min(timeouts.totalMs, 30_000),
});

function credentialsForm(auth: OAuth2Auth): URLSearchParams {
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (auth.clientId !== undefined) form.set('client_id', auth.clientId);
  form.set('client_secret', auth.clientSecret);
  return withTarget(form, auth);
}

function exchangeForms(auth: TokenExchangeAuth, deps: AuthDeps) {
  const { subjectToken } = auth;
  const subjects =
    'path' in subjectToken ? new TokenFile(subjectToken.path, deps) : new StaticToken(subjectToken.text, deps.redactor);
  return async (signal: AbortSignal): Promise<URLSearchParams | TokenFailure> => {
    const subject: TokenAnswer = await subjects.token(signal);
    if (subject.kind !== 'token') return subject;
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: subject.value,
      subject_token_type: auth.subjectTokenType,
    });
    if (auth.clientId !== undefined) form.set('client_id', auth.clientId);
    if (auth.clientSecret !== undefined) form.set('client_secret', auth.clientSecret);
    return withTarget(form, auth);
  };
}

function withTarget(form: URLSearchParams, { scope, audience, resource }: Grant): URLSearchParams {
  if (scope !== '') form.set('scope', scope);
  if (audience !== undefined) form.set('audience', audience);
  if (resource !== undefined) form.set('resource', resource);
  return form;
}

function readRefusal(refusal: TokenRefusal, auth: Grant, tokenUri: URL): TokenFailure {
  const { status, headers } = refusal;
  const problem = readProblem(refusal);
  const said = `${tokenUri.href} answered: ${problem.message}`;
  if (status === 429 || status >= 500) {
    const asked = retryAfterMs(headers['retry-after'], Date.parse(headers['date'] ?? ''));
    return { kind: 'unavailable', retryAfterMs: asked, message: sentence(said) };
  }
  // RFC 6749 section 5.2: what is wrong stands in `error`, with status 400 or 401.
  if (problem.type === 'invalid_scope') {
    const message = `${said}. Correct auth.scope (${JSON.stringify(auth.scope)}); for a Polaris: PRINCIPAL_ROLE:ALL.`;
    return { kind: 'unauthorized', message };
  }
  if (status === 400 || status === 401 || status === 403) {
    const what = auth.type === 'oauth2' ? 'auth.client_id and auth.client_secret' : 'auth.subject_token and its type';
    return { kind: 'unauthorized', message: `${said}. Check ${what}.` };
  }
  return { kind: 'unauthorized', message: `${said}. Is this the token endpoint? Correct uri or auth.token_uri.` };
}
