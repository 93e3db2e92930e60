/** A limit for a figure. */
export interface Bar {
  readonly want: 'at least' | 'at most';
  readonly limit: number;
  /** 'x' for a ratio, else a unit. */
  readonly unit: string;
  /** The name of the figure: 'rate / plain node:http'. */
  readonly of: string;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Verdict {
  readonly workload: string;
  readonly bar: Bar;
  /** Undefined if it could not be measured, for the reason `why`. */
  readonly measured: Spread | undefined;
  readonly met: boolean | undefined;
  /** The distance from the limit, relative to it; positive if the bar is met. */
  readonly margin: number;
  readonly why?: string;
}

/** Median, minimum and maximum. @throws RangeError for an empty list. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no values to summarize');
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1]!;
  const median = sorted.length % 2 === 1 ? upper : (sorted[sorted.length / 2 - 1]! + upper) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/**
 * The spread of a[i] / b[i]: compares contestants that ran one after the other in the same round, so that a slow minute of the machine
 * affects both.
 * @throws RangeError if the numbers of rounds differ.
 */
export function ratios(a: readonly number[], b: readonly number[]): Spread {
  if (a.length !== b.length) throw new RangeError(`${a.length} rounds against ${b.length}`);
  return spread(a.map((value, round) => value / b[round]!));
}

/** Compares the median of a figure with its bar. NaN does not meet it. */
export function judge(workload: string, bar: Bar, measured: Spread): Verdict {
  const ahead = bar.want === 'at least' ? measured.median - bar.limit : bar.limit - measured.median;
  return { workload, bar, measured, met: ahead >= 0, margin: bar.limit === 0 ? ahead : ahead / bar.limit };
}

/** The verdict of a bar that could not be measured. */
export function unmeasured(workload: string, bar: Bar, why: string): Verdict {
  return { workload, bar, measured: undefined, met: undefined, margin: 0, why };
}
