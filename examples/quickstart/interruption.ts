/** npm passes a Ctrl-C on to a process that has got it from the terminal as well: what follows so soon is the same one. */
const SAME_KEYPRESS_MS = 500;
const INTERRUPTED = 130;

/** The first SIGINT, SIGTERM or SIGHUP aborts `signal`; the next one ends the process at once, children included. */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  #firstMs = 0;
  readonly #onSignal = () => {
    if (!this.#controller.signal.aborted) {
      this.#firstMs = performance.now();
      this.#controller.abort(new Interrupted());
    } else if (performance.now() - this.#firstMs > SAME_KEYPRESS_MS) process.exit(INTERRUPTED);
  };

  constructor() {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, this.#onSignal);
  }
}

/** Thrown by what was waiting when the user had enough. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly exitCode = INTERRUPTED;

  constructor() {
    super('Interrupted.');
  }
}

/** Resolves with `promise`, or throws when `signal` aborts first. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
