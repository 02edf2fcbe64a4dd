const MASK = '***';
/** A shorter text occurs in innocent words, and masking those would hide more than it protects. */
const SHORTEST = 4;

/**
 * The secret values of this process, which no log line and no message may hold. Filled while the configuration is read;
 * everything that writes text for people passes it through `mask` last.
 */
export class Secrets {
  /** The longest first, so that one which contains another leaves no rest of it. */
  #values: readonly string[] = [];

  /** Registers a secret as it is, URL-encoded, and as it reads within JSON. */
  add(value: string): void {
    const forms = [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)];
    const known = new Set([...this.#values, ...forms.filter((form) => form.length >= SHORTEST)]);
    this.#values = [...known].toSorted((a, b) => b.length - a.length);
  }

  /** Registers the passwords of the connection URL or connection string that `text` may be. */
  addPasswordsOf(text: string): void {
    for (const [, , inUrl, , inPair] of text.matchAll(PASSWORDS)) {
      const password = inUrl ?? inPair ?? '';
      this.add(password);
      this.add(decoded(password));
    }
  }

  /** The text without secrets. JSON stays JSON. */
  mask(text: string): string {
    let masked = text;
    for (const value of this.#values) masked = masked.replaceAll(value, MASK);
    return maskPasswords(masked);
  }
}

/**
 * `scheme://user:password@host`, and `password=` as in a query or in libpq's connection strings. What follows the colon
 * is no password if it is a port. Neither crosses a quote, so that masked JSON stays JSON.
 */
const PASSWORDS =
  /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/?#@"']*:)((?!\d{1,5}(?:[/?#]|$))[^\s"']+)(?=@)|(\b\w*password=)('[^']*'|[^\s&"',;}]+)/gi;

/** The text with the passwords of its URLs and connection strings masked. */
export const maskPasswords = (text: string): string =>
  text.replaceAll(
    PASSWORDS,
    (_, url: string | undefined, _password, pair: string | undefined) => `${url ?? pair}${MASK}`,
  );

/** Whether a key's name says that its value is secret. */
export const looksSecret = (key: string): boolean =>
  /pass(word|wd|phrase)|secret|token(?!_?(uri|url|endpoint|type|file))|authorization|credential|private_?key/i.test(
    key,
  );

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
