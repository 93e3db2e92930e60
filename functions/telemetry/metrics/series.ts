/** One line of a scrape. `metricName` is set if it is not the metric's own name: the parts of a histogram. */
export interface Sample {
  labels: Record<string, string | number>;
  value: number;
  metricName?: string;
}

/** A histogram of one series. */
export interface Histogram {
  /** Counts a value, `times` times. A value that is not a finite number above 0 counts as 0. */
  observe(value: number, times?: number): void;
  /** The cumulative buckets, the sum and the count, as in the text format 0.0.4 of Prometheus. */
  samples(name: string, labels: Record<string, string>): Sample[];
}

/**
 * Creates a histogram of one series. Counting a value takes one binary search, and no text of labels.
 * @param bounds the upper bounds of the buckets, ascending.
 */
export function createHistogram(bounds: readonly number[]): Histogram {
  const upper = Float64Array.from(bounds);
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;

  function observe(value: number, times = 1): void {
    const v = value > 0 && value < Number.POSITIVE_INFINITY ? value : 0;
    let low = 0;
    let high = upper.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (v <= upper[middle]!) high = middle;
      else low = middle + 1;
    }
    counts[low]! += times;
    sum += v * times;
  }

  function samples(name: string, labels: Record<string, string>): Sample[] {
    let total = 0;
    const buckets = Array.from(counts, (count, i): Sample => {
      total += count;
      return { metricName: `${name}_bucket`, labels: { ...labels, le: upper[i] ?? '+Inf' }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: total },
    ];
  }

  return { observe, samples };
}

/** Creates counters by a closed list of names, all of them 0. */
export function createTally<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}

/** Creates a function that returns each of the first `limit` distinct values unchanged, and `other` for any further one. */
export function boundLabel(limit: number): (value: string) => string {
  const seen = new Set<string>();
  return (value) => {
    if (seen.has(value)) return value;
    if (seen.size >= limit) return 'other';
    seen.add(value);
    return value;
  };
}
