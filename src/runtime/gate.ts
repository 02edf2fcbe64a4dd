/** A semaphore whose limit may change while it is in use. First come, first served. */
export class Gate {
  readonly #limit: () => number;
  readonly #waiting: (() => void)[] = [];
  #head = 0;
  #inside = 0;

  constructor(limit: () => number) {
    this.#limit = limit;
  }

  get inside(): number {
    return this.#inside;
  }

  /** Resolves when there is room; every `enter` needs a `leave`. */
  enter(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#letIn();
    return promise;
  }

  leave(): void {
    this.#inside--;
    this.#letIn();
  }

  /** As many as there is room for; the limit may have grown since they came. */
  #letIn(): void {
    while (this.#inside < this.#limit()) {
      const next = this.#waiting[this.#head];
      if (next === undefined) break;
      this.#head++;
      this.#inside++;
      next();
    }
    if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
