/** Each value below this many units has a bucket; above, each doubling is divided into half as many. */
const LINEAR = 256;
const HALF = LINEAR / 2;
/** A unit is 0.1 microseconds: 2^31 of them are 214 seconds, more than any run lasts. */
const UNITS_PER_MS = 10_000;
const MAX_UNITS = 2 ** 31 - 1;

export interface Histogram {
  /** Counts one latency in milliseconds, without allocating. */
  record(ms: number): void;
  /** The quantile `q` (0 to 1) in ms; 0 without records. */
  quantile(q: number): number;
  /** The largest record, exactly, in ms. */
  max(): number;
  count(): number;
  /** The mean of the records, in ms; 0 without records. */
  mean(): number;
  clear(): void;
  /** The records as plain data, which another thread may get. */
  snapshot(): HistogramSnapshot;
  /** Adds the records of another histogram. */
  add(other: HistogramSnapshot): void;
  /** The buckets that have records, in ascending order: the value in their middle, in ms, and the records. */
  buckets(): [ms: number, count: number][];
}

/** The records of a histogram. */
export interface HistogramSnapshot {
  readonly counts: Float64Array;
  readonly count: number;
  readonly sum: number;
  readonly max: number;
}

function bucketOf(units: number): number {
  if (units < LINEAR) return units;
  const shift = 24 - Math.clz32(units);
  return shift * HALF + (units >>> shift);
}

function middleOf(bucket: number): number {
  if (bucket < LINEAR) return bucket;
  const shift = Math.floor(bucket / HALF) - 1;
  return (bucket - shift * HALF + 0.5) * 2 ** shift;
}

/**
 * Creates a histogram of latencies like HdrHistogram: counts in log-linear buckets, so that millions of requests are neither kept nor
 * sorted. A quantile is within 1 % of the exact value from 10 microseconds up.
 */
export function createHistogram(): Histogram {
  const counts = new Float64Array(bucketOf(MAX_UNITS) + 1);
  let [count, sum, max] = [0, 0, 0];
  return {
    record(ms) {
      const units = Math.min(MAX_UNITS, Math.max(0, Math.round(ms * UNITS_PER_MS)));
      counts[bucketOf(units)]! += 1;
      count += 1;
      sum += ms;
      if (ms > max) max = ms;
    },
    quantile(q) {
      let left = Math.max(1, Math.ceil(q * count));
      if (count === 0) return 0;
      for (let bucket = 0; bucket < counts.length; bucket += 1) {
        left -= counts[bucket]!;
        if (left <= 0) return Math.min(max, middleOf(bucket) / UNITS_PER_MS);
      }
      return max;
    },
    max: () => max,
    count: () => count,
    mean: () => (count === 0 ? 0 : sum / count),
    clear() {
      counts.fill(0);
      [count, sum, max] = [0, 0, 0];
    },
    snapshot: () => ({ counts: counts.slice(), count, sum, max }),
    add(other) {
      for (const [bucket, records] of other.counts.entries()) if (records > 0) counts[bucket]! += records;
      count += other.count;
      sum += other.sum;
      max = Math.max(max, other.max);
    },
    buckets: () =>
      Array.from(counts.entries()).flatMap(([bucket, records]) =>
        records > 0 ? [[middleOf(bucket) / UNITS_PER_MS, records]] : [],
      ),
  };
}
