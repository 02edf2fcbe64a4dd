/** What is due at some time, the earliest first: a binary heap. */
export class DueHeap<Due extends { readonly atMs: number }> {
  #heap: Due[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest; undefined when there is none. */
  get first(): Due | undefined {
    return this.#heap[0];
  }

  clear(): void {
    this.#heap = [];
  }

  /** Takes these for all that there is. */
  refill(dues: readonly Due[]): void {
    // A sorted array is a heap.
    this.#heap = dues.toSorted((a, b) => a.atMs - b.atMs);
  }

  push(due: Due): void {
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.atMs <= due.atMs) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  }

  /** Removes the earliest. */
  pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if ((heap[child + 1]?.atMs ?? Number.POSITIVE_INFINITY) < (heap[child]?.atMs ?? 0)) child++;
      const below = heap[child];
      if (below === undefined || below.atMs >= last.atMs) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
