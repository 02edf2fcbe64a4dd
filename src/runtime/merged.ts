/**
 * Runs some of the sources at the same time and yields what they yield as it comes. The first failure ends all; sources
 * that have begun are closed when the consumer stops early.
 */
export async function* merged<Value>(
  sources: readonly (() => AsyncGenerator<Value, void, undefined>)[],
  concurrency: number,
): AsyncGenerator<Value, void, undefined> {
  type Step = { readonly from: AsyncGenerator<Value, void, undefined>; readonly result: IteratorResult<Value, void> };
  const waiting = sources.values();
  const running = new Map<AsyncGenerator<Value, void, undefined>, Promise<Step>>();
  const advance = (from: AsyncGenerator<Value, void, undefined>) => {
    const step = from.next().then((result) => ({ from, result }));
    step.catch(() => {}); // the race tells
    running.set(from, step);
  };
  const fill = () => {
    while (running.size < concurrency) {
      const { value: source, done } = waiting.next();
      if (done === true) return;
      advance(source());
    }
  };
  try {
    for (fill(); running.size > 0; fill()) {
      const { from, result } = await Promise.race(running.values());
      if (result.done === true) {
        running.delete(from);
        continue;
      }
      // The next page is on its way while the consumer works on this one.
      advance(from);
      yield result.value;
    }
  } finally {
    // Not awaited: a generator under way ends only when its request does, and the signal sees to that.
    for (const from of running.keys()) void from.return().catch(() => {});
  }
}
