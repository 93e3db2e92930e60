import type { Histogram, Range } from './histogram.ts';

/** Bins of the quantized distribution: half the integers of a byte, as in TensorRT and in onnxruntime. */
const QUANTIZED_BINS = 128;
/** What a bin without values gets of the probability, so that its logarithm exists. */
const EPSILON = 0.0001;

/**
 * The range whose values keep the most information in 8 bits: that with the smallest Kullback-Leibler divergence between the distribution
 * of the values, clipped to the range, and the same in {@link QUANTIZED_BINS} steps. The rule is `get_entropy_threshold` of onnxruntime's
 * calibrate.py, after S. Migacz, "8-bit Inference with TensorRT", 2017.
 * @param histogram symmetric around 0, of more than {@link QUANTIZED_BINS} bins
 * @param seen of the values
 */
export function entropyRange({ counts, edges }: Histogram, seen: Range): Range {
  const bins = counts.length;
  const middle = Math.floor(bins / 2);
  const before = cumulated(counts);
  let best = { divergence: Number.POSITIVE_INFINITY, start: 0, end: bins };
  for (let half = QUANTIZED_BINS / 2; half <= middle; half++) {
    const start = middle - half;
    const end = Math.min(middle + half + 1, bins);
    const clipped = counts.slice(start, end);
    const inside = clipped.slice();
    clipped[0]! += before[start]!;
    clipped[clipped.length - 1]! += before[bins]! - before[end]!;
    const divergence = divergenceOf(smoothed(clipped), smoothed(quantized(inside, clipped)));
    if (divergence < best.divergence) best = { divergence, start, end };
  }
  return within({ min: edges[best.start]!, max: edges[best.end]! }, seen);
}

/** Merges the bins into {@link QUANTIZED_BINS}, and spreads each of those over its bins that have values. */
function quantized(inside: Float64Array, clipped: Float64Array): Float64Array {
  const merged = Math.floor(inside.length / QUANTIZED_BINS);
  const result = new Float64Array(inside.length);
  for (let bin = 0; bin < QUANTIZED_BINS; bin++) {
    const from = bin * merged;
    const to = from + merged;
    // The last one has the remaining bins as well, but is not spread over them.
    const total = sum(inside.subarray(from, bin === QUANTIZED_BINS - 1 ? inside.length : to));
    const filled = clipped.subarray(from, to).filter((count) => count !== 0).length;
    // onnxruntime has integers here.
    if (filled > 0) result.fill(Math.floor(total / filled), from, to);
  }
  return result;
}

/** Takes a little from the bins with values for those without. Undefined if none has values. */
function smoothed(counts: Float64Array): Float64Array | undefined {
  const empty = counts.filter((count) => count === 0).length;
  const filled = counts.length - empty;
  if (filled === 0) return undefined;
  const taken = (EPSILON * empty) / filled;
  return counts.map((count) => (count === 0 ? EPSILON : count - taken));
}

/** Kullback-Leibler divergence of two distributions that need not sum to 1. */
function divergenceOf(p: Float64Array | undefined, q: Float64Array | undefined): number {
  if (p === undefined || q === undefined) return Number.POSITIVE_INFINITY;
  const [totalP, totalQ] = [sum(p), sum(q)];
  return p.reduce((result, value, i) => result + (value / totalP) * Math.log((value * totalQ) / (q[i]! * totalP)), 0);
}

/**
 * The range without the largest magnitudes, so that `percentile` of the values are inside: `compute_percentile` of onnxruntime's
 * calibrate.py, for a histogram of magnitudes.
 * @param percentile from 0 to 100
 */
export function percentileRange({ counts, edges }: Histogram, percentile: number, seen: Range): Range {
  const before = cumulated(counts);
  const total = before[counts.length]!;
  const bin = counts.findIndex((_, i) => before[i + 1]! / total >= percentile / 100);
  const most = edges[bin === -1 ? counts.length : bin]!;
  return within({ min: -most, max: most }, seen);
}

function within({ min, max }: Range, seen: Range): Range {
  return { min: Math.max(min, seen.min), max: Math.min(max, seen.max) };
}

/** The sums of the counts before each bin, and of all. */
function cumulated(counts: Float64Array): Float64Array {
  const sums = new Float64Array(counts.length + 1);
  for (const [i, count] of counts.entries()) sums[i + 1] = sums[i]! + count;
  return sums;
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
