import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { parseJson, readAnswer } from './answer.ts';
import { classifyFailure, type Failure } from './classify.ts';
import type { AuthConfig } from './config.ts';
import type { Redactor } from './redact.ts';
import { SingleFlight } from './single-flight.ts';
import { isBearerToken, type TokenAnswer, type TokenSource } from './token.ts';
import type { Transport } from './transport.ts';

/** Shares of a token's life: from the first on it is renewed beside the work, from the second on the work waits for it. */
const RENEW_AT = 0.75;
const STALE_AT = 0.95;
/** Between two renewals beside the work that failed. */
const RENEW_AGAIN_MS = 5000;
const MAX_ANSWER_BYTES = 256 * 1024;

export type ClientCredentialsOptions = {
  readonly auth: Extract<AuthConfig, { readonly kind: 'client-credentials' }>;
  /** Of its own, so that a renewal never queues behind the requests that wait for it. */
  readonly transport: Transport;
  readonly tokenUri: URL;
  /** Sent along, e.g. the realm to Polaris's own token endpoint. */
  readonly headers: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly redactor: Redactor;
  readonly onRenewal?: ((renewal: { readonly ok: boolean; readonly ms: number }) => void) | undefined;
};

type Lease = { readonly value: string; readonly renewAtMs: number; readonly staleAtMs: number };

/** OAuth 2.0 client credentials (RFC 6749 section 4.4). However many requests need a token, one is asked for at a time. */
export class ClientCredentials implements TokenSource {
  readonly #options: ClientCredentialsOptions;
  readonly #closing = new AbortController();
  readonly #renewal = new SingleFlight(() => this.#renew());
  #lease: Lease | undefined;
  #renewAgainAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ClientCredentialsOptions) {
    this.#options = options;
    options.redactor.add(options.auth.clientSecret);
  }

  async token(signal: AbortSignal): Promise<TokenAnswer> {
    const nowMs = this.#options.clock.monotonicMs();
    const lease = this.#lease;
    if (lease === undefined || nowMs >= lease.staleAtMs) return await this.#renewal.join(signal);
    if (nowMs >= lease.renewAtMs && nowMs >= this.#renewAgainAtMs) this.#renewal.kick();
    return { kind: 'token', value: lease.value };
  }

  async replacement(refused: string, signal: AbortSignal): Promise<TokenAnswer | undefined> {
    // Others may have met the same refusal before and renewed it already.
    if (this.#lease?.value === refused) this.#lease = undefined;
    return await this.token(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('The client was closed.'));
    await this.#options.transport[Symbol.asyncDispose]();
  }

  async #renew(): Promise<TokenAnswer> {
    const { clock, log, onRenewal, tokenUri } = this.#options;
    const startedMs = clock.monotonicMs();
    const answer = await this.#ask();
    const nowMs = clock.monotonicMs();
    const ok = answer.kind === 'token';
    if (!ok) {
      this.#renewAgainAtMs = nowMs + RENEW_AGAIN_MS;
      log.warn('token-refused', { endpoint: tokenUri.href, outcome: answer.kind, message: answer.message });
    }
    onRenewal?.({ ok, ms: nowMs - startedMs });
    return answer;
  }

  async #ask(): Promise<TokenAnswer> {
    const { auth, transport, tokenUri, headers, clock, redactor } = this.#options;
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: auth.clientId,
      client_secret: auth.clientSecret,
    });
    if (auth.scope !== '') form.set('scope', auth.scope);
    // A token's life is counted from before it was asked for.
    const askedMs = clock.monotonicMs();
    const exchange = await transport.send(
      {
        method: 'POST',
        path: `${tokenUri.pathname}${tokenUri.search}`,
        headers: { ...headers, accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
        body: form.toString(),
        maxBodyBytes: MAX_ANSWER_BYTES,
      },
      this.#closing.signal,
    );
    if (exchange.kind !== 'answer') {
      return { kind: 'unavailable', message: redactor.clean(`The token endpoint: ${exchange.message}.`) };
    }
    if (exchange.status !== 200) return this.#refusal(exchange.status, exchange.headers, exchange.body);
    return this.#accept(exchange.body, askedMs);
  }

  #accept(body: string, askedMs: number): TokenAnswer {
    const { redactor, tokenUri } = this.#options;
    const answer = (parseJson(body) ?? {}) as { access_token?: unknown; expires_in?: unknown };
    const value = answer.access_token;
    if (typeof value !== 'string' || !isBearerToken(value)) {
      const message = `The answer of ${tokenUri.href} holds no access_token; is this the token endpoint?`;
      return { kind: 'unauthorized', message };
    }
    redactor.addToken(value);
    // Without expires_in (RFC 6749 only recommends it) a token is used until it is refused.
    const seconds = Number(answer.expires_in ?? Number.POSITIVE_INFINITY);
    const lifeMs = Number.isNaN(seconds) ? Number.POSITIVE_INFINITY : Math.max(0, seconds * 1000);
    this.#lease = { value, renewAtMs: askedMs + lifeMs * RENEW_AT, staleAtMs: askedMs + lifeMs * STALE_AT };
    return { kind: 'token', value };
  }

  #refusal(status: number, headers: Readonly<Record<string, string | undefined>>, body: string): Failure {
    const { auth, redactor, tokenUri } = this.#options;
    const answer = readAnswer(status, headers, redactor.clean(body));
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
}

const retryOf = (failure: Failure): number | undefined =>
  failure.kind === 'unavailable' ? failure.retryAfterMs : undefined;
