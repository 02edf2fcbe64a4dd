/** Shorter ones would blank out half of every text, and nobody could guess anything else from them either. */
const MIN_SECRET_CHARS = 4;

/**
 * Takes known secrets out of texts that come from outside: a proxy or a debug page may repeat the request that it
 * refuses, with its Authorization header or the form with the client secret.
 */
export class Redactor {
  readonly #secrets = new Set<string>();

  add(secret: string): void {
    if (secret.length < MIN_SECRET_CHARS) return;
    this.#secrets
      .add(secret)
      .add(encodeURIComponent(secret))
      .add(new URLSearchParams({ s: secret }).toString().slice(2));
  }

  /** Tokens come and go; only the present ones are worth looking for. */
  forget(secret: string): void {
    this.#secrets.delete(secret);
    this.#secrets.delete(encodeURIComponent(secret));
    this.#secrets.delete(new URLSearchParams({ s: secret }).toString().slice(2));
  }

  clean(text: string): string {
    let cleaned = text;
    for (const secret of this.#secrets) cleaned = cleaned.replaceAll(secret, '***');
    return cleaned;
  }
}
