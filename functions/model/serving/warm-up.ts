import { type Feeds, joinRows, rowBytes, rowsInRun } from '../../engine/batch-rows.ts';
import type { Pool } from '../../engine/pool.ts';
import type { Preparation } from '../../engine/prepared/preparation.ts';
import { RunError } from '../../engine/process/engine-process.ts';
import type { JoinedTensor } from '../../engine/process/frame.ts';

/** What a warm-up has run. */
interface WarmUp {
  /** The inputs of its runs, for the other engines. */
  readonly runs: readonly (readonly JoinedTensor[])[];
  /** Bytes of outputs for one byte of inputs; 0 if no row has run. */
  readonly outputFactor: number;
}

/** The row with which engines are warmed up. */
export interface WarmUpRow {
  readonly feeds: Feeds;
  /** The place of the row in the model's files; undefined for a synthetic row. */
  readonly place: string | undefined;
}

/**
 * Of texts. A row has several tokens, each of which takes as long as a row of most other models: 64 rows would take 100 ms of the start
 * of a small encoder, and longer texts take other memory anyway.
 */
const MOST_TEXTS = 8;

/** The most rows of the second run of a warm-up. */
export function mostWarmUpRows(preparation: Preparation | undefined, maxBatchSize: number): number {
  return preparation?.kind === 'text' ? Math.min(MOST_TEXTS, maxBatchSize) : maxBatchSize;
}

/** The longest time that the largest warm-up batch may probably take. */
const WARM_UP_MS = 1000;

/**
 * Runs one row, then as many as a run may have if that is probably fast.
 * @param most the most rows of a run, and the most bytes of its inputs and of its outputs
 * @param lost rejects if the engine cannot be replaced: a trial row may have ended the only one
 * @throws RunError if a row from the model's files fails, never ends, or ends the process: such a model must not replace another.
 */
export async function warmUp(
  pool: Pool,
  { feeds, place }: WarmUpRow,
  most: { readonly rows: number; readonly bytes: number },
  lost: Promise<never>,
): Promise<WarmUp> {
  const one = joinRows([{ feeds, first: 0, rows: 1 }]);
  const runs = [one];
  let outputFactor = 0;
  await Promise.race([untilFree(pool), lost]);
  try {
    const started = performance.now();
    const outputs = await pool.run(one);
    const bytes = rowBytes(feeds.tensors, 1);
    // Its memory is what bounds the runs: the second run of a shape takes more (see `createRunMemory`).
    if (pool.mostRunBytes() < most.rows * bytes) await pool.run(one);
    outputFactor = rowBytes(outputs, 1) / bytes;
    const byBytes = rowsInRun(bytes * Math.max(1, outputFactor), most.rows, most.bytes);
    const rows = rowsInRun(bytes, byBytes, pool.mostRunBytes());
    if (rows > 1 && (performance.now() - started) * rows < WARM_UP_MS) {
      const many = joinRows(Array.from({ length: rows }, () => ({ feeds, first: 0, rows: 1 })));
      runs.push(many);
      await pool.run(many);
    }
    return { runs, outputFactor };
  } catch (error) {
    // The row works alone, but not in a batch that is too large for this machine: the batcher makes such runs smaller.
    const tooMany = runs.length > 1 && error instanceof RunError && error.fault === 'failed';
    if (place !== undefined && !tooMany) throw explain(error, place);
    await Promise.race([untilFree(pool), lost]);
    // Synthetic values may be outside of a model's domain: then its first request is its warm-up.
    return { runs: tooMany ? [one] : [], outputFactor };
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
