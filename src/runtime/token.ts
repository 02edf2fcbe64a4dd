import type { Redactor } from './redact.ts';

/** Why there is no token: nobody who may have one, or nobody who answers. */
export type TokenFailure =
  | { readonly kind: 'unauthorized'; readonly message: string }
  | { readonly kind: 'unavailable'; readonly retryAfterMs?: number | undefined; readonly message: string };

export type TokenAnswer<Failure = TokenFailure> = { readonly kind: 'token'; readonly value: string } | Failure;

/** Where bearer tokens come from. A token appears in `value` alone: never in a message, an error or a log line. */
export interface TokenSource<Failure = TokenFailure> extends AsyncDisposable {
  /** A token that is good as far as anybody here knows. Throws only the signal's reason. */
  token(signal: AbortSignal): Promise<TokenAnswer<Failure>>;
  /** The server refused this token. Another one, if one may be had; undefined when there is only this one. */
  replacement(refused: string, signal: AbortSignal): Promise<TokenAnswer<Failure> | undefined>;
}

/** Visible ASCII, which every bearer token is made of: a stray newline is found here and not inside a header. */
export const isBearerToken = (text: string): boolean => /^[\x21-\x7e]+$/.test(text);

/** A token from the configuration. Nothing can renew it but an operator. */
export class StaticToken implements TokenSource<never> {
  readonly #answer: TokenAnswer<never>;

  constructor(token: string, redactor: Redactor) {
    redactor.addToken(token);
    this.#answer = { kind: 'token', value: token };
  }

  token(): Promise<TokenAnswer<never>> {
    return Promise.resolve(this.#answer);
  }

  replacement(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
