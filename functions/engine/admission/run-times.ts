/** How long runs take, by their number of rows: the estimate that the wait of a queued row rests on. */
export interface RunTimes {
  /** Records a run that has ended. */
  record(rows: number, ms: number): void;
  /** Shortens the estimates a little: rows were dropped because of them, so that no run could correct them. */
  doubt(): void;
  /** Milliseconds that a run of so many rows takes; 0 before the first run has ended. */
  runMs(rows: number): number;
  /**
   * The most rows of the next run. Once runs take long, they grow only as far as that saves time for each row: for a network
   * that computes four rows in four times the time of one, a larger run would only delay the first of its rows.
   */
  usefulRows(): number;
  /** Milliseconds until so many rows have been run, if no others are run meanwhile; 0 before the first run has ended. */
  drainMs(rows: number): number;
}

/** From this duration on the smallest size that is good enough is chosen, below it the largest. */
const LONG_RUN_MS = 20;
/** A larger run has to save this share of the time of a row. */
const WORTHWHILE = 0.1;
/** A run that is expected to take no longer may have any size. */
const SHORT_RUN_MS = 50;
/** So often a run may be larger, because the times of larger runs may have changed. */
const TRIED_EVERY = 100;
/** The weight of the latest run: an estimate follows a change of speed within about ten runs. */
const LATEST = 1 / 8;

/**
 * @param maxRows the most rows of a run: 1 for a model whose rows are not joined.
 * @param engines the number of engine processes that share the work.
 */
export function createRunTimes(maxRows: number, engines: () => number): RunTimes {
  /** The average duration of runs of 2^i to 2^(i+1)-1 rows, in milliseconds; 0 if there was none. */
  const averages = new Float64Array(32);
  /** The average number of their rows. */
  const averageRows = new Float64Array(32);
  /** The most rows of a run so far. Limits of bytes may keep runs smaller than `maxRows`. */
  let largest = 0;
  let limitedRuns = 0;

  function runMs(rows: number): number {
    const wanted = sizeClass(rows);
    // A smaller run is not slower, and a larger one not faster: the nearest smaller class is a lower bound, a larger one an upper.
    for (let i = wanted; i >= 0; i--) if (averages[i] !== 0) return averages[i]!;
    for (let i = wanted + 1; i < averages.length; i++) if (averages[i] !== 0) return averages[i]!;
    return 0;
  }

  const perRow = (size: number): number =>
    averages[size] === 0 ? Number.POSITIVE_INFINITY : averages[size]! / averageRows[size]!;

  /** The most rows of a run that is not longer than it has to be. Sizes that were not seen are tried one after the other. */
  function usefulRows(): number {
    let best = Number.POSITIVE_INFINITY;
    for (let size = 0; size < averages.length; size++) best = Math.min(best, perRow(size));
    if (best === Number.POSITIVE_INFINITY) return maxRows;
    const enough = best / (1 - WORTHWHILE);
    let useful = 0;
    for (let size = 0; size < averages.length; size++) {
      if (perRow(size) > enough) continue;
      useful = size;
      if (averages[size]! > LONG_RUN_MS) break;
    }
    const isTried = averages[useful + 1] !== 0;
    const shortRun = Math.floor(SHORT_RUN_MS / best);
    return Math.min(maxRows, Math.max(shortRun, largestOf(isTried ? useful : useful + 1)));
  }

  return {
    record(rows, ms) {
      const size = sizeClass(rows);
      const before = averages[size]!;
      const weight = before === 0 ? 1 : LATEST;
      averages[size] = before + (ms - before) * weight;
      averageRows[size]! += (rows - averageRows[size]!) * weight;
      largest = Math.max(largest, rows);
    },
    doubt() {
      for (let i = 0; i < averages.length; i++) averages[i]! *= 1 - LATEST;
    },
    runMs,
    usefulRows() {
      const rows = usefulRows();
      return rows < maxRows && ++limitedRuns % TRIED_EVERY === 0 ? Math.min(maxRows, 2 * rows) : rows;
    },
    drainMs(rows) {
      // Runs grow with the queue, but no run larger than twice those that were seen is counted on.
      const rowsInRun = Math.max(1, Math.min(rows, usefulRows(), 2 * largest));
      return ((rows / rowsInRun) * runMs(rowsInRun)) / Math.max(1, engines());
    },
  };
}

const sizeClass = (rows: number): number => 31 - Math.clz32(Math.max(1, rows));
/** The most rows of a class. */
const largestOf = (size: number): number => 2 ** (size + 1) - 1;
