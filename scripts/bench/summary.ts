/** What a bar asks of a figure. */
export interface Bar {
  readonly want: 'at least' | 'at most';
  readonly limit: number;
  /** 'x' for a ratio, else a unit. */
  readonly unit: string;
  /** What the figure is, and of what: 'rate / plain node:http'. */
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
  /** Undefined where it could not be measured; `why` says it. */
  readonly measured: Spread | undefined;
  readonly met: boolean | undefined;
  /** How far from the limit, as a share of it; positive is on the right side. */
  readonly margin: number;
  readonly why?: string;
}

/** Median, least and largest. Throws a RangeError where there is nothing. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no values to summarize');
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1]!;
  const median = sorted.length % 2 === 1 ? upper : (sorted[sorted.length / 2 - 1]! + upper) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/**
 * The spread of a[i] / b[i]: contestants that ran one after the other in the same round are compared with each other, so that
 * a slow minute of the machine hits both. Throws a RangeError where the rounds are not paired.
 */
export function ratios(a: readonly number[], b: readonly number[]): Spread {
  if (a.length !== b.length) throw new RangeError(`${a.length} rounds against ${b.length}`);
  return spread(a.map((value, round) => value / b[round]!));
}

/** Holds the median of a figure against its bar. A figure that is not a number misses. */
export function judge(workload: string, bar: Bar, measured: Spread): Verdict {
  const ahead = bar.want === 'at least' ? measured.median - bar.limit : bar.limit - measured.median;
  return { workload, bar, measured, met: ahead >= 0, margin: bar.limit === 0 ? ahead : ahead / bar.limit };
}

/** The verdict of a bar that could not be measured. */
export function unmeasured(workload: string, bar: Bar, why: string): Verdict {
  return { workload, bar, measured: undefined, met: undefined, margin: 0, why };
}
