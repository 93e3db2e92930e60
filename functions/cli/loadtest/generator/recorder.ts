import type { FailureKind } from '../http/failure.ts';
import { createHistogram, type HistogramSnapshot } from './histogram.ts';
import type { Outcome } from './pool.ts';

/** What one part of a run has measured. */
interface PartRecording {
  /** Latencies of requests with a 2xx status, and of those without a response in time: as long as they have waited. */
  readonly latency: HistogramSnapshot;
  /** Requests that started in it and have an outcome. */
  readonly requests: number;
  /** Responses with a 2xx status that passed the check, if there is one. */
  readonly ok: number;
}

/** What a generator has measured: plain data, which another thread may get. */
export interface Recording {
  /** Duration of the measured part of the run. */
  readonly seconds: number;
  /** One for each phase of the profile. */
  readonly parts: readonly PartRecording[];
  /** Responses by status. A request that is sent again after a refusal has several. */
  readonly statuses: Readonly<Record<number, number>>;
  readonly failures: Readonly<Partial<Record<FailureKind, number>>>;
  /** Responses whose values are not those expected, and the first fault. */
  readonly wrong: number;
  readonly firstWrong: string | undefined;
  /** The start of the body of the first response of each status that is not 2xx. */
  readonly samples: Readonly<Record<number, string>>;
  /** Requests that were sent again after `Retry-After`. */
  readonly retries: number;
  /** Responses that count as ok and ended within the run, also those of requests that started before its measured part. */
  readonly completed: number;
  /** By the time of their end, in equal parts of the run: responses that count as ok, and other outcomes. */
  readonly bins: { readonly seconds: number; readonly ok: readonly number[]; readonly failed: readonly number[] };
  /** How late the generator began requests, ms: its own delay. */
  readonly late: HistogramSnapshot;
  /** Requests that waited for a connection, because all were in use. */
  readonly waited: number;
  /** Most connections that were open at the same time. */
  readonly connections: number;
  /** CPU time of the generator in cores. */
  readonly cores: number;
}

/** Counts so far, for progress. */
export interface Recent {
  readonly requests: number;
  readonly ok: number;
  readonly failed: number;
  /** Median and 99th percentile of the latencies since the last progress, in ms. */
  readonly p50: number;
  readonly p99: number;
}

export interface Recorder {
  /** A request of the measured part begins, `lateMs` after its start. @param waits for a connection */
  began(lateMs: number, waits: boolean): void;
  retried(status: number): void;
  /** @param startMs start of the request, `endMs` its outcome: both from the start of the measured part, which has the requests that start in it */
  ended(startMs: number, endMs: number, outcome: Outcome, fault: string | undefined): void;
  /** What was counted so far. */
  progress(): Recent;
  finish(seconds: number, connections: number, cores: number): Recording;
}

/** Bins of the series over time. */
const BINS = 60;
const LEAST_BIN_SECONDS = 0.1;

export const isOk = (status: number): boolean => status >= 200 && status < 300;

/**
 * Creates a recorder.
 * @param phases durations of the phases in seconds
 */
export function createRecorder(phases: readonly number[]): Recorder {
  const total = phases.reduce((sum, seconds) => sum + seconds, 0);
  const binSeconds = Math.max(LEAST_BIN_SECONDS, total / BINS);
  const ends = phases.map((_, i) => phases.slice(0, i + 1).reduce((sum, seconds) => sum + seconds, 0) * 1000);
  const parts = phases.map(() => ({ latency: createHistogram(), requests: 0, ok: 0 }));
  const [late, recent] = [createHistogram(), createHistogram()];
  const statuses: Record<number, number> = {};
  const failures: Partial<Record<FailureKind, number>> = {};
  const samples: Record<number, string> = {};
  const bins = { ok: [] as number[], failed: [] as number[] };
  const counted = { requests: 0, ok: 0, failed: 0 };
  let [retries, wrong, completed, waited] = [0, 0, 0, 0];
  let firstWrong: string | undefined;

  function countStatus(status: number): void {
    statuses[status] = (statuses[status] ?? 0) + 1;
  }

  return {
    began(lateMs, waits) {
      late.record(lateMs);
      if (waits) waited += 1;
    },
    retried(status) {
      retries += 1;
      countStatus(status);
    },
    ended(startMs, endMs, outcome, fault) {
      const ok = 'status' in outcome && isOk(outcome.status) && fault === undefined;
      const bin = Math.floor(endMs / 1000 / binSeconds);
      if (ok && endMs >= 0 && endMs <= total * 1000) completed += 1;
      if (bin >= 0) {
        const series = ok ? bins.ok : bins.failed;
        series[bin] = (series[bin] ?? 0) + 1;
      }
      if (startMs < 0) return;
      const part = parts[ends.findIndex((end) => startMs < end)] ?? parts.at(-1)!;
      const latency = endMs - startMs;
      part.requests += 1;
      counted.requests += 1;
      counted[ok ? 'ok' : 'failed'] += 1;
      if ('status' in outcome) {
        countStatus(outcome.status);
        if (!isOk(outcome.status)) samples[outcome.status] ??= outcome.body.toString();
      } else failures[outcome.failure] = (failures[outcome.failure] ?? 0) + 1;
      if (fault !== undefined) {
        wrong += 1;
        firstWrong ??= fault;
      }
      if (ok) part.ok += 1;
      if (ok || ('failure' in outcome && outcome.failure === 'timeout')) {
        part.latency.record(latency);
        recent.record(latency);
      }
    },
    progress() {
      const [p50, p99] = [recent.quantile(0.5), recent.quantile(0.99)];
      recent.clear();
      return { ...counted, p50, p99 };
    },
    finish: (seconds, connections, cores) => ({
      seconds,
      parts: parts.map(({ latency, requests, ok }) => ({ latency: latency.snapshot(), requests, ok })),
      statuses,
      failures,
      wrong,
      firstWrong,
      samples,
      retries,
      completed,
      waited,
      bins: { seconds: binSeconds, ok: filled(bins.ok, seconds), failed: filled(bins.failed, seconds) },
      late: late.snapshot(),
      connections,
      cores,
    }),
  };

  /** The bins within the run: what ended after it is not part of the throughput. */
  function filled(values: readonly number[], seconds: number): number[] {
    return Array.from({ length: Math.max(1, Math.ceil(seconds / binSeconds - 1e-6)) }, (_, i) => values[i] ?? 0);
  }
}
