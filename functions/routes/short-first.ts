interface Entry<T> {
  readonly item: T;
  readonly size: number;
  /** Sizes of what came later and was taken before it. */
  overtaken: number;
}

/** A queue in which short items go first and none starves: an item is overtaken by no more than its own size. */
export class ShortFirstQueue<T> {
  #entries: Entry<T>[] = [];

  get length(): number {
    return this.#entries.length;
  }

  /** @param size in any one unit: bytes. */
  push(item: T, size: number): void {
    this.#entries.push({ item, size, overtaken: 0 });
  }

  /** The next item of at most `maxSize`, as if those above it were not there; undefined where there is none. It stays. */
  peek(maxSize = Number.POSITIVE_INFINITY): T | undefined {
    return this.#next(maxSize)?.item;
  }

  /** Takes the item that `peek` gives. */
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

  /** Removes and gives the items that `isUnwanted` says, in the order in which they came. */
  removeAll(isUnwanted: (item: T) => boolean): T[] {
    const { kept = [], removed = [] } = Object.groupBy(this.#entries, ({ item }) =>
      isUnwanted(item) ? 'removed' : 'kept',
    );
    this.#entries = kept;
    return removed.map(({ item }) => item);
  }
}
