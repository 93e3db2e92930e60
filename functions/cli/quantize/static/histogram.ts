/** Smallest and largest of the values that were seen, as float32. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** How many values are in each of the equal bins between the first and the last edge. */
export interface Histogram {
  readonly counts: Float64Array;
  /** One more than there are counts. */
  readonly edges: Float32Array;
}

/** An empty histogram. @param first to `last`: if they are equal, half a unit around them, as numpy has it */
export function createHistogram(bins: number, first: number, last: number): Histogram {
  const [from, to] = first === last ? [first - 0.5, last + 0.5] : [first, last];
  const edges = Float32Array.from({ length: bins + 1 }, (_, i) => from + ((to - from) * i) / bins);
  edges[bins] = to;
  return { counts: new Float64Array(bins), edges };
}

/** Counts the values between the edges, the last edge included, as `numpy.histogram`. */
export function addValues({ counts, edges }: Histogram, values: Float32Array, isAbsolute = false): void {
  const bins = counts.length;
  const first = edges[0]!;
  const last = edges[bins]!;
  const perUnit = bins / (last - first);
  for (const one of values) {
    const value = isAbsolute ? Math.abs(one) : one;
    if (!(value >= first && value <= last) || (!isAbsolute && value === 0)) continue;
    let bin = Math.min(bins - 1, Math.floor((value - first) * perUnit));
    // The product is rounded: the edges decide.
    if (value < edges[bin]!) bin--;
    else if (bin < bins - 1 && value >= edges[bin + 1]!) bin++;
    counts[bin]!++;
  }
}
