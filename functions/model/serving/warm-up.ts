import { type Feeds, joinRows, rowBytes, rowsInRun } from '../../engine/batch-rows.ts';
import { RunError } from '../../engine/engine-process.ts';
import type { JoinedTensor } from '../../engine/frame.ts';
import type { Pool } from '../../engine/pool.ts';

/** The inputs of the runs that warm an engine up. */
export type WarmUpRuns = readonly (readonly JoinedTensor[])[];

export interface WarmUpRow {
  readonly feeds: Feeds;
  /** Where it comes from, of a row that the model's files vouch for; undefined for made-up values. */
  readonly place: string | undefined;
}

/** Longest that the largest warm-up batch may be expected to take. */
const WARM_UP_MS = 1000;

/**
 * Runs one row, then as many as a run may take if that is over soon. Gives the runs, for the other engines to do the same.
 * @param maxBatchSize rows that a run may have.
 * @param lost rejects where no engine comes back: a trial row may have ended the only one that was started.
 * @throws RunError where a known row fails, never ends, or ends the process: such a model must not replace another.
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
    // A row that is sound alone may be one of more than this machine can run at once: the batcher makes such runs smaller.
    const tooMany = runs.length > 1 && error instanceof RunError && error.fault === 'failed';
    if (place !== undefined && !tooMany) throw explain(error, place);
    await Promise.race([untilFree(pool), lost]);
    // Made-up values may be out of a model's domain: its first request is then its warm-up.
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
