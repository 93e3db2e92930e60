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
  const sums = { counts, before: cumulated(counts), filledBefore: cumulated(counts.map(Math.sign)) };
  let best = { divergence: Number.POSITIVE_INFINITY, start: 0, end: bins };
  for (let half = QUANTIZED_BINS / 2; half <= middle; half++) {
    const start = middle - half;
    const end = Math.min(middle + half + 1, bins);
    const divergence = divergenceOf(sums, start, end);
    if (divergence < best.divergence) best = { divergence, start, end };
  }
  return within({ min: edges[best.start]!, max: edges[best.end]! }, seen);
}

interface Sums {
  readonly counts: Float64Array;
  /** The sum of the counts before each bin. */
  readonly before: Float64Array;
  /** How many bins before each have values. */
  readonly filledBefore: Float64Array;
}

/**
 * Kullback-Leibler divergence between the bins from `start` to `end`, with the values beyond in the first and the last of them, and the
 * same in {@link QUANTIZED_BINS} steps. Bins without values get a little of those with values.
 */
function divergenceOf({ counts, before, filledBefore }: Sums, start: number, end: number): number {
  const total = before.at(-1)!;
  const [below, above] = [before[start]!, total - before[end]!];
  const clipped = (bin: number): number => counts[bin]! + (bin === start ? below : 0) + (bin === end - 1 ? above : 0);
  const filledIn = (from: number, to: number): number =>
    filledBefore[to]! -
    filledBefore[from]! +
    Number(from === start && counts[start] === 0 && below > 0) +
    Number(to === end && counts[end - 1] === 0 && above > 0);

  const merged = Math.floor((end - start) / QUANTIZED_BINS);
  const levels = Float64Array.from({ length: QUANTIZED_BINS }, (_, step) => {
    const from = start + step * merged;
    // The last step has the values of the remaining bins, too. onnxruntime has integers here.
    const to = step === QUANTIZED_BINS - 1 ? end : from + merged;
    const filled = filledIn(from, from + merged);
    return filled === 0 ? 0 : Math.floor((before[to]! - before[from]!) / filled);
  });
  const [size, filled] = [end - start, filledIn(start, end)];
  const filledLevels = levels.filter((level) => level > 0).length * merged;
  if (filled === 0 || filledLevels === 0) return Number.POSITIVE_INFINITY;
  const taken = (EPSILON * (size - filled)) / filled;
  const takenLevel = (EPSILON * (size - filledLevels)) / filledLevels;
  let result = 0;
  for (let bin = start; bin < end; bin++) {
    const count = clipped(bin);
    const level = levels[Math.floor((bin - start) / merged)] ?? 0;
    const p = count === 0 ? EPSILON : count - taken;
    result += p * Math.log(p / (level === 0 ? EPSILON : level - takenLevel));
  }
  const totalLevels = levels.reduce((sum, level) => sum + level * merged, 0);
  return result / total + Math.log(totalLevels / total);
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
