/**
 * The indices of the `count` highest values, the highest first: equal values in their order, NaN last. All of them if there are
 * fewer. Takes n log `count`.
 */
export function highestOf(values: ArrayLike<number>, count: number): number[] {
  const isBefore = (a: number, b: number): boolean => {
    const x = values[a]!;
    const y = values[b]!;
    if (x > y) return true;
    if (x < y) return false;
    const isLast = Number.isNaN(x);
    return isLast === Number.isNaN(y) ? a < b : !isLast;
  };
  // A heap: none of the kept comes after the first in the ranking.
  const kept = Array.from({ length: Math.min(count, values.length) }, (_, index) => index);
  for (let node = (kept.length >> 1) - 1; node >= 0; node--) sink(kept, node, isBefore);
  for (let index = kept.length; index < values.length && kept.length > 0; index++) {
    if (!isBefore(index, kept[0]!)) continue;
    kept[0] = index;
    sink(kept, 0, isBefore);
  }
  return kept.sort((a, b) => (isBefore(a, b) ? -1 : 1));
}

/** Moves an entry of the heap down until none below it comes after it in the ranking. */
function sink(heap: number[], start: number, isBefore: (a: number, b: number) => boolean): void {
  const moved = heap[start]!;
  let node = start;
  for (;;) {
    let child = 2 * node + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child]!, heap[child + 1]!)) child++;
    if (!isBefore(moved, heap[child]!)) break;
    heap[node] = heap[child]!;
    node = child;
  }
  heap[node] = moved;
}
