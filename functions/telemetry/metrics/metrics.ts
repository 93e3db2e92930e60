import { createHttpRecorder } from './http-recorder.ts';
import { createSourceReader, type MetricSources } from './metric-sources.ts';
import {
  CACHE_EVENTS,
  type CacheEventName,
  CLOSE_REASONS,
  type CloseReason,
  type MetricKey,
  REFRESH_OUTCOMES,
  REJECT_REASONS,
  RESTART_REASONS,
  type RefreshOutcome,
  type RejectReason,
  type RestartReason,
} from './metric-table.ts';
import { createModelRecorders, type ModelRecorder } from './model-recorder.ts';
import { createStatisticsRegistry, type StatisticsRegistry } from './model-statistics.ts';
import { QUANTILES, type Quantile, watchEventLoop } from './process-figures.ts';
import { createTally, type Sample } from './series.ts';
import { CONTENT_TYPE, writeText } from './text-format.ts';

export type { MetricSources } from './metric-sources.ts';
export type { CloseReason, RejectReason, RestartReason } from './metric-table.ts';
export type { ModelRecorder } from './model-recorder.ts';

/** The measurements of the process. No method but `render` throws. */
export interface Metrics {
  /** Counts one response. @param route the route's pattern, never the requested path. */
  httpRequest(route: string, method: string, status: number, seconds: number): void;
  /** Counts a request that got no prediction. */
  rejected(reason: RejectReason): void;
  /** Counts a connection that was closed because of what its client sent, or did not send or read. */
  connectionClosed(reason: CloseReason): void;
  /** The recorder of a model. */
  model(name: string): ModelRecorder;
  /** The measurements for the statistics extension of the Open Inference Protocol, by model and version. */
  readonly statistics: StatisticsRegistry;
  /** Counts an engine process that was replaced. */
  engineRestarted(reason: RestartReason): void;
  preparingRestarted(reason: RestartReason): void;
  /** Counts a check for a newer model that found one, or failed. */
  refreshed(outcome: RefreshOutcome): void;
  /** Counts a model that was evicted. */
  unloaded(): void;
  /** Counts a read of a bucket that was retried. */
  fetchRetried(): void;
  /** Counts a request to the cache for a part of a model. */
  cacheEvent(event: CacheEventName): void;
  /** Adds or replaces the values that a scrape reads. */
  observe(sources: Partial<MetricSources>): void;
  /** All metrics in the text format 0.0.4 of Prometheus. @throws the error of a source. */
  render(): { contentType: string; text: string };
  /** Stops watching the event loop. */
  close(): void;
}

/**
 * Creates the process's metrics. Recording adds to numbers in memory; the event loop is watched from the first scrape on.
 *
 * There is no library: prom-client's counters and histograms look up their series by a text of all labels for every value, which
 * takes 1 µs instead of 0.1 µs, and for each row of a batch separately. Only the text format would be left for it.
 */
export function createMetrics(): Metrics {
  const http = createHttpRecorder();
  const models = createModelRecorders();
  const rejected = createTally(REJECT_REASONS);
  const closes = createTally(CLOSE_REASONS);
  const restarts = createTally(RESTART_REASONS);
  const preparingRestarts = createTally(RESTART_REASONS);
  const refreshes = createTally(REFRESH_OUTCOMES);
  const cacheEvents = createTally(CACHE_EVENTS);
  let unloads = 0;
  let fetchRetries = 0;
  const readSources = createSourceReader(models.label);
  const sources: Partial<MetricSources> = {};
  const started = Date.now() / 1000 - process.uptime();
  let loop: ReturnType<typeof watchEventLoop> | undefined;

  function collect(): Record<MetricKey, Sample[]> {
    loop ??= watchEventLoop();
    const delays = loop.read();
    const { user, system } = process.cpuUsage();
    return {
      ...readSources(sources),
      ...readAll(http.samples),
      ...readAll(models.samples),
      rejected: byReason(rejected),
      connectionsClosed: byReason(closes),
      engineRestarts: byReason(restarts),
      preparingRestarts: byReason(preparingRestarts),
      modelRefreshes: byLabel('outcome', refreshes),
      modelCache: byLabel('event', cacheEvents),
      modelUnloads: [{ labels: {}, value: unloads }],
      modelFetchRetries: [{ labels: {}, value: fetchRetries }],
      loopDelay: (Object.keys(QUANTILES) as Quantile[]).map((quantile) => ({
        labels: { quantile },
        value: delays[quantile],
      })),
      cpu: [{ labels: {}, value: (user + system) / 1e6 }],
      memory: [{ labels: {}, value: process.memoryUsage.rss() }],
      started: [{ labels: {}, value: started }],
      nodeVersion: [{ labels: nodeVersion(), value: 1 }],
    };
  }

  function render(): { contentType: string; text: string } {
    return { contentType: CONTENT_TYPE, text: writeText(collect()) };
  }

  return {
    httpRequest: http.record,
    rejected(reason) {
      rejected[reason] += 1;
    },
    connectionClosed(reason) {
      closes[reason] += 1;
    },
    model: models.get,
    statistics: createStatisticsRegistry(),
    engineRestarted(reason) {
      restarts[reason] += 1;
    },
    preparingRestarted(reason) {
      preparingRestarts[reason] += 1;
    },
    refreshed(outcome) {
      refreshes[outcome] += 1;
    },
    unloaded() {
      unloads += 1;
    },
    fetchRetried() {
      fetchRetries += 1;
    },
    cacheEvent(event) {
      cacheEvents[event] += 1;
    },
    observe: (more) => void Object.assign(sources, more),
    render,
    close: () => loop?.stop(),
  };
}

function readAll<Key extends string>(readers: Record<Key, () => Sample[]>): Record<Key, Sample[]> {
  const entries = (Object.keys(readers) as Key[]).map((key) => [key, readers[key]()]);
  return Object.fromEntries(entries) as Record<Key, Sample[]>;
}

const byReason = (tally: Record<string, number>): Sample[] => byLabel('reason', tally);

function byLabel(label: string, tally: Record<string, number>): Sample[] {
  return Object.entries(tally).map(([value, count]) => ({ labels: { [label]: value }, value: count }));
}

function nodeVersion(): Record<string, string> {
  const [major = '', minor = '', patch = ''] = process.versions.node.split('.');
  return { version: process.version, major, minor, patch };
}
