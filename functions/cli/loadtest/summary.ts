import type { ClosedLoop, OpenLoop } from './generator/generate.ts';
import { createHistogram, type Histogram, type HistogramSnapshot } from './generator/histogram.ts';
import type { Phase } from './generator/profile.ts';
import { isOk, type Recording } from './generator/recorder.ts';
import type { FailureKind } from './http/failure.ts';

/** Latencies in ms. */
export interface Latency {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** The result of a phase of the load. */
export interface PartResult {
  readonly phase: Phase;
  readonly requests: number;
  readonly ok: number;
  readonly latency: Latency;
}

/** The result of a load. */
export interface LoadResult {
  /** Duration of the measured part. */
  readonly seconds: number;
  /** Measured requests, with an outcome of any kind. */
  readonly requests: number;
  /** Those with a 2xx status whose values passed the check, if there is one. */
  readonly ok: number;
  /** Part of the requests that are not ok, 0 to 1. */
  readonly errorRate: number;
  /** Responses that count as ok, per second. */
  readonly rate: number;
  /** Requests per second that an open loop began. Undefined for a closed loop, which has no rate of its own. */
  readonly offered: number | undefined;
  /** Of requests that are ok, and of those without a response in time: as long as they have waited. */
  readonly latency: Latency;
  readonly parts: readonly PartResult[];
  readonly statuses: Readonly<Record<number, number>>;
  readonly failures: Readonly<Partial<Record<FailureKind, number>>>;
  readonly samples: Readonly<Record<number, string>>;
  readonly wrong: number;
  readonly firstWrong: string | undefined;
  readonly retries: number;
  readonly bins: Recording['bins'];
  /** Requests that waited for a connection, because all were in use. */
  readonly waited: number;
  /** Most connections that were open at the same time. */
  readonly connections: number;
  /** The generator itself. */
  readonly generator: {
    /** Cores that it used. */
    readonly cores: number;
    /** How late it began requests, ms. Of an open loop this is part of the latencies. */
    readonly lateP50: number;
    readonly lateP99: number;
    /** Whether it began its requests in time, and its thread had time left: otherwise the figures are its own, not the server's. */
    readonly kept: boolean;
  };
  /** Latencies by bucket: the middle of the bucket in ms, and the requests. */
  readonly histogram: readonly (readonly [ms: number, count: number])[];
}

/** A schedule is kept if 99 % of requests begin within so many ms: a few ticks of Node's timers. */
const LATE_MS = 10;
/** A thread that is busier than this has no time left. */
const BUSY_CORES = 0.95;

/** The figures of a recording. @param threads that shared the load */
export function summarize(recording: Recording, { kind, ...loop }: ClosedLoop | OpenLoop, threads = 1): LoadResult {
  const { seconds, parts, cores } = recording;
  const phases = 'rate' in loop ? loop.rate : (loop as ClosedLoop).callers;
  const all = createHistogram();
  for (const { latency } of parts) all.add(latency);
  const sum = (pick: (part: (typeof parts)[number]) => number): number =>
    parts.reduce((total, part) => total + pick(part), 0);
  const [requests, ok] = [sum((part) => part.requests), sum((part) => part.ok)];
  const late = histogramOf(recording.late);
  const isLate = kind === 'open' && late.quantile(0.99) > LATE_MS;
  return {
    seconds,
    requests,
    ok,
    errorRate: requests === 0 ? 0 : (requests - ok) / requests,
    rate: seconds === 0 ? 0 : recording.completed / seconds,
    offered: kind === 'open' && seconds > 0 ? requests / seconds : undefined,
    latency: latencyOf(all),
    parts: parts.map((part, i) => ({
      phase: phases[i]!,
      requests: part.requests,
      ok: part.ok,
      latency: latencyOf(histogramOf(part.latency)),
    })),
    statuses: recording.statuses,
    failures: recording.failures,
    samples: recording.samples,
    wrong: recording.wrong,
    firstWrong: recording.firstWrong,
    retries: recording.retries,
    bins: recording.bins,
    waited: recording.waited,
    connections: recording.connections,
    generator: {
      cores,
      lateP50: late.quantile(0.5),
      lateP99: late.quantile(0.99),
      kept: !isLate && cores <= BUSY_CORES * threads,
    },
    histogram: all.buckets(),
  };
}

/** Responses by status that are not 2xx, and requests without a response, largest first. */
export function errorsOf({
  statuses,
  failures,
}: Pick<LoadResult, 'statuses' | 'failures'>): [name: string, count: number][] {
  const refused = Object.entries(statuses).filter(([status]) => !isOk(Number(status)));
  return [...refused, ...Object.entries(failures)].sort(([, a], [, b]) => b - a);
}

function histogramOf(snapshot: HistogramSnapshot): Histogram {
  const histogram = createHistogram();
  histogram.add(snapshot);
  return histogram;
}

function latencyOf(histogram: Histogram): Latency {
  const { quantile } = histogram;
  return {
    mean: histogram.mean(),
    p50: quantile(0.5),
    p90: quantile(0.9),
    p95: quantile(0.95),
    p99: quantile(0.99),
    p999: quantile(0.999),
    max: histogram.max(),
  };
}
