import { ServingError } from '../errors.ts';
import type { Batch } from './batch-former.ts';
import { halve, isolateRows } from './batch-rows.ts';
import { RunError } from './process/engine-process.ts';

/**
 * The runs to try after a failed one, so that only the rows that caused the failure fail. A batch with an error is halved until
 * each row is alone. The rows of a batch that ended its process run once more, each alone: the row at fault costs two processes.
 * A row that was alone from the start costs one; or two if the process was killed from outside, since the row need not be the
 * cause then.
 * @returns undefined if the batch is one row, and that row is the cause.
 */
export function retriesAfter(batch: Batch, error: unknown): Batch[] | undefined {
  const fault = error instanceof RunError ? error.fault : 'failed';
  const onlyRow = batch.length === 1 && batch[0]!.rows === 1 ? batch[0] : undefined;
  if (fault === 'failed') return onlyRow === undefined ? halve(batch) : undefined;
  const isCause = fault === 'timed-out' || (error instanceof RunError && error.ofItself);
  if (onlyRow !== undefined && (onlyRow.isLastAttempt || isCause)) return undefined;
  return isolateRows(batch.map((slice) => ({ ...slice, isLastAttempt: true })));
}

/**
 * The error of rows that made their run fail: `DEADLINE` if the run took too long, else `MODEL_FAILED`.
 * @param error the reason with which the run was rejected.
 */
export function servingErrorOf(error: unknown): ServingError {
  const text = withoutSources(error instanceof Error ? error.message : String(error));
  if (error instanceof RunError && error.fault === 'timed-out') {
    return new ServingError('DEADLINE', `the model did not finish: ${text}`, { cause: error });
  }
  return new ServingError('MODEL_FAILED', `the model failed on this input: ${text}`, { cause: error });
}

/** Where onnxruntime was compiled: `/onnxruntime_src/….h:91 type name(parameters) const `. Callers can do nothing with it. */
const SOURCE = /\/onnxruntime_src\/[^ ]*:\d+ [^()]*\([^()]*\)(?: const)? */g;
const withoutSources = (text: string): string => text.replace(SOURCE, '').trim();
