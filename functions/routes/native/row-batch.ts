import { type Feeds, keyOf, stackRows } from '../../engine/batch-rows.ts';
import type { Cancellation, Outcome } from '../../engine/batcher.ts';
import type { ServingError } from '../../errors.ts';
import { toServingError } from '../../http/error-response.ts';
import { processSlices } from '../../http/time-slice.ts';
import type { RowFeeds } from '../../model/folder/rows.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { type PredictionEncoder, predictionEncoderOf } from './prediction-encoder.ts';

/** A row that was read: its decoded feeds, or the error that it was refused with. */
export type ReadRow = { readonly feeds: RowFeeds } | { readonly error: ServingError };

/** The result of a row: the members of its prediction as JSON, or its error. */
export type RowResult = { readonly text: string } | { readonly error: ServingError };

/**
 * Runs the rows of one batch; the results have their order. Rows that may share a run are stacked and queued as one entry: at
 * 100,000 rows/s a promise for each row would take the most time. Never rejects.
 * @param pending the rows; a promise, which must not reject, for one that a thread reads.
 * @param encoder the model's encoder from before the run: if a run shows that rows must not be joined, the encoder that the model
 * has from then on would give each row all outputs of a joined run, those of other requests included.
 */
export async function predictRows(
  pending: readonly (ReadRow | Promise<ReadRow>)[],
  live: Generation,
  cancellation: Cancellation,
  encoder = predictionEncoderOf(live),
): Promise<readonly RowResult[]> {
  const rows = areRead(pending) ? pending : await Promise.all(pending);
  const results: RowResult[] = rows.map((row) => ('error' in row ? row : { text: '' }));
  await Promise.all(
    group(rows, live.joinsRows).map(async (places) => {
      const feeds = places.map((place) => (rows[place] as { feeds: RowFeeds }).feeds);
      const outcomes = await run(feeds.length === 1 ? feeds[0]! : stackRows(feeds), live, cancellation);
      let at = 0;
      for (const outcome of outcomes) {
        for (let row = 0; row < outcome.rows; row++, at++) {
          const pause = processSlices.wait();
          if (pause !== undefined) await pause;
          results[places[at]!] = resultOf(outcome, row, feeds[at]!, encoder);
        }
      }
    }),
  );
  return results;
}

const areRead = (rows: readonly (ReadRow | Promise<ReadRow>)[]): rows is readonly ReadRow[] =>
  !rows.some((row) => row instanceof Promise);

/** The places of the rows that may be stacked, a list for each kind of row. */
function group(rows: readonly ReadRow[], joinsRows: boolean): number[][] {
  const groups = new Map<string | number, number[]>();
  for (const [place, row] of rows.entries()) {
    if ('error' in row) continue;
    const key = joinsRows ? keyOf(row.feeds) : place;
    const places = groups.get(key);
    if (places === undefined) groups.set(key, [place]);
    else places.push(place);
  }
  return [...groups.values()];
}

/** If the queue is full, the rows wait instead of failing. */
async function run(feeds: Feeds, live: Generation, cancellation: Cancellation): Promise<readonly Outcome[]> {
  try {
    return await live.predict(feeds, cancellation, { bulk: true, begun: true });
  } catch (error) {
    return [{ rows: feeds.rows, error: toServingError(error) }];
  }
}

function resultOf(outcome: Outcome, row: number, { isRow }: RowFeeds, encoder: PredictionEncoder): RowResult {
  if ('error' in outcome) return outcome;
  try {
    return { text: encoder.encode(outcome.outputs, outcome.first + row, isRow) };
  } catch (error) {
    return { error: toServingError(error) };
  }
}
