/** How often something was timed, and for how long in all. */
export interface Duration {
  count: number;
  seconds: number;
}

/** Measurements of one version of a model since the process started, over all callers and dialects. */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  /** Milliseconds since 1970 at the end of the latest run; 0 before the first. */
  lastRun: number;
  /** Rows that runs have answered. */
  rows: number;
  /** Requests as they were queued, from then to their last row: those of which every row was answered, and the others. */
  readonly ok: Duration;
  readonly failed: Duration;
  /** Requests that were taken out of the queue, and how long they had waited. */
  readonly waits: Duration;
  /** Runs of the model, to the engine process and back, by their number of rows. */
  readonly runs: Map<number, Duration>;
}

/** Records what happens to one version. Keep it: to find it costs more than to record. */
export interface StatisticsRecorder {
  run(rows: number, seconds: number): void;
  wait(seconds: number): void;
  settled(ok: boolean, seconds: number): void;
}

export interface StatisticsRegistry {
  of(name: string, version: string): StatisticsRecorder;
  /** In the order in which they were first loaded. */
  all(): readonly ModelStatistics[];
}

/** Keeps the statistics of each version that was loaded, also once it is unloaded. */
export function createStatisticsRegistry(): StatisticsRegistry {
  const entries = new Map<string, { readonly recorder: StatisticsRecorder; readonly statistics: ModelStatistics }>();
  return {
    of(name, version) {
      const key = JSON.stringify([name, version]);
      const known = entries.get(key) ?? createEntry(name, version);
      entries.set(key, known);
      return known.recorder;
    },
    all: () => Array.from(entries.values(), ({ statistics }) => statistics),
  };
}

function createEntry(name: string, version: string) {
  const none = (): Duration => ({ count: 0, seconds: 0 });
  const runs = new Map<number, Duration>();
  const statistics: ModelStatistics = {
    name,
    version,
    lastRun: 0,
    rows: 0,
    ok: none(),
    failed: none(),
    waits: none(),
    runs,
  };
  const recorder: StatisticsRecorder = {
    run(rows, seconds) {
      statistics.lastRun = Date.now();
      statistics.rows += rows;
      let size = runs.get(rows);
      if (size === undefined) {
        size = none();
        runs.set(rows, size);
      }
      add(size, seconds);
    },
    wait: (seconds) => add(statistics.waits, seconds),
    settled: (ok, seconds) => add(ok ? statistics.ok : statistics.failed, seconds),
  };
  return { recorder, statistics };
}

function add(duration: Duration, seconds: number): void {
  duration.count += 1;
  duration.seconds += seconds;
}
