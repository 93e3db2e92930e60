import { type Feeds, keyOf, stackRows } from '../../engine/batch-rows.ts';
import type { Cancellation, Outcome } from '../../engine/batcher.ts';
import type { ServingError } from '../../errors.ts';
import { toServingError } from '../../http/error-response.ts';
import { processSlices } from '../../http/time-slice.ts';
import type { RowFeeds } from '../../model/folder/rows.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { type PredictionEncoder, predictionEncoderOf } from './prediction-encoder.ts';

/** A row as it was read: decoded, or refused. */
export type ReadRow = { readonly feeds: RowFeeds } | { readonly error: ServingError };

/** What became of a row: the members of its prediction, or why it has none. */
export type RowResult = { readonly text: string } | { readonly error: ServingError };

/**
 * Runs the rows of one batch and gives their results in the same order. Rows that may share a run are stacked and
 * queued as one: at 100 k rows a second a promise a row is what costs most. Never rejects.
 * @param pending promises for those that a thread reads, which do not reject.
 * @param encoder that of the model before the run: once a run ends the joining, that of the model gives all outputs of a run,
 * others' rows too.
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
    group(rows, live.joined).map(async (places) => {
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
function group(rows: readonly ReadRow[], joined: boolean): number[][] {
  const groups = new Map<string | number, number[]>();
  for (const [place, row] of rows.entries()) {
    if ('error' in row) continue;
    const key = joined ? keyOf(row.feeds) : place;
    const places = groups.get(key);
    if (places === undefined) groups.set(key, [place]);
    else places.push(place);
  }
  return [...groups.values()];
}

/** Where the queue is full the rows wait; they do not fail. */
async function run(feeds: Feeds, live: Generation, cancellation: Cancellation): Promise<readonly Outcome[]> {
  try {
    return await live.predict(feeds, cancellation, { bulk: true, whenFull: 'wait' });
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
