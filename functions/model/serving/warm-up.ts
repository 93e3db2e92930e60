import { type Feeds, joinRows, rowBytes, rowsInRun } from '../../engine/batch-rows.ts';
import type { Pool } from '../../engine/pool.ts';
import { RunError } from '../../engine/process/engine-process.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';

/** The inputs of the runs that warm an engine up. */
type WarmUpRuns = readonly (readonly JoinedTensor[])[];

/** The row with which engines are warmed up. */
export interface WarmUpRow {
  readonly feeds: Feeds;
  /** The place of the row in the model's files; undefined for a synthetic row. */
  readonly place: string | undefined;
}

/** The longest time that the largest warm-up batch may probably take. */
const WARM_UP_MS = 1000;

/**
 * Runs one row, then as many as a run may have if that is probably fast.
 * @param maxBatchSize the most rows of a run
 * @param lost rejects if the engine cannot be replaced: a trial row may have ended the only one
 * @returns the runs, for the other engines
 * @throws RunError if a row from the model's files fails, never ends, or ends the process: such a model must not replace another.
 */
export async function warmUp(
  pool: Pool,
  { feeds, place }: WarmUpRow,
  maxBatchSize: number,
  lost: Promise<never>,
): Promise<WarmUpRuns> {
  const one = joinRows([{ feeds, first: 0, rows: 1 }]);
  const runs = [one];
  await Promise.race([untilFree(pool), lost]);
  try {
    const started = performance.now();
    await pool.run(one);
    const rows = rowsInRun(rowBytes(feeds.tensors, 1), maxBatchSize);
    if (rows > 1 && (performance.now() - started) * rows < WARM_UP_MS) {
      const many = joinRows(Array.from({ length: rows }, () => ({ feeds, first: 0, rows: 1 })));
      runs.push(many);
      await pool.run(many);
    }
    return runs;
  } catch (error) {
    // The row works alone, but not in a batch that is too large for this machine: the batcher makes such runs smaller.
    const tooMany = runs.length > 1 && error instanceof RunError && error.fault === 'failed';
    if (place !== undefined && !tooMany) throw explain(error, place);
    await Promise.race([untilFree(pool), lost]);
    // Synthetic values may be outside of a model's domain: then its first request is its warm-up.
    return tooMany ? [one] : [];
  }
}

function explain(error: unknown, place: string): unknown {
  if (!(error instanceof RunError)) return error;
  return new RunError(error.fault, `${place} does not run: ${error.message}`);
}

/** Settles once an engine could start a run. */
function untilFree(pool: Pool): Promise<void> {
  if (pool.free() > 0) return Promise.resolve();
  return new Promise((resolve) => pool.onFree(resolve));
}
