/** One request of a load, and how it ended. Times are in milliseconds. */
export interface Sample {
  /** From the start of the load to the time at which the request was due. */
  readonly at: number;
  /** From then to the end of its response: a late start of the client counts too (no coordinated omission). */
  readonly ms: number;
  /** 0: no response. */
  readonly status: number;
  /** Seconds of `Retry-After`; NaN without it. */
  readonly retryAfter: number;
  /** For a 200: whether the response has the expected values. */
  readonly isRight: boolean;
  /** Whether the client closed the connection before the response. */
  readonly hasLeft: boolean;
}

export const isServed = ({ status, isRight }: Sample): boolean => status === 200 && isRight;
export const isWrong = ({ status, isRight }: Sample): boolean => status === 200 && !isRight;
export const isRefused = ({ status }: Sample): boolean => status === 429;
/** Neither served nor refused, and not left by the client. */
export const isFailed = (sample: Sample): boolean => sample.status !== 200 && !isRefused(sample) && !sample.hasLeft;

/** The smallest value that is not exceeded by the share `q` (0 to 1) of all values: the nearest rank. NaN without values. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length, Math.max(1, Math.ceil(q * sorted.length))) - 1]!;
}

/** Right responses a second that ended from `from` on and before `to`, in milliseconds since the start of the load. */
export function goodput(samples: readonly Sample[], from: number, to: number): number {
  const served = samples.filter((sample) => isServed(sample) && within(sample.at + sample.ms, from, to));
  return (served.length * 1000) / (to - from);
}

/** The goodput of each whole window of `windowMs` from `from` to `to`: the lowest shows a gap that the mean hides. */
export function goodputWindows(samples: readonly Sample[], from: number, to: number, windowMs: number): number[] {
  const windows = Math.floor((to - from) / windowMs);
  return Array.from({ length: windows }, (_, i) => goodput(samples, from + i * windowMs, from + (i + 1) * windowMs));
}

/** Milliseconds until the next of arrivals that do not know of each other: a Poisson process. @param uniform a number in [0, 1) */
export const gapMs = (perSecond: number, uniform: number): number => (Math.log(1 / (1 - uniform)) * 1000) / perSecond;

/** CPU microseconds of each request of a server that did nothing else. NaN without requests. */
export function microsecondsEach(cpuSeconds: number, requests: number): number {
  return requests === 0 ? Number.NaN : (cpuSeconds * 1e6) / requests;
}

/** Counts of samples by status, for the table: `200: 31, 429: 5`. */
export function countStatuses(samples: readonly Sample[]): string {
  const counts = new Map<string, number>();
  for (const { status, hasLeft } of samples) {
    const key = hasLeft ? 'left' : status === 0 ? 'no response' : String(status);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([key, count]) => `${key}: ${count}`)
    .join(', ');
}

function within(value: number, from: number, to: number): boolean {
  return value >= from && value < to;
}
