/**
 * One piece of work that many callers wait for together. A caller's abort ends its waiting, not the work; the work ends
 * with the owner's signal.
 */
export class SingleFlight<T> {
  readonly #work: () => Promise<T>;
  #running: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  /** Joins the work that is under way, or starts it. Rejects with the signal's reason, or as the work does. */
  async join(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([this.#start(), aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Makes sure that the work is under way, without waiting for it. */
  kick(): void {
    this.#start().catch(() => {
      // Whoever joins next meets the failure again.
    });
  }

  #start(): Promise<T> {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }
}
