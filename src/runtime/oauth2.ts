import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Redactor } from './redact.ts';
import { SingleFlight } from './single-flight.ts';
import { isBearerToken, type TokenAnswer, type TokenFailure, type TokenSource } from './token.ts';
import type { Transport } from './transport.ts';

/** Shares of a token's life: from the first on it is renewed beside the work, from the second on the work waits for it. */
const RENEW_AT = 0.75;
const STALE_AT = 0.95;
/** Between two renewals beside the work that failed. */
const RENEW_AGAIN_MS = 5000;
const MAX_ANSWER_BYTES = 256 * 1024;

/** An answer of a token endpoint other than 200. The body is free of our secrets. */
export type TokenRefusal = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
};

export type OAuth2Options<Failure> = {
  /** The form of the request; asked anew for each token, as it may hold a token that something else renews. */
  readonly form: (signal: AbortSignal) => Promise<URLSearchParams | TokenFailure>;
  /** What a refusal means to the caller. */
  readonly refusal: (refusal: TokenRefusal) => Failure;
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

/**
 * Tokens from an OAuth 2.0 token endpoint (RFC 6749, and RFC 8693, whose answers are the same). However many requests
 * need a token, one is asked for at a time.
 */
export class OAuth2Tokens<Failure extends { readonly kind: string; readonly message: string }> implements TokenSource<
  Failure | TokenFailure
> {
  readonly #options: OAuth2Options<Failure>;
  readonly #closing = new AbortController();
  readonly #renewal = new SingleFlight(() => this.#renew());
  #lease: Lease | undefined;
  #renewAgainAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: OAuth2Options<Failure>) {
    this.#options = options;
  }

  async token(signal: AbortSignal): Promise<TokenAnswer<Failure | TokenFailure>> {
    const nowMs = this.#options.clock.monotonicMs();
    const lease = this.#lease;
    if (lease === undefined || nowMs >= lease.staleAtMs) return await this.#renewal.join(signal);
    if (nowMs >= lease.renewAtMs && nowMs >= this.#renewAgainAtMs) this.#renewal.kick();
    return { kind: 'token', value: lease.value };
  }

  async replacement(refused: string, signal: AbortSignal): Promise<TokenAnswer<Failure | TokenFailure> | undefined> {
    // Others may have met the same refusal before and renewed it already.
    if (this.#lease?.value === refused) this.#lease = undefined;
    return await this.token(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('The client was closed.'));
    await this.#options.transport[Symbol.asyncDispose]();
  }

  async #renew(): Promise<TokenAnswer<Failure | TokenFailure>> {
    const { clock, log, onRenewal, tokenUri } = this.#options;
    const startedMs = clock.monotonicMs();
    const answer = await this.#ask();
    const nowMs = clock.monotonicMs();
    const ok = isToken(answer);
    if (!ok) {
      this.#renewAgainAtMs = nowMs + RENEW_AGAIN_MS;
      log.warn('token-refused', { endpoint: tokenUri.href, outcome: answer.kind, message: answer.message });
    }
    onRenewal?.({ ok, ms: nowMs - startedMs });
    return answer;
  }

  async #ask(): Promise<TokenAnswer<Failure | TokenFailure>> {
    const { transport, tokenUri, headers, clock, redactor } = this.#options;
    const form = await this.#options.form(this.#closing.signal);
    if (!(form instanceof URLSearchParams)) return form;
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
    if (exchange.kind !== 'answer')
      return { kind: 'unavailable', message: redactor.clean(`The token endpoint: ${exchange.message}.`) };
    const { status, body } = exchange;
    if (status === 200) return this.#accept(body, askedMs);
    return this.#options.refusal({ status, headers: exchange.headers, body: redactor.clean(body) });
  }

  #accept(body: string, askedMs: number): TokenAnswer {
    const { redactor, tokenUri } = this.#options;
    const answer = (objectIn(body) ?? {}) as { access_token?: unknown; expires_in?: unknown };
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
}

const isToken = (answer: { readonly kind: string }): answer is { readonly kind: 'token'; readonly value: string } =>
  answer.kind === 'token';

function objectIn(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
