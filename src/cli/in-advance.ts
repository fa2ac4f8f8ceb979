/** Results in the order of `items`, while those of the next `ahead` are being worked on. */
export async function* inAdvance<Item, Result>(
  items: readonly Item[],
  ahead: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const under: Promise<Result>[] = [];
  for (let next = 0; next < items.length || under.length > 0; ) {
    for (; next < items.length && under.length <= ahead; next++) {
      const result = work(items[next]!);
      result.catch(() => {}); // it is thrown when its turn comes, if it comes
      under.push(result);
    }
    yield await under.shift()!;
  }
}
