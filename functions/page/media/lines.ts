import { failureFrom, type RowError } from '../failure.ts';
import { parseJson } from '../json.ts';
import type { Prediction } from '../model.ts';

/** Reads the lines of `/batch_predict`. @throws Failure of the first row that failed, or if rows are missing */
export function readLines(text: string, rows: number): Prediction[] {
  const lines = text.trim().split('\n').map(parseJson) as (Prediction & { error?: RowError; done?: boolean })[];
  const failed = lines.find(({ error }) => error !== undefined);
  if (failed !== undefined) throw failureFrom(failed.error!);
  const predictions = lines.filter(({ done }) => done === undefined);
  if (predictions.length !== rows) {
    const message = `The server sent results of ${predictions.length} of ${rows} rows.`;
    throw failureFrom({ message, code: 'DRAINING' });
  }
  return predictions;
}
