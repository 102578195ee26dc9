/** Runs `work` on every item, at most `width` at a time. Throws the first failure once nothing runs any more. */
export async function forEachWindowed<T>(
  items: Iterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const lane = async () => {
    while (failure === undefined) {
      const next = iterator.next();
      if (next.done) return;
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  if (failure !== undefined) throw failure.error;
}

/** The results of `work` in the order of the items, read ahead by `width` items. */
export async function* mapAhead<T, R>(
  items: Iterable<T>,
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const ahead: Promise<R>[] = [];
  const start = (item: T) => {
    const result = work(item);
    result.catch(() => undefined); // Seen when its turn comes, or never when the reader leaves before.
    ahead.push(result);
  };
  for (const item of items) {
    start(item);
    if (ahead.length >= width) yield await ahead.shift()!;
  }
  while (ahead.length > 0) yield await ahead.shift()!;
}
