import { type Feeds, joinRows, rowBytes } from '../../engine/batch-rows.ts';
import { MOST_BATCH_BYTES } from '../../engine/capacity.ts';
import { RunError } from '../../engine/process/engine-process.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';
import type { MeasuredEngine } from './engine.ts';

/** The time of a run of so many rows. */
export interface RunTime {
  readonly rows: number;
  /** The median, from the request to the engine process until its result is read; undefined if such a run fails. */
  readonly medianMs?: number;
  /** The time below which 95 of 100 runs are. */
  readonly p95Ms?: number;
  /** Rows a second of one engine process, by the median. */
  readonly rowsPerSecond?: number;
  /** How many runs were measured. */
  readonly runs: number;
  /** Why a run of so many rows fails. */
  readonly fault?: string;
}

interface RunsOptions {
  /** Rows of a run, ascending. Default: 1, 2, 4, … 64. */
  readonly sizes?: readonly number[];
  /** How long each size is measured, in milliseconds. Default: 300. */
  readonly budgetMs?: number;
  /** Called before each size. */
  readonly onSize?: (rows: number) => void;
}

export const DEFAULT_SIZES = [1, 2, 4, 8, 16, 32, 64] as const;
const LEAST_RUNS = 3;
const MOST_RUNS = 500;
/** The part of the budget before which runs are not counted. */
const WARM_UP_SHARE = 0.2;
/** A run that takes longer ends the measurement: larger ones take longer still. */
const LONGEST_RUN_MS = 10_000;
/** A larger batch must give so much more rows a second to be better. */
const LEAST_GAIN = 1.05;

/**
 * Measures runs of 1, 2, 4, … rows on an engine that is idle: each size a few times, after runs that are not counted.
 * @param rows rows of one key, which are repeated to fill a run; at least one. Values can matter: a row of zeros may be fast
 * @returns a time for each size, up to the first that fails, is larger than a run of the server, or takes over ten seconds
 */
export async function measureRuns(
  engine: Pick<MeasuredEngine, 'run'>,
  rows: readonly Feeds[],
  { sizes = DEFAULT_SIZES, budgetMs = 300, onSize }: RunsOptions = {},
): Promise<RunTime[]> {
  const times: RunTime[] = [];
  for (const size of sizes) {
    if (size > 1 && size * rowBytes(rows[0]!.tensors, 1) > MOST_BATCH_BYTES) break;
    onSize?.(size);
    const spans = Array.from({ length: size }, (_, i) => ({ feeds: rows[i % rows.length]!, first: 0, rows: 1 }));
    const inputs = joinRows(spans);
    const durations: number[] = [];
    try {
      await warmUp(engine, inputs, budgetMs * WARM_UP_SHARE);
      for (let total = 0; durations.length < LEAST_RUNS || (total < budgetMs && durations.length < MOST_RUNS); ) {
        const started = performance.now();
        await engine.run(inputs);
        const duration = performance.now() - started;
        durations.push(duration);
        total += duration;
        if (duration > LONGEST_RUN_MS) break;
      }
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      times.push({ rows: size, runs: 0, fault: error.message });
      break;
    }
    const sorted = durations.toSorted((a, b) => a - b);
    const medianMs = quantile(sorted, 0.5);
    const p95Ms = quantile(sorted, 0.95);
    times.push({ rows: size, medianMs, p95Ms, rowsPerSecond: (size * 1000) / medianMs, runs: durations.length });
    if (medianMs > LONGEST_RUN_MS) break;
  }
  return times;
}

/** Runs at least once, and then until both processes have compiled what they run. */
async function warmUp(engine: Pick<MeasuredEngine, 'run'>, inputs: readonly JoinedTensor[], ms: number): Promise<void> {
  const until = performance.now() + ms;
  for (let runs = 0; runs === 0 || (runs < MOST_RUNS && performance.now() < until); runs++) await engine.run(inputs);
}

/** The smallest batch from which no larger one gives over 5 % more rows a second; undefined if no run succeeded. */
export function bestBatch(times: readonly RunTime[]): RunTime | undefined {
  const measured = times.filter(({ rowsPerSecond }) => rowsPerSecond !== undefined);
  const most = Math.max(...measured.map(({ rowsPerSecond }) => rowsPerSecond!));
  return measured.find(({ rowsPerSecond }) => rowsPerSecond! * LEAST_GAIN >= most);
}

/** @param sorted ascending, at least one */
function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)]!;
  return low + (sorted[Math.ceil(at)]! - low) * (at % 1);
}
