import { Secrets } from './secrets.ts';

/** A request under way may still carry an older token, and its answer repeat it. */
const TOKENS_KEPT = 4;

/**
 * Takes the client's secrets out of texts that come from outside: a proxy or a debug page may repeat the request that
 * it refuses, with its Authorization header or the form with the client secret. Tokens come and go, so only the last
 * ones are kept.
 */
export class Redactor {
  readonly #lasting = new Secrets();
  readonly #tokens: string[] = [];

  add(secret: string): void {
    this.#lasting.add(secret);
    // As it stands in a form, where a blank is a plus sign.
    this.#lasting.add(new URLSearchParams({ s: secret }).toString().slice(2));
  }

  addToken(token: string): void {
    if (this.#tokens.includes(token)) return;
    this.#tokens.push(token);
    if (this.#tokens.length > TOKENS_KEPT) this.#tokens.shift();
  }

  clean(text: string): string {
    if (text === '') return text;
    const tokens = new Secrets();
    for (const token of this.#tokens) tokens.add(token);
    return this.#lasting.mask(tokens.mask(text));
  }
}
