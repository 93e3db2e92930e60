/** The number and the total time of timed events. */
export interface Duration {
  count: number;
  seconds: number;
}

/** Measurements of one version of a model since the process started, over all callers and dialects. */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  /** Time of the end of the latest run, in milliseconds since 1970; 0 before the first. */
  lastRun: number;
  /** Rows of all runs. */
  rows: number;
  /** Queue entries of which every row has a result, from queueing to the last row. */
  readonly ok: Duration;
  /** The same of the other queue entries. */
  readonly failed: Duration;
  /** Queue entries whose rows were taken for a run, and how long they had waited. */
  readonly waits: Duration;
  /** Runs of the model, to the engine process and back, by their number of rows. */
  readonly runs: Map<number, Duration>;
}

/** Records the measurements of one version. Keep it: looking it up takes longer than recording. */
interface StatisticsRecorder {
  /** The rows and the duration of one run. */
  run(rows: number, seconds: number): void;
  /** The time that a queue entry waited for its run. */
  wait(seconds: number): void;
  /** The time from queueing to the last row of a queue entry. @param ok whether every row has a result. */
  settled(ok: boolean, seconds: number): void;
}

/** The statistics of all versions. */
export interface StatisticsRegistry {
  /** The recorder of a version. */
  of(name: string, version: string): StatisticsRecorder;
  /** The statistics of all versions, in the order in which they were first loaded. */
  all(): readonly ModelStatistics[];
}

/** Creates a registry, which keeps the statistics of each version that was loaded, also after it is unloaded. */
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
