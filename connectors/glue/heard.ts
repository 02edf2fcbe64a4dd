/** So many events are remembered: copies of one come within seconds of each other. */
const REMEMBERED = 20_000;

/** Ids of events whose hints are durable, so that another copy of one needs no read. */
export class HeardEvents {
  readonly #ids = new Set<string>();

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size > REMEMBERED) for (const oldest of this.#ids) return void this.#ids.delete(oldest);
  }
}
