import { type Feeds, findMisfit, keyOf, stackRows } from '../engine/batch-rows.ts';
import { type AdmissionOptions, ALL_ROWS, type Batcher, type Outcome, type RequestTerms } from '../engine/batcher.ts';
import { ServingError } from '../errors.ts';
import { sliceRows } from '../tensor/compare.ts';
import type { PreprocessOptions, Preprocessor } from './preprocessor.ts';

/** A row without an outcome: the batcher gives each row one. */
const LOST = new ServingError('INTERNAL', 'the row was lost');

/**
 * Prepares rows, and runs those that could be prepared. Rows of one key are queued together if rows share runs.
 * @param joinsRows whether a run may have several rows
 * @returns an outcome for each row, in their order
 * @throws as `Batcher.predict` does
 */
export async function predictPrepared(
  {
    preprocessor,
    batcher,
    joinsRows,
  }: { preprocessor: Preprocessor; batcher: Pick<Batcher, 'predict'>; joinsRows: boolean },
  feeds: Feeds,
  terms: RequestTerms,
  options?: AdmissionOptions & PreprocessOptions,
): Promise<readonly Outcome[]> {
  const rows = await preprocessor.prepare(feeds, terms, options);
  const outcomes: Outcome[] = rows.map((row) => ({ rows: 1, error: 'error' in row ? row.error : LOST }));
  const groups = new Map<string | number, number[]>();
  for (const [place, row] of rows.entries()) {
    if ('error' in row) continue;
    const key = joinsRows ? keyOf(row.feeds) : place;
    groups.set(key, [...(groups.get(key) ?? []), place]);
  }
  await Promise.all(
    [...groups.values()].map(async (places) => {
      const feedsOf = (place: number): Feeds => (rows[place] as { feeds: Feeds }).feeds;
      const settled = await batcher.predict(stackRows(places.map(feedsOf)), terms, options);
      const single = settled.flatMap((outcome) =>
        Array.from({ length: outcome.rows }, (_, row) => rowOf(outcome, row, joinsRows)),
      );
      await Promise.all(
        single.map(async (outcome, at) => {
          const place = places[at]!;
          const isDone = 'error' in outcome || preprocessor.finish === undefined;
          outcomes[place] = isDone ? outcome : await finish(preprocessor, feedsOf(place), outcome, terms, options);
        }),
      );
    }),
  );
  return outcomes;
}

type Outputs = Exclude<Outcome, { readonly error: ServingError }>;

/** The outcome of one row. Without joined rows the outputs need not have one row: then all of them are those of the row. */
function rowOf(outcome: Outcome, row: number, joinsRows: boolean): Outcome {
  if ('error' in outcome) return { rows: 1, error: outcome.error };
  const { outputs, first } = outcome;
  const isWhole = first === ALL_ROWS || (!joinsRows && findMisfit(outputs, 1) !== undefined);
  return { rows: 1, outputs, first: isWhole ? ALL_ROWS : first + row };
}

/** @throws ServingError that ends the request: its deadline has passed, or its client has left */
async function finish(
  preprocessor: Preprocessor,
  prepared: Feeds,
  { outputs, first }: Outputs,
  terms: RequestTerms,
  options: AdmissionOptions | undefined,
): Promise<Outcome> {
  const own = first === ALL_ROWS ? outputs : outputs.map((output) => sliceRows(output, first, 1));
  try {
    return { rows: 1, outputs: await preprocessor.finish!(prepared, own, terms, options), first: 0 };
  } catch (error) {
    if (!(error instanceof ServingError) || error.code === 'CLIENT_GONE') throw error;
    return { rows: 1, error };
  }
}
