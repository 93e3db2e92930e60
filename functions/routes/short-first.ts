interface Entry<T> {
  readonly item: T;
  readonly size: number;
  /** Sum of the sizes of items that came later and were taken first. */
  overtaken: number;
}

/** A queue in which short items are taken first and none starves: the items that overtake one add up to no more than its size. */
export class ShortFirstQueue<T> {
  #entries: Entry<T>[] = [];

  /** Items in the queue. */
  get length(): number {
    return this.#entries.length;
  }

  /** Adds an item. @param size in any unit, the same for all items. */
  push(item: T, size: number): void {
    this.#entries.push({ item, size, overtaken: 0 });
  }

  /** The next item of at most `maxSize`, ignoring larger ones; undefined if there is none. It stays in the queue. */
  peek(maxSize = Number.POSITIVE_INFINITY): T | undefined {
    return this.#next(maxSize)?.item;
  }

  /** Removes and returns the item that `peek` returns. */
  take(maxSize = Number.POSITIVE_INFINITY): T | undefined {
    const next = this.#next(maxSize);
    if (next === undefined) return undefined;
    for (const entry of this.#entries) {
      if (entry === next) break;
      if (entry.size <= maxSize) entry.overtaken += next.size;
    }
    this.#entries.splice(this.#entries.indexOf(next), 1);
    return next.item;
  }

  #next(maxSize: number): Entry<T> | undefined {
    let next: Entry<T> | undefined;
    let allowance = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries) {
      if (entry.size > maxSize) continue;
      if (entry.size <= allowance && (next === undefined || entry.size < next.size)) next = entry;
      allowance = Math.min(allowance, entry.size - entry.overtaken);
    }
    return next;
  }

  /** Removes and returns the items for which `isUnwanted` is true, in the order in which they came. */
  removeAll(isUnwanted: (item: T) => boolean): T[] {
    const { kept = [], removed = [] } = Object.groupBy(this.#entries, ({ item }) =>
      isUnwanted(item) ? 'removed' : 'kept',
    );
    this.#entries = kept;
    return removed.map(({ item }) => item);
  }
}
