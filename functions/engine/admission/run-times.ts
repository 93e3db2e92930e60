/** How long runs take, by their number of rows: the estimate that the wait of a queued row rests on. */
export interface RunTimes {
  /** Records a run that has ended. */
  record(rows: number, ms: number): void;
  /** Shortens the estimates a little: rows were dropped because of them, so that no run could correct them. */
  doubt(): void;
  /** Milliseconds that a run of so many rows takes; 0 before the first run has ended. */
  runMs(rows: number): number;
  /** Milliseconds until so many rows have been run, if no others are run meanwhile; 0 before the first run has ended. */
  drainMs(rows: number): number;
}

/** The weight of the latest run: an estimate follows a change of speed within about ten runs. */
const LATEST = 1 / 8;

/**
 * @param maxRows the most rows of a run: 1 for a model whose rows are not joined.
 * @param engines the number of engine processes that share the work.
 */
export function createRunTimes(maxRows: number, engines: () => number): RunTimes {
  /** The average duration of runs of 2^i to 2^(i+1)-1 rows, in milliseconds; 0 if there was none. */
  const averages = new Float64Array(32);
  /** The most rows of a run so far. Limits of bytes may keep runs smaller than `maxRows`. */
  let largest = 0;

  function runMs(rows: number): number {
    const wanted = sizeClass(rows);
    // A smaller run is not slower, and a larger one not faster: the nearest smaller class is a lower bound, a larger one an upper.
    for (let i = wanted; i >= 0; i--) if (averages[i] !== 0) return averages[i]!;
    for (let i = wanted + 1; i < averages.length; i++) if (averages[i] !== 0) return averages[i]!;
    return 0;
  }

  return {
    record(rows, ms) {
      const size = sizeClass(rows);
      const before = averages[size]!;
      averages[size] = before === 0 ? ms : before + (ms - before) * LATEST;
      largest = Math.max(largest, rows);
    },
    doubt() {
      for (let i = 0; i < averages.length; i++) averages[i]! *= 1 - LATEST;
    },
    runMs,
    drainMs(rows) {
      // Runs grow with the queue, but no run larger than twice those that were seen is counted on.
      const rowsInRun = Math.max(1, Math.min(rows, maxRows, 2 * largest));
      return ((rows / rowsInRun) * runMs(rowsInRun)) / Math.max(1, engines());
    },
  };
}

const sizeClass = (rows: number): number => 31 - Math.clz32(Math.max(1, rows));
