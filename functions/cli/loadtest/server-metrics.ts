/** The counters of a server's `/metrics` at a time. */
export interface Scrape {
  /** When the process started, which tells instances apart. */
  readonly startedAt: number;
  /** Cumulative counts by upper bound in seconds, of each histogram of {@link STAGES}, and its sum. */
  readonly histograms: ReadonlyMap<string, { readonly bounds: ReadonlyMap<number, number>; sum: number }>;
  /** CPU seconds of the serving process. */
  readonly serving: number;
  /** CPU seconds of each engine process, by its labels. */
  readonly engines: ReadonlyMap<string, number>;
}

/** Durations of a stage in ms; quantiles are interpolated within the buckets of the server's histogram. */
export interface Stage {
  readonly name: string;
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
}

/** What the server has measured of itself during a load. */
export interface ServerFigures {
  readonly stages: readonly Stage[];
  /** Cores that the serving process used, and the engine processes together. */
  readonly servingCores: number;
  readonly engineCores: number;
}

/** The stages of a request, outermost first: the histogram of each, and its name. */
const STAGES: Readonly<Record<string, string>> = {
  http_request_duration_seconds: 'request, from its headers to the end of the response',
  prediction_latency_seconds: 'prediction: queue, run, results',
  prediction_queue_wait_seconds: 'waiting for a run',
  prediction_run_seconds: 'run of the model',
};

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)$/;

/** Reads Prometheus text. @returns undefined if it is not that of this server */
export function readScrape(text: string): Scrape | undefined {
  const histograms = new Map<string, { bounds: Map<number, number>; sum: number }>();
  for (const name of Object.keys(STAGES)) histograms.set(name, { bounds: new Map(), sum: 0 });
  const engines = new Map<string, number>();
  let [startedAt, serving] = [Number.NaN, Number.NaN];
  for (const line of text.split('\n')) {
    const [, name = '', labels = '', given] = LINE.exec(line) ?? [];
    const value = Number(given);
    if (!Number.isFinite(value)) continue;
    if (name === 'process_start_time_seconds') startedAt = value;
    else if (name === 'process_cpu_seconds_total') serving = value;
    else if (name === 'engine_process_cpu_seconds_total') engines.set(labels, value);
    const histogram = histograms.get(name.replace(/_(bucket|sum)$/, ''));
    if (histogram === undefined || isProbe(labels)) continue;
    if (name.endsWith('_sum')) histogram.sum += value;
    const bound = /\ble="([^"]+)"/.exec(labels)?.[1];
    if (bound === undefined) continue;
    const key = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
    histogram.bounds.set(key, (histogram.bounds.get(key) ?? 0) + value);
  }
  return Number.isNaN(startedAt) || Number.isNaN(serving) ? undefined : { startedAt, histograms, serving, engines };
}

/** Requests that are not predictions: scrapes, and probes of the platform. */
const isProbe = (labels: string): boolean => /\broute="\/(metrics|health|ready)"/.test(labels);

/**
 * What happened between two scrapes.
 * @returns undefined if they are of different instances, or of one that started in between
 */
export function compareScrapes(before: Scrape, after: Scrape, seconds: number): ServerFigures | undefined {
  if (before.startedAt !== after.startedAt || seconds <= 0) return undefined;
  // The counter of a replaced engine process starts at 0 again.
  const engines = Array.from(after.engines, ([labels, value]) => {
    const since = value - (before.engines.get(labels) ?? 0);
    return since >= 0 ? since : value;
  });
  const stages = Object.entries(STAGES).flatMap(([metric, name]) => {
    const [old, now] = [before.histograms.get(metric)!, after.histograms.get(metric)!];
    const bounds = [...now.bounds.keys()].sort((a, b) => a - b);
    const counts = bounds.map((bound) => now.bounds.get(bound)! - (old.bounds.get(bound) ?? 0));
    const total = counts.at(-1) ?? 0;
    if (total <= 0) return [];
    const quantile = (q: number): number => quantileOf(bounds, counts, q) * 1000;
    return [{ name, mean: ((now.sum - old.sum) / total) * 1000, p50: quantile(0.5), p99: quantile(0.99) }];
  });
  return {
    stages,
    servingCores: (after.serving - before.serving) / seconds,
    engineCores: engines.reduce((sum, value) => sum + value, 0) / seconds,
  };
}

/** A quantile of cumulative counts, linear within its bucket, as Prometheus' histogram_quantile; the last finite bound at most. */
function quantileOf(bounds: readonly number[], counts: readonly number[], q: number): number {
  const rank = q * counts.at(-1)!;
  const at = counts.findIndex((count) => count >= rank);
  const [lower, upper] = [bounds[at - 1] ?? 0, bounds[at]!];
  if (upper === Number.POSITIVE_INFINITY) return lower;
  const below = counts[at - 1] ?? 0;
  return lower + ((upper - lower) * (rank - below)) / Math.max(1, counts[at]! - below);
}
